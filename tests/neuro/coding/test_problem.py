"""The problem of sparse coding: its objective, the bound that proves a code, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Lasso

from neuro.coding.dictionary import unit_norm
from neuro.coding.problem import SparseProblem, support_overlap


def random_problem(seed: int) -> tuple[SparseProblem, np.ndarray]:
    """A problem of 12 pixels and 20 atoms, and six signals."""
    generator = np.random.default_rng(seed)
    atoms = unit_norm(generator.normal(size=(12, 20)))
    return SparseProblem(atoms, float(generator.uniform(0.02, 0.5))), generator.normal(size=(6, 12))


def lasso_codes(problem: SparseProblem, signals: np.ndarray) -> np.ndarray:
    lasso = Lasso(
        problem.sparsity_threshold / problem.n_pixels, positive=True, fit_intercept=False, max_iter=100_000, tol=1e-10
    )
    return np.stack([lasso.fit(problem.dictionary, signal).coef_ for signal in signals])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 3))
def test_no_code_has_an_objective_below_the_bound_of_another(seed, size):
    problem, signals = random_problem(seed)
    generator = np.random.default_rng(seed + 1)
    first, second = (size * np.maximum(generator.normal(size=(6, 20)), 0) for _ in range(2))
    assert (problem.lower_bound(signals, first) <= problem.objective(signals, second) + 1e-9).all()
    assert (problem.lower_bound(signals, first) <= problem.objective(signals, 0 * second) + 1e-9).all()


@pytest.mark.parametrize("seed", range(5))
def test_bound_and_objective_meet_at_the_solution_only(seed):
    problem, signals = random_problem(seed)
    exact = lasso_codes(problem, signals)
    least = problem.objective(signals, exact)
    np.testing.assert_allclose(problem.lower_bound(signals, exact), least, rtol=1e-5)
    assert (exact > 0).any()
    other = exact + 0.05
    assert (problem.lower_bound(signals, other) < least * (1 - 1e-4)).all()
    assert (problem.objective(signals, other) > least).all()


def test_the_objective_is_what_it_says():
    problem = SparseProblem(np.array([[1.0, 0.0], [0.0, 2.0]]), 0.5)
    objective = problem.objective(np.array([[3.0, 1.0]]), np.array([[2.0, 1.0]]))
    np.testing.assert_allclose(objective, [0.5 * (1.0 + 1.0) + 0.5 * 3.0])


def test_unit_atoms_have_length_one_and_their_direction():
    atoms = np.random.default_rng(0).normal(size=(5, 7)) * 10
    scaled = unit_norm(atoms)
    np.testing.assert_allclose(np.linalg.norm(scaled, axis=0), 1)
    assert ((scaled * atoms).sum(axis=0) > 0).all()
    np.testing.assert_allclose(np.abs((scaled * atoms).sum(axis=0)), np.linalg.norm(atoms, axis=0))


def test_overlap_counts_shared_atoms():
    first, second = np.array([[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]]), np.array([[1.0, 0, 1, 0], [0] * 4, [0] * 4])
    np.testing.assert_allclose(support_overlap(first, second), [1 / 3, 1, 0])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SparseProblem(np.full((3, 3), np.nan), 0.1), ("dictionary", "finite")),
        (lambda: SparseProblem(np.zeros((3, 3)), 0.1), ("dictionary", "all zero")),
        (lambda: SparseProblem(np.ones(3), 0.1), ("dictionary of shape (3,)", "matrix")),
        (lambda: SparseProblem(np.eye(3), 0.0), ("sparsity_threshold 0", "> 0")),
        (lambda: SparseProblem(np.eye(3), -1.0), ("sparsity_threshold -1",)),
        (lambda: SparseProblem(np.eye(3), float("nan")), ("sparsity_threshold nan",)),
        (lambda: SparseProblem(2 * np.eye(3), 0.1).check_unit_atoms(), ("atom 0 has length 2", "unit_norm")),
        (lambda: unit_norm(np.array([[1.0, 0.0]])), ("1 of 2 atoms are zero, first 1", "remove")),
        (lambda: SparseProblem(np.eye(3), 0.1).check_signals(np.ones((2, 4))), ("signals", "[B, 3]")),
        (lambda: SparseProblem(np.eye(3), 0.1).check_signals(np.ones(3)), ("signals", "[B, 3]")),
        (lambda: SparseProblem(np.eye(3), 0.1).check_signals(np.full((1, 3), np.inf)), ("infinity",)),
        (lambda: SparseProblem(np.eye(3), 0.1).check_signals([["a", "b", "c"]]), ("signals", "numbers")),
    ],
)
def test_what_is_no_problem_is_refused(make, words, refused):
    with refused(*words):
        make()
