"""The float coder against scikit-learn's Lasso, its own optimality conditions, and its other forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_lca import KINDS, lasso_codes
from sklearn.datasets import load_digits

from neuro.base.convolution import Convolution
from neuro.coding.dictionary import random_dictionary
from neuro.coding.problem import support_overlap
from sim.oracles.coding import Dynamics, NotConverged, encode, objective, optimality_violation, thresholded
from sim.oracles.operators import ConvolutionalOperator, DenseOperator

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.sampled_from([((11,), 1), ((11, 2), 1), ((7, 9), 2), ((7, 5, 3), 2)])


def random_problem(seed: int, n_values: int = 8, n_atoms: int = 12, n_signals: int = 6):
    generator = np.random.default_rng(seed)
    operator = DenseOperator(random_dictionary((n_values, n_atoms), seed))
    return operator, torch.tensor(generator.normal(size=(n_signals, n_values)))


def convolutional_pair(seed: int, shape: tuple[int, ...], axes: int):
    """The same dictionary twice, and two images."""
    convolution = Convolution((3,) * axes, (2,) * axes, ((1, 1),) * axes)
    generator = np.random.default_rng(seed)
    kernel = random_dictionary(convolution.kernel_shape(shape, 4), seed)
    images = torch.tensor(generator.normal(size=(2, int(np.prod(shape)))))
    return ConvolutionalOperator(kernel, convolution, shape), DenseOperator(convolution.matrix(kernel, shape)), images


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.floats(0.05, 1.0))
def test_codes_are_those_of_the_lasso(seed: int, threshold: float) -> None:
    operator, signals = random_problem(seed)
    dynamics = Dynamics(threshold, 10.0, tolerance=1e-6, max_steps=200_000)
    found = encode(operator, signals, dynamics)
    wanted = torch.tensor(lasso_codes(operator.dictionary.numpy(), signals.numpy(), threshold))
    best = objective(operator, signals, wanted, dynamics)
    assert bool(found.converged.all())
    assert bool(((found.objective - best).abs() <= 1e-4 * best).all())


def test_the_default_tolerance_is_within_one_percent_on_digits() -> None:
    pixels = load_digits().data[:60] / 16.0
    images = pixels - pixels.mean(axis=1, keepdims=True)
    operator = DenseOperator(random_dictionary((64, 128), 0))
    dynamics = Dynamics(0.08)
    found = encode(operator, torch.tensor(images), dynamics)
    wanted = torch.tensor(lasso_codes(operator.dictionary.numpy(), images, 0.08))
    gap = found.objective / objective(operator, torch.tensor(images), wanted, dynamics) - 1
    assert -1e-6 < float(gap.min())
    assert float(gap.median()) < 0.01
    assert float(np.median(support_overlap(found.codes.numpy(), wanted.numpy()))) > 0.9


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.booleans(), st.floats(0.01, 1.0))
def test_the_objective_never_rises(seed: int, signed: bool, threshold: float) -> None:
    operator, signals = random_problem(seed)
    assert operator.gram is not None
    tau_steps = max(1.0, float(torch.linalg.eigvalsh(operator.gram)[-1]) / 2)
    dynamics = Dynamics(threshold, tau_steps, signed=signed, max_steps=60, tolerance=None)
    seen = [0.5 * signals.square().sum(1)]
    encode(operator, signals, dynamics, lambda _, codes: seen.append(objective(operator, signals, codes, dynamics)))
    curve = torch.stack(seen)
    assert len(curve) == 61
    assert bool((curve.diff(dim=0) <= 1e-12).all())
    assert bool((curve[-1] < curve[0]).any()) or bool((curve == curve[0]).all())


@settings(deadline=None, max_examples=8)
@given(SEEDS, st.sampled_from(KINDS))
def test_fixed_points_are_optimal(seed: int, kind: dict[str, bool]) -> None:
    operator, signals = random_problem(seed, n_values=12, n_atoms=10)  # independent atoms: linear convergence
    dynamics = Dynamics(0.2, 10.0, tolerance=1e-7, max_steps=200_000, **kind)
    found = encode(operator, signals, dynamics)
    assert float(optimality_violation(operator, signals, found.codes, dynamics).max()) < 1e-4
    moved = found.codes + 0.1
    assert float(optimality_violation(operator, signals, moved, dynamics).min()) > 1e-3


@settings(deadline=None, max_examples=5)
@given(SEEDS)
def test_signed_codes_are_those_of_atoms_of_both_signs(seed: int) -> None:
    operator, signals = random_problem(seed, n_values=12, n_atoms=10)
    both = DenseOperator(torch.cat([operator.dictionary, -operator.dictionary], dim=1))
    dynamics = {"sparsity_threshold": 0.2, "tau_steps": 15.0, "tolerance": 1e-6, "max_steps": 200_000}
    signed = encode(operator, signals, Dynamics(signed=True, **dynamics))
    split = encode(both, signals, Dynamics(**dynamics))
    torch.testing.assert_close(signed.codes, split.codes[:, :10] - split.codes[:, 10:], atol=1e-3, rtol=0)
    torch.testing.assert_close(signed.objective, split.objective, atol=1e-6, rtol=1e-6)


@settings(deadline=None, max_examples=20)
@given(SEEDS, SHAPES, st.sampled_from(KINDS))
def test_convolutional_codes_are_those_of_the_matrix(seed: int, geometry, kind: dict[str, bool]) -> None:
    convolutional, dense, images = convolutional_pair(seed, *geometry)
    dynamics = Dynamics(0.3, 10.0, max_steps=60, tolerance=None, **kind)
    first, second = (encode(operator, images, dynamics) for operator in (convolutional, dense))
    torch.testing.assert_close(first.codes, second.codes, atol=1e-9, rtol=0)
    torch.testing.assert_close(first.objective, second.objective)
    assert convolutional.n_units == dense.n_units


@settings(deadline=None, max_examples=20)
@given(SEEDS, SHAPES)
def test_the_update_is_the_gradient_of_the_reconstruction(seed: int, geometry) -> None:
    operator, dense, images = convolutional_pair(seed, *geometry)
    codes = torch.tensor(np.random.default_rng(seed).random((2, operator.n_units)))
    kernel = operator.kernel.clone().requires_grad_(True)
    moving = ConvolutionalOperator(kernel, operator.convolution, operator.shape)
    error = 0.5 * (images - moving.synthesise(codes)).square().sum(1).mean()
    (wanted,) = torch.autograd.grad(error, kernel)
    residuals = images - operator.synthesise(codes)
    torch.testing.assert_close(operator.gradient(residuals, codes), -wanted)
    torch.testing.assert_close(dense.gradient(residuals, codes), residuals.T @ codes / 2)


@pytest.mark.parametrize(("n_atoms", "stored"), [(15, True), (16, False)])
def test_the_cheaper_lateral_term_is_chosen(n_atoms: int, stored: bool) -> None:
    operator, _ = random_problem(0, 8, n_atoms)
    assert (operator.gram is not None) == stored
    codes = torch.rand(3, n_atoms, dtype=torch.float64)
    torch.testing.assert_close(operator.overlap(codes), codes @ operator.dictionary.T @ operator.dictionary)


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ({}, [0.0, 0.0, 0.0, 0.5]),
        ({"signed": True}, [-1.0, 0.0, 0.0, 0.5]),
        ({"hard": True}, [0.0, 0.0, 0.0, 1.5]),
        ({"hard": True, "signed": True}, [-2.0, 0.0, 0.0, 1.5]),
    ],
)
def test_thresholds(kind: dict[str, bool], wanted: list[float]) -> None:
    states = torch.tensor([-2.0, -1.0, 1.0, 1.5])
    torch.testing.assert_close(thresholded(states, Dynamics(1.0, **kind)), torch.tensor(wanted))


def test_what_has_not_converged_is_told() -> None:
    operator, signals = random_problem(1)
    signals[2] = 0.0
    with pytest.warns(NotConverged, match=r"5 of 6 codes still moved after 20 steps .*tolerance 1e-09\); give more"):
        found = encode(operator, signals, Dynamics(0.1, 10.0, max_steps=20, tolerance=1e-9))
    assert found.converged.tolist() == [False, False, True, False, False, False]
    assert int(found.n_active[2]) == 0
    assert found.n_steps.tolist() == [20] * 6


def test_stops_at_the_first_window_in_which_nothing_moved() -> None:
    operator, signals = random_problem(2)
    strict, loose = (encode(operator, signals, Dynamics(0.1, 10.0, tolerance=t, max_steps=10_000)) for t in (1e-8, 0.1))
    assert int(loose.n_steps[0]) < int(strict.n_steps[0])
    assert int(loose.n_steps[0]) % 10 == 0
    assert float(loose.residual.max()) <= 0.1


def test_a_number_of_steps_is_kept_without_judgement() -> None:
    operator, signals = random_problem(3)
    found = encode(operator, signals, Dynamics(0.1, 10.0, max_steps=7, tolerance=None))
    assert found.n_steps.tolist() == [7] * 6
    assert bool(found.residual.isinf().all())
    assert not bool(found.converged.any())


@pytest.mark.parametrize(
    "changes",
    [
        {"sparsity_threshold": 0.0},
        {"sparsity_threshold": math.nan},
        {"tau_steps": 0.5},
        {"max_steps": 0},
        {"tolerance": 0.0},
    ],
)
def test_impossible_dynamics_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="LCA"):
        Dynamics(**{"sparsity_threshold": 0.1, **changes})


def test_signals_that_do_not_fit_are_refused() -> None:
    operator, signals = random_problem(4)
    with pytest.raises(ValueError, match=r"\(6, 7\).*\[B, 8\]"):
        encode(operator, signals[:, :7], Dynamics(0.1))
    with pytest.raises(ValueError, match="NaN"):
        encode(operator, signals * math.nan, Dynamics(0.1))
    with pytest.raises(ValueError, match=r"needs \[N, K\]"):
        DenseOperator(np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match=r"kernels of shape .*needs \(3, 1, 2\)"):
        ConvolutionalOperator(np.zeros((2, 1, 2)), Convolution((3,), (1,), ((0, 0),)), (5,))


def test_support_overlap_is_the_jaccard_index() -> None:
    first = np.array([[1.0, 0.0, -2.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    second = np.array([[3.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 9.0]])
    np.testing.assert_array_equal(support_overlap(first, second), [1 / 3, 1.0, 1.0])
