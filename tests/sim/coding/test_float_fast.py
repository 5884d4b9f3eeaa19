"""The fast coder takes the steps of the plain one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_lca import KINDS

from neuro.base.convolution import Convolution
from neuro.coding.dictionary import random_dictionary
from sim.coding.float_fast import encode_fast
from sim.oracles.coding import Dynamics, NotConverged, encode
from sim.oracles.operators import ConvolutionalOperator, DenseOperator

SEEDS = st.integers(0, 2**32 - 1)
SOFT = [kind for kind in KINDS if not kind["hard"]]  # a hard threshold turns a rounding into a jump


def dense(seed: int, n_values: int, n_atoms: int) -> DenseOperator:
    return DenseOperator(random_dictionary((n_values, n_atoms), seed), torch.float32)


def signals_for(operator: DenseOperator | ConvolutionalOperator, seed: int, count: int = 3) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).normal(size=(count, operator.n_values)), dtype=torch.float32)


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.integers(1, 20), st.integers(1, 40), st.sampled_from(SOFT))
def test_dense_codes_after_the_same_steps(seed: int, n_values: int, n_atoms: int, kind: dict[str, bool]) -> None:
    operator = dense(seed, n_values, n_atoms)
    signals = signals_for(operator, seed)
    dynamics = Dynamics(0.1, 2.0 * n_atoms, max_steps=300, tolerance=None, **kind)
    plain, fast = encode(operator, signals, dynamics), encode_fast(operator, signals, dynamics)
    torch.testing.assert_close(fast.codes, plain.codes, atol=1e-4, rtol=0)
    torch.testing.assert_close(fast.objective, plain.objective, atol=1e-3, rtol=1e-3)
    assert fast.n_steps.tolist() == [300] * 3


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Convolution, tuple[int, ...]]:
    axes = draw(st.integers(1, 2))
    kernel = tuple(draw(st.lists(st.integers(1, 6), min_size=axes, max_size=axes)))
    stride = tuple(draw(st.integers(1, extent)) for extent in kernel)
    padding = tuple((draw(st.integers(0, e - 1)), draw(st.integers(0, e - 1))) for e in kernel)
    lengths = []
    for extent, step, around in zip(kernel, stride, padding, strict=True):
        length = draw(st.integers(2, 4)) * step + extent - sum(around)
        lengths.append(length if length >= extent else length + step * -(-(extent - length) // step))
    channels = draw(st.sampled_from([(), (1,), (3,), (9,)]))
    return Convolution(kernel, stride, padding), (*lengths, *channels)


@settings(deadline=None, max_examples=40)
@given(SEEDS, convolutions(), st.integers(1, 9), st.sampled_from(SOFT))
def test_convolutional_codes_after_the_same_steps(seed: int, geometry, features: int, kind: dict[str, bool]) -> None:
    convolution, shape = geometry
    kernel = random_dictionary(convolution.kernel_shape(shape, features), seed)
    operator = ConvolutionalOperator(kernel, convolution, shape, torch.float32)
    signals = signals_for(operator, seed)
    dynamics = Dynamics(0.3, 100.0, max_steps=120, tolerance=None, **kind)
    plain, fast = encode(operator, signals, dynamics), encode_fast(operator, signals, dynamics)
    torch.testing.assert_close(fast.codes, plain.codes, atol=1e-4, rtol=0)
    torch.testing.assert_close(fast.residual.to(torch.float32), plain.residual, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("signed", [False, True])
def test_hard_codes_agree_but_for_a_few_jumps(signed: bool) -> None:
    operator = dense(0, 20, 40)
    signals = signals_for(operator, 0, count=50)
    dynamics = Dynamics(0.5, 20.0, signed=signed, hard=True, max_steps=100, tolerance=None)
    plain, fast = encode(operator, signals, dynamics), encode_fast(operator, signals, dynamics)
    same = (plain.codes - fast.codes).abs().amax(1) < 1e-4
    assert float(same.float().mean()) >= 0.9
    assert float(plain.n_active.float().mean()) > 1


@settings(deadline=None, max_examples=10)
@given(SEEDS)
def test_each_signal_stops_by_itself_where_it_would_alone(seed: int) -> None:
    operator = dense(seed, 10, 8)
    signals = signals_for(operator, seed, count=4) * torch.tensor([[0.0], [0.1], [1.0], [3.0]])
    dynamics = Dynamics(0.2, 10.0, tolerance=1e-3, max_steps=20_000)
    found = encode_fast(operator, signals, dynamics)
    alone = [int(encode(operator, signals[i : i + 1], dynamics).n_steps[0]) for i in range(4)]
    assert bool(found.converged.all())
    assert found.n_steps.tolist() == pytest.approx(alone, abs=10)  # a rounding may tip the last window
    assert int(found.n_steps[0]) == 10
    assert int(found.n_active[0]) == 0


def test_convolutional_codes_stop_at_the_tolerance() -> None:
    convolution = Convolution((3, 3), (1, 1), ((1, 1), (1, 1)))
    kernel = random_dictionary(convolution.kernel_shape((6, 6), 2), 0)
    operator = ConvolutionalOperator(kernel, convolution, (6, 6), torch.float32)
    signals = signals_for(operator, 0, count=5)
    found = encode_fast(operator, signals, Dynamics(0.3, 20.0, tolerance=1e-3))
    exact = encode(operator, signals, Dynamics(0.3, 20.0, tolerance=1e-5, max_steps=20_000))
    assert bool(found.converged.all())
    assert int(found.n_steps.max()) < 2000
    assert bool((found.objective <= 1.01 * exact.objective).all())
    with pytest.warns(NotConverged, match="5 of 5 codes"):
        encode_fast(operator, signals, Dynamics(0.3, 20.0, tolerance=1e-7, max_steps=40))


def test_the_type_of_the_signals_is_kept() -> None:
    operator = DenseOperator(random_dictionary((8, 6), 0), torch.float64)
    found = encode_fast(operator, signals_for(operator, 0).double(), Dynamics(0.2, 10.0, max_steps=50, tolerance=None))
    assert found.codes.dtype == found.objective.dtype == torch.float64


def test_no_signals_give_no_codes() -> None:
    operator = dense(0, 8, 6)
    assert encode_fast(operator, torch.zeros(0, 8), Dynamics(0.2, 10.0)).codes.shape == (0, 6)
    convolution = Convolution((3,), (1,), ((1, 1),))
    kernels = ConvolutionalOperator(random_dictionary((3, 1, 2), 0), convolution, (8,), torch.float32)
    assert encode_fast(kernels, torch.zeros(0, 8), Dynamics(0.2, 10.0)).codes.shape == (0, 16)
