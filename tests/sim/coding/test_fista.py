"""FISTA: the least objective of scikit-learn and of LCA, and a gap that never promises too much."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.convolution import square
from neuro.base.errors import UserError
from neuro.coding.dictionary import random_dictionary
from neuro.coding.problem import SparseProblem
from sim.coding.fista import FistaProblem, largest_eigenvalue, solve_fista
from sim.coding.measure import lasso
from sim.oracles.coding import Dynamics, NotConverged, encode, objective
from sim.oracles.operators import ConvolutionalOperator, DenseOperator


def dense(seed: int, n_values: int = 20, n_atoms: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """A dictionary [N, K] and signals [B, N]."""
    generator = np.random.default_rng(seed)
    return random_dictionary((n_values, n_atoms), seed), generator.normal(size=(5, n_values))


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.booleans(), st.sampled_from([0.05, 0.3, 1.0]))
def test_the_objective_is_that_of_the_lasso_and_the_gap_bounds_the_distance(
    seed: int, signed: bool, threshold: float
) -> None:
    dictionary, signals = dense(seed)
    found = solve_fista(
        DenseOperator(dictionary), torch.tensor(signals), FistaProblem(threshold, signed, tolerance=1e-4)
    )
    best = lasso(dictionary, threshold, signals, positive=not signed)
    least = objective(
        DenseOperator(dictionary), torch.tensor(signals), torch.tensor(best), Dynamics(threshold, signed=signed)
    ).numpy()
    assert (found.gap <= 1e-4).all()
    assert (found.objective <= least * (1 + 1e-4) + 1e-9).all()
    assert (found.objective >= least * (1 - 1e-5)).all()
    if not signed:
        assert (found.codes >= 0).all()
        bound = SparseProblem(dictionary, threshold).lower_bound(signals, found.codes.astype(np.float64))
        np.testing.assert_allclose(found.objective - bound, found.gap * found.objective, atol=1e-9)


@pytest.mark.parametrize("shape", [(12,), (9, 8), (8, 8, 3)])
@pytest.mark.parametrize("signed", [False, True])
def test_kernels_reach_the_objective_of_a_coder_that_settled(shape: tuple[int, ...], signed: bool) -> None:
    convolution = square(shape, 4, 2, same=True)
    kernel = random_dictionary(convolution.kernel_shape(shape, 6), 0)
    operator = ConvolutionalOperator(kernel, convolution, shape)
    signals = torch.tensor(np.random.default_rng(1).normal(size=(5, operator.n_values)))
    dynamics = Dynamics(0.2, signed=signed, max_steps=3000, tolerance=None)
    settled = encode(operator, signals, dynamics).objective.numpy()
    found = solve_fista(operator, signals, FistaProblem(0.2, signed, tolerance=1e-4))
    assert (found.objective <= settled * (1 + 1e-4)).all()
    assert (found.objective >= settled * 0.99).all()  # some of these coders are still on their way
    again = objective(operator, signals, torch.tensor(found.codes).double(), dynamics).numpy()
    np.testing.assert_allclose(found.objective, again, rtol=1e-5)
    matrix = DenseOperator(convolution.matrix(kernel, shape))
    alike = solve_fista(matrix, signals, FistaProblem(0.2, signed, tolerance=1e-4))
    assert (abs(found.objective - alike.objective) <= 2e-4 * settled).all()


def test_a_signal_of_zeros_has_no_code_and_no_gap() -> None:
    dictionary, _ = dense(0)
    found = solve_fista(DenseOperator(dictionary), torch.zeros(2, 20), FistaProblem(0.1))
    assert not found.codes.any()
    assert not found.gap.any()


def test_too_few_iterations_are_told() -> None:
    dictionary, signals = dense(3)
    with pytest.warns(NotConverged, match=r"5 of 5 codes .* after 3 iterations"):
        found = solve_fista(
            DenseOperator(dictionary), torch.tensor(signals), FistaProblem(0.01, tolerance=1e-5, max_steps=3)
        )
    assert (found.n_steps == 3).all()
    assert (found.gap > 1e-5).all()


@settings(max_examples=20)
@given(st.integers(0, 2**31))
def test_the_step_is_short_enough(seed: int) -> None:
    dictionary, _ = dense(seed)
    largest = np.linalg.eigvalsh(dictionary.T @ dictionary)[-1]
    assert largest <= largest_eigenvalue(DenseOperator(dictionary)) <= 1.06 * largest


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"threshold": 0.0}, "threshold"), ({"threshold": np.nan}, "threshold"), ({"tolerance": 0.0}, "tolerance"),
     ({"tolerance": 2.0}, "tolerance"), ({"max_steps": 0}, "max_steps")],
)  # fmt: skip
def test_numbers_that_make_no_sense_are_refused(changes: dict[str, float], word: str) -> None:
    with pytest.raises(UserError, match=word):
        FistaProblem(**{"threshold": 0.1, **changes})


def test_signals_of_another_width_are_refused() -> None:
    with warnings.catch_warnings(), pytest.raises(UserError, match="needs"):
        solve_fista(DenseOperator(dense(0)[0]), torch.zeros(2, 7), FistaProblem(0.1))
