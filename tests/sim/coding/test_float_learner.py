"""Dictionary learning finds planted atoms, and the same ones again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neuro.base.convolution import Convolution
from neuro.coding.dictionary import random_dictionary, unit_norm
from sim.coding.float_learner import DictionaryConfig, learn_dictionary
from sim.oracles.coding import Dynamics

CODER = Dynamics(0.05, 10.0, max_steps=80, tolerance=None)
CONFIG = DictionaryConfig(24, CODER, learning_rate=10.0, epochs=12, batch=32)


def planted(n_signals: int = 2000, n_atoms: int = 24, signed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Atoms of shape [16, K], and signals that are sums of one to three of them."""
    generator = np.random.default_rng(0)
    dictionary = random_dictionary((16, n_atoms), 1)
    weights = generator.uniform(0.5, 1.5, (n_signals, n_atoms)) * (generator.random((n_signals, n_atoms)) < 2 / n_atoms)
    if signed:
        weights *= generator.choice([-1.0, 1.0], weights.shape)
    return dictionary, weights @ dictionary.T


@pytest.mark.parametrize("signed", [False, True])
def test_planted_atoms_are_found(signed: bool) -> None:
    dictionary, signals = planted(signed=signed)
    learned = learn_dictionary(signals, replace(CONFIG, dynamics=replace(CODER, signed=signed)), seed=0)
    likeness = dictionary.T @ learned.dictionary
    best = np.abs(likeness).max(axis=1) if signed else likeness.max(axis=1)
    assert np.mean(best > 0.97) > 0.9
    assert learned.history[-1].objective < 0.5 * learned.history[0].objective
    np.testing.assert_allclose(np.linalg.norm(learned.dictionary, axis=0), 1.0, rtol=1e-5)


def test_the_same_seed_learns_the_same() -> None:
    _, signals = planted(300)
    config, told = replace(CONFIG, epochs=2), []
    first = learn_dictionary(signals, config, seed=3, on_batch=told.append)
    again, other = learn_dictionary(signals, config, seed=3), learn_dictionary(signals, config, seed=4)
    np.testing.assert_array_equal(first.dictionary, again.dictionary)
    assert not np.array_equal(first.dictionary, other.dictionary)
    assert tuple(told) == first.history == again.history
    assert [step.batch for step in told] == list(range(20))
    assert {step.n_batches for step in told} == {20}


def test_kernels_are_learned_at_all_positions() -> None:
    generator = np.random.default_rng(0)
    convolution, shape = Convolution((4,), (2,), ((0, 0),)), (20, 2)
    kernel = random_dictionary(convolution.kernel_shape(shape, 3), 5)
    weights = generator.uniform(0.5, 1.5, (400, 27)) * (generator.random((400, 27)) < 0.1)
    signals = weights @ convolution.matrix(kernel, shape).T
    config = DictionaryConfig(3, CODER, 3.0, epochs=3, batch=20, convolution=convolution, image_shape=shape)
    near = kernel + generator.normal(0.0, 0.2, kernel.shape)  # from afar it may find an atom shifted by a stride
    learned = learn_dictionary(signals, config, seed=0, start=near)
    assert learned.dictionary.shape == kernel.shape
    before = np.diag(kernel.reshape(8, 3).T @ unit_norm(near).reshape(8, 3))
    likeness = kernel.reshape(8, 3).T @ learned.dictionary.reshape(8, 3)
    assert float(np.diag(likeness).min()) > 0.99 > before.min()


def test_dead_atoms_come_back() -> None:
    _, signals = planted(600)
    hopeless = -np.abs(np.random.default_rng(0).normal(size=(16, 24)))  # rectified codes of these stay silent
    signals = np.abs(signals)
    kept = learn_dictionary(signals, replace(CONFIG, epochs=4, revive=False), seed=0, start=hopeless)
    revived = learn_dictionary(signals, replace(CONFIG, epochs=4), seed=0, start=hopeless)
    assert kept.n_revived == 0
    assert kept.history[-1].n_active == 0
    assert revived.n_revived >= 24
    assert revived.history[-1].objective < 0.5 * kept.history[-1].objective


@pytest.mark.parametrize(
    "changes", [{"n_atoms": 0}, {"epochs": 0}, {"batch": 0}, {"learning_rate": 0.0}, {"image_shape": (4,)}]
)
def test_impossible_choices_are_refused(changes: dict) -> None:
    with pytest.raises(ValueError, match="dictionary learning"):
        replace(CONFIG, **changes)


def test_a_start_of_another_shape_and_no_signals_are_refused() -> None:
    _, signals = planted(10)
    with pytest.raises(ValueError, match=r"\(3, 24\), needs \(16, 24\)"):
        learn_dictionary(signals, CONFIG, 0, start=np.ones((3, 24)))
    with pytest.raises(ValueError, match="no signals"):
        learn_dictionary(signals[:0], CONFIG, 0)


def test_a_rate_that_diverges_is_told() -> None:
    _, signals = planted(64)
    unstable = replace(CONFIG, dynamics=Dynamics(0.05, 1.0, signed=True, max_steps=2000, tolerance=None), epochs=1)
    with pytest.raises(ValueError, match="diverged"):
        learn_dictionary(signals, unstable, 0)
