"""The geometry of shared kernels as arrays that compiled code can walk.

A kernel lies in memory three times:

    small     int8, [kernel taps, features]: what the specification holds and learns (block of
    `sim.backends.events.layout.Plan`) forward   int16, widened by pooling (`neuro.base.convolution`), rows of
              `features`. Rows that one pixel needs for neighbouring positions of a line follow each other, so that a
    spike adds one run of numbers per line backward  int16, widened, [features, wide taps]: a spike of a transpose adds
    one run per line of the kernel

Forward order: line of the kernel, tap along it modulo the stride, channel, then tap along the line, descending.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from neuro.base.arrays import Int16, Int64
from neuro.base.convolution import Convolution
from neuro.spec.projection import Projection
from neuro.spec.sigma_delta import NetworkSpec

DENSE, CONVOLVED, TRANSPOSED = 0, 1, 2  # kinds of projections


class _Frame(NamedTuple):
    """A widened kernel on its images, along two axes (one axis: a single line)."""

    extent: tuple[int, int]
    stride: tuple[int, int]
    before: tuple[int, int]
    lengths: tuple[int, int]
    positions: tuple[int, int]
    channels: int
    features: int


def kind_of(spec: NetworkSpec, projection: Projection) -> int:
    """The kind of a projection: DENSE, CONVOLVED or TRANSPOSED."""
    original = spec.original_of(projection)
    if original.convolution is None:
        return DENSE
    return CONVOLVED if original is projection else TRANSPOSED


def map_fields(spec: NetworkSpec) -> dict[str, Any]:
    """The fields of `sim.backends.events.layout.Plan` about shared kernels."""
    sizes: list[dict[str, int]] = []
    wide, near, back, row_start = [0], list[int](), list[int](), list[int]()
    rows, starts, runs = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros((0, 4), np.int64)]
    for projection in spec.projections:
        kind, convolution = kind_of(spec, projection), spec.original_of(projection).convolution
        near.append(sum(map(len, starts)))
        back.append(near[-1])
        row_start.append(sum(map(len, rows)))
        if convolution is None:
            sizes.append(_sizes(kind, None, 1, 1))
            wide.append(wide[-1])
            continue
        frame = _frame(spec, projection, convolution)
        sizes.append(_sizes(kind, convolution, frame.channels, frame.features))
        wide.append(wide[-1] + sizes[-1]["wide_taps"] * frame.features)
        rows.append(_forward_rows(frame))
        lists = _backward_runs(frame)
        if kind == CONVOLVED:
            forward = _forward_runs(frame)
            back[-1] += len(forward)
            lists = forward + lists
        before = sum(map(len, runs))
        starts.append(before + np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64))
        runs.append(np.array([run for one in lists for run in one], dtype=np.int64).reshape(-1, 4))
    every = np.concatenate(runs)
    return {
        **{key: np.array([size[key] for size in sizes], dtype=np.int64) for key in _sizes(0, None, 1, 1)},
        "wide_start": np.array(wide, dtype=np.int64),
        "wide_row": np.concatenate(rows),
        "wide_row_start": np.array(row_start, dtype=np.int64),
        "near": np.array(near, dtype=np.int64),
        "near_back": np.array(back, dtype=np.int64),
        "near_start": np.concatenate(starts),
        "near_target": every[:, 0].copy(),
        "near_weight": every[:, 1].copy(),
        "near_length": every[:, 2].copy(),
        "near_channel": every[:, 3].copy(),
    }


def _two(values: Iterable[int], fill: int) -> tuple[int, int]:
    """Numbers along two axes; where there is one, `fill` stands before it."""
    found = tuple(values)
    return (fill, found[0]) if len(found) == 1 else (found[0], found[1])


def _sizes(kind: int, convolution: Convolution | None, channels: int, features: int) -> dict[str, int]:
    lines = columns = stride_lines = stride_columns = pool_lines = pool_columns = apart_lines = apart_columns = 1
    wide_taps = 0
    if convolution is not None:
        lines, columns = _two(convolution.kernel, 1)
        stride_lines, stride_columns = _two(convolution.stride, 1)
        pool_lines, pool_columns = _two(convolution.pool, 1)
        apart_lines, apart_columns = _two(convolution.dilation, 1)
        wide_taps = int(np.prod(convolution.plain.kernel)) * channels
    return {
        "kind": kind, "channels": channels, "features": features, "lines": lines, "columns": columns,
        "stride_lines": stride_lines, "stride_columns": stride_columns, "pool_lines": pool_lines,
        "pool_columns": pool_columns, "apart_lines": apart_lines, "apart_columns": apart_columns,
        "wide_taps": wide_taps,
    }  # fmt: skip


def _frame(spec: NetworkSpec, projection: Projection, convolution: Convolution) -> _Frame:
    original, plain = spec.original_of(projection), convolution.plain
    shape = spec.population(original.source).shape
    return _Frame(
        extent=_two(plain.kernel, 1),
        stride=_two(plain.stride, 1),
        before=_two((before for before, _ in plain.padding), 0),
        lengths=_two(shape[: len(plain.kernel)], 1),
        positions=_two(convolution.positions(shape), 1),
        channels=convolution.channels(shape),
        features=spec.population(original.target).shape[-1],
    )


def _forward_rows(frame: _Frame) -> Int64:
    """The row of every wide tap (line, column, channel) in the forward order."""
    (lines, columns), channels, stride = frame.extent, frame.channels, frame.stride[1]
    rows = np.empty((lines, columns, channels), dtype=np.int64)
    for column in range(columns):
        first, count, at = _phase(frame, column % stride, column)
        row = first * channels + np.arange(channels) * count + at
        rows[:, column] = np.arange(lines)[:, None] * columns * channels + row
    return rows.ravel()


def _phase(frame: _Frame, phase: int, column: int) -> tuple[int, int, int]:
    """Columns of smaller phases, columns of this phase, and the place of `column` among these, descending."""
    columns, stride = frame.extent[1], frame.stride[1]
    counts = [len(range(other, columns, stride)) for other in range(min(stride, columns))]
    return sum(counts[:phase]), counts[phase], counts[phase] - 1 - column // stride


def _reached(frame: _Frame, axis: int, at: int) -> range:
    """Positions along an axis whose kernel reads the pixel `at`."""
    shifted, stride = at + frame.before[axis], frame.stride[axis]
    first = max(-(-(shifted - frame.extent[axis] + 1) // stride), 0)
    return range(first, min(shifted // stride + 1, frame.positions[axis]))


def _forward_runs(frame: _Frame) -> list[list[tuple[int, int, int, int]]]:
    """The runs of every pixel, each as (target, weight, length, channel step)."""
    stride, columns, features = frame.stride, frame.extent[1], frame.features
    per_column = []
    for x in range(frame.lengths[1]):
        receivers = _reached(frame, 1, x)
        if receivers:
            tap = x + frame.before[1] - receivers[0] * stride[1]
            per_column.append((receivers, *_phase(frame, tap % stride[1], tap)))
        else:
            per_column.append((receivers, 0, 0, 0))
    lists = []
    for y in range(frame.lengths[0]):
        lines = [(line, y + frame.before[0] - line * stride[0]) for line in _reached(frame, 0, y)]
        for receivers, first, count, at in per_column:
            lists.append([
                (
                    (line * frame.positions[1] + receivers[0]) * features,
                    ((tap_line * columns + first) * frame.channels + at) * features,
                    len(receivers) * features,
                    count * features,
                )
                for line, tap_line in lines if receivers
            ])  # fmt: skip
    return lists


def _backward_runs(frame: _Frame) -> list[list[tuple[int, int, int, int]]]:
    """The runs of every position, each as (target, weight, length, 0)."""
    channels, (height, width), columns = frame.channels, frame.lengths, frame.extent[1]
    lists = []
    for line in range(frame.positions[0]):
        top = line * frame.stride[0] - frame.before[0]
        for column in range(frame.positions[1]):
            left = column * frame.stride[1] - frame.before[1]
            x_first, x_last = max(left, 0), min(left + columns, width)
            lists.append([
                (
                    (y * width + x_first) * channels,
                    ((y - top) * columns + x_first - left) * channels,
                    (x_last - x_first) * channels,
                    0,
                )
                for y in range(max(top, 0), min(top + frame.extent[0], height)) if x_last > x_first
            ])  # fmt: skip
    return lists


def wide_weights(spec: NetworkSpec, fields: dict[str, Any]) -> Int16:
    """All widened kernels as the module docstring lays them out, one projection after the other.

    fields: those of `map_fields`.
    """
    kernels = [np.zeros(0, np.int16)]
    for index, projection in enumerate(spec.projections):
        original = spec.original_of(projection)
        if original.convolution is None or original.weights is None:
            continue
        wide = original.convolution.widened(original.weights).reshape(-1, original.weights.shape[-1])
        if original is not projection:
            kernels.append(wide.T.astype(np.int16).ravel())
            continue
        first = fields["wide_row_start"][index]
        forward = np.empty(wide.shape, dtype=np.int16)
        forward[fields["wide_row"][first : first + len(wide)]] = wide
        kernels.append(forward.ravel())
    return np.concatenate(kernels)
