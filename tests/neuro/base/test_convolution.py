"""Convolution geometry: against torch's convolutions, and its refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.convolution import OUTSIDE, Convolution, same_padding, square, whole
from neuro.base.errors import UserError

Axis = tuple[int, int, int, int, int]  # length, kernel, stride, padding before and after


@st.composite
def axes(draw: st.DrawFn) -> Axis:
    extent = draw(st.integers(1, 4))
    stride = draw(st.integers(1, extent))
    before, after = draw(st.integers(0, extent - 1)), draw(st.integers(0, extent - 1))
    steps = draw(st.integers(0, 4))
    length = steps * stride + extent - before - after
    while length < extent:
        length += stride
    return length, extent, stride, before, after


@settings(max_examples=50, deadline=None)
@given(axes(), axes(), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_the_matrix_is_torch_s_convolution(row: Axis, column: Axis, channels: int, features: int, seed: int) -> None:
    lengths, extents, strides, *_ = zip(row, column, strict=True)
    padding = (row[3:], column[3:])
    convolution = Convolution(extents, strides, padding)
    generator = np.random.default_rng(seed)
    shape = (*lengths, channels)
    images = generator.normal(size=(2, *shape))
    kernel = generator.normal(size=convolution.kernel_shape(shape, features))
    found = images.reshape(2, -1) @ convolution.matrix(kernel, shape)
    padded = torch.nn.functional.pad(torch.tensor(images).permute(0, 3, 1, 2), (*padding[1], *padding[0]))
    wanted = torch.nn.functional.conv2d(padded, torch.tensor(kernel).permute(3, 2, 0, 1), stride=strides)
    assert convolution.output_shape(shape, features) == (wanted.shape[2], wanted.shape[3], features)
    np.testing.assert_allclose(found, wanted.permute(0, 2, 3, 1).reshape(2, -1).numpy(), atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(axes(), st.integers(0, 2**32 - 1))
def test_one_axis_is_torch_s_convolution(axis: Axis, seed: int) -> None:
    length, extent, stride, before, after = axis
    convolution = Convolution((extent,), (stride,), ((before, after),))
    generator = np.random.default_rng(seed)
    signal, kernel = generator.normal(size=(1, length)), generator.normal(size=(extent, 1, 2))
    found = signal @ convolution.matrix(kernel, (length,))
    padded = torch.nn.functional.pad(torch.tensor(signal)[None], (before, after))
    wanted = torch.nn.functional.conv1d(padded, torch.tensor(kernel).permute(2, 1, 0), stride=stride)
    np.testing.assert_allclose(found, wanted.permute(0, 2, 1).reshape(1, -1).numpy(), atol=1e-12)


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9))
def test_same_padding_tiles_every_length(length: int, extent: int, stride: int) -> None:
    extent = min(extent, length)
    stride = min(stride, extent)
    before, after = same_padding(length, extent, stride)
    assert Convolution((extent,), (stride,), ((before, after),)).positions((length,)) == (-(-length // stride),)


def test_same_padding_of_the_usual_front_end() -> None:
    convolution = square((32, 32, 3), 7, 2, same=True)
    assert convolution.output_shape((32, 32, 3), 64) == (16, 16, 64)
    taps = convolution.taps((32, 32, 3))
    assert taps.shape == (256, 147)
    assert (taps[0] == OUTSIDE).sum() == 147 - 3 * 4 * 4


@pytest.mark.parametrize(
    ("shape", "message"),
    [((5, 5), "smaller than the kernel"), ((9, 8), r"1 left over; \(3, 2\) does"), ((8,), "needs 2 axes")],
)
def test_images_that_do_not_fit_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Convolution((6, 6), (2, 2), ((0, 0), (0, 0))).positions(shape)


@pytest.mark.parametrize(
    "arguments",
    [
        ((0, 1), (1, 1), ((0, 0), (0, 0))),
        ((3, 3), (4, 1), ((0, 0), (0, 0))),
        ((3, 3), (0, 1), ((0, 0), (0, 0))),
        ((3, 3), (1, 1), ((3, 0), (0, 0))),
        ((3, 3), (1, 1), ((-1, 0), (0, 0))),
        ((3, 3), (1,), ((0, 0), (0, 0))),
        ((1, 1, 1), (1, 1, 1), ((0, 0),) * 3),
    ],
)
def test_impossible_convolutions_are_refused(arguments: tuple) -> None:
    with pytest.raises(UserError, match="convolution"):
        Convolution(*arguments)


@settings(max_examples=40, deadline=None)
@given(axes(), axes(), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_a_pooled_convolution_is_a_convolution_then_sums(
    row: Axis, column: Axis, window: int, features: int, seed: int
) -> None:
    lengths, extents, strides, *_ = zip(row, column, strict=True)
    lengths = tuple(n + -m % window * s for n, s, m in zip(lengths, strides, _positions((row, column)), strict=True))
    padding = (row[3:], column[3:])
    pooled = Convolution(extents, strides, padding, (window, window))
    generator = np.random.default_rng(seed)
    shape = (*lengths, 2)
    images = generator.integers(-9, 10, (2, *shape))
    kernel = generator.integers(-9, 10, pooled.kernel_shape(shape, features))
    found = images.reshape(2, -1) @ pooled.matrix(kernel, shape)
    every = (images.reshape(2, -1) @ Convolution(extents, strides, padding).matrix(kernel, shape)).reshape(
        2, *Convolution(extents, strides, padding).output_shape(shape, features)
    )
    rows, columns, _ = pooled.output_shape(shape, features)
    wanted = every.reshape(2, rows, window, columns, window, features).sum(axis=(2, 4))
    np.testing.assert_array_equal(found, wanted.reshape(2, -1))


def _positions(both: tuple[Axis, Axis]) -> list[int]:
    """Positions along each axis."""
    return [(n + before + after - extent) // stride + 1 for n, extent, stride, before, after in both]


@settings(max_examples=40, deadline=None)
@given(axes(), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_the_change_of_a_kernel_is_the_transpose_of_its_matrix(axis: Axis, window: int, seed: int) -> None:
    length, extent, stride, before, after = axis
    length += -_positions((axis, axis))[0] % window * stride
    convolution = Convolution((extent,), (stride,), ((before, after),), (window,))
    generator = np.random.default_rng(seed)
    kernel = generator.integers(-9, 10, convolution.kernel_shape((length, 2), 3))
    matrix = convolution.matrix(kernel, (length, 2))
    change = generator.integers(-9, 10, matrix.shape)
    shared = convolution.kernel_change(change, (length, 2))
    assert shared.shape == kernel.shape
    assert int((matrix * change).sum()) == int((kernel * shared).sum())  # <K x, y> = <x, K^T y>


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.booleans(), st.integers(0, 2**32 - 1))
def test_behind_sums_of_windows_a_convolution_sees_smaller_images(
    extent: int, averaged: int, pool: int, same: bool, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    rows, columns = (extent - 1 + pool * int(n) if not same else pool * -(-extent // pool) * int(n)
                     for n in generator.integers(1, 3, 2))  # fmt: skip
    small, large = (rows, columns, 2), (rows * averaged, columns * averaged, 2)
    images = generator.integers(-9, 10, (3, *large))
    behind, sums = square(large, extent, 1, same, pool, averaged), square(small, extent, 1, same, pool)
    kernel = generator.integers(-9, 10, sums.kernel_shape(small, 3))
    summed = images.reshape(3, rows, averaged, columns, averaged, 2).sum(axis=(2, 4)).reshape(3, -1)
    found = images.reshape(3, -1) @ behind.matrix(kernel, large)
    np.testing.assert_array_equal(found, summed @ sums.matrix(kernel, small))
    every = generator.integers(-9, 10, whole(large, averaged).kernel_shape(large, 4))
    found = images.reshape(3, -1) @ whole(large, averaged).matrix(every, large)
    np.testing.assert_array_equal(found, summed @ every.reshape(-1, 4))


@settings(max_examples=40, deadline=None)
@given(axes(), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_taps_apart_are_those_of_a_kernel_with_zeros_between(axis: Axis, apart: int, seed: int) -> None:
    length, extent, _, before, after = axis
    padding, reach = ((before, after),), (extent - 1) * apart + 1
    dilated = Convolution((extent,), (1,), padding, dilation=(apart,))
    generator = np.random.default_rng(seed)
    shape = (length + reach, 2)
    kernel = generator.integers(-9, 10, dilated.kernel_shape(shape, 3))
    spread = np.zeros((reach, 2, 3), dtype=kernel.dtype)
    spread[::apart] = kernel
    matrix = dilated.matrix(kernel, shape)
    np.testing.assert_array_equal(matrix, Convolution((reach,), (1,), padding).matrix(spread, shape))
    change = generator.integers(-9, 10, matrix.shape)
    assert int((matrix * change).sum()) == int((kernel * dilated.kernel_change(change, shape)).sum())


@pytest.mark.parametrize("dilation", [(2,), (0, 1), (2, 2, 2), (1, -1)])
def test_distances_of_taps_that_make_no_sense_are_refused(dilation: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="dilation"):
        Convolution((3, 3), (1, 1), ((1, 1), (1, 1)), dilation=dilation)


@pytest.mark.parametrize("pool", [(2,), (0, 1), (2, 2, 2), (17, 17)])
def test_windows_that_make_no_sense_are_refused(pool: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="pool"):
        Convolution((3, 3), (1, 1), ((1, 1), (1, 1)), pool)


def test_a_window_that_does_not_tile_is_refused() -> None:
    with pytest.raises(UserError, match=r"pool \(2, 2\) does not tile \(7, 7\)"):
        square((7, 7), 3, 1, same=True, pool=2).positions((7, 7))
