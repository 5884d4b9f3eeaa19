"""Dictionaries learned in integers: the update against its formula, the law of the norm, what revives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from shared_coders import centred_encoder, signals, unit_atoms

from neuro.base.convolution import Convolution, square
from neuro.base.errors import UserError
from neuro.coding.sigma_delta import CODE, RESIDUAL, CoderDesign, codes_of
from neuro.front_ends.pixels import PixelEncoder
from sim.backends.protocol import get_backend
from sim.coding.learner import DictionaryLearner, deployed_design
from sim.coding.trainer import LcaTrainer, norms_and_coherence

SHAPE = (6, 5)
KERNELS = square(SHAPE, 3, 2, same=True)
DESIGNS = {
    "inhibition": CoderDesign((12,), 0.1, encoder=centred_encoder(12)),
    "residual": CoderDesign((12,), 0.1, layout="residual", encoder=centred_encoder(12)),
    "signed": CoderDesign((12,), 0.1, signed=True, encoder=centred_encoder(12)),
    "kernels": CoderDesign(SHAPE, 0.1, KERNELS, encoder=centred_encoder(30)),
}


def learner_of(kind: str, n_atoms: int = 7, **options: Any) -> DictionaryLearner:
    return DictionaryLearner(DESIGNS[kind], n_atoms, 3, **options)


def batch_for(learner: DictionaryLearner, count: int = 40) -> np.ndarray:
    return signals(count, int(np.prod(learner.design.input_shape)), 11)


def formula(learner: DictionaryLearner, payloads: np.ndarray) -> np.ndarray:
    """Sum over signals and positions of a_k (r_i - threshold D_ik), written out; of shape (taps, K)."""
    spec, threshold = learner.spec(), learner.design.sparsity_threshold
    with get_backend("events").open(spec, threads=1) as session:
        record = session.run(payloads, keep_states=True)
    assert record.states is not None
    codes = codes_of(spec, record.states[CODE][:, 0])
    dictionary = learner.dictionary().reshape(-1, learner.shape[-1])
    convolution = learner.design.convolution
    taps = np.arange(len(dictionary))[None] if convolution is None else convolution.taps(learner.design.input_shape)
    if RESIDUAL in spec.population_index:
        neuron = spec.unit(RESIDUAL)
        residual = neuron.activation(record.states[RESIDUAL][:, 0]) / 2**neuron.activation_bits
    else:
        residual = payloads / 2**7 - codes @ dictionary.T
    total = np.zeros_like(dictionary)
    for a, r in zip(codes.reshape(len(payloads), len(taps), -1), residual, strict=True):
        for position, window in enumerate(taps):
            seen = np.where(window < 0, 0.0, r[window])
            total += np.outer(seen, a[position]) - threshold * np.abs(a[position]) * dictionary
    return total


@pytest.mark.parametrize("kind", DESIGNS)
def test_before_rounding_the_update_is_its_formula(kind: str) -> None:
    learner = learner_of(kind)
    payloads = batch_for(learner)
    outcome, residual = learner.observe(payloads)
    found = learner._change(outcome.codes, residual)
    np.testing.assert_allclose(found, formula(learner, payloads), rtol=1e-12, atol=1e-12)
    assert np.count_nonzero(found) > found.size / 2


@pytest.mark.parametrize("shadow_bits", [0, 4, 8])
@pytest.mark.parametrize("rate", [1e-6, 1e-4, 0.03, 1.0, 100.0])
@pytest.mark.parametrize("kind", ["inhibition", "kernels"])
def test_after_rounding_it_is_so_in_expectation(kind: str, rate: float, shadow_bits: int) -> None:
    """Each step is the exact one, down or up to a whole number; over many draws the mean of all entries agrees."""
    learner = learner_of(kind, shadow_bits=shadow_bits)
    change = np.random.default_rng(2).normal(scale=min(3.0, 0.5 / rate), size=learner.full.shape)
    chip_rate = learner.chip_rate(rate)
    real_rate = chip_rate.mantissa * 2.0 ** (learner.payload_bits - chip_rate.exponent - learner.exponent)
    assert real_rate == pytest.approx(max(rate, 2.0 ** (learner.payload_bits - 24 - learner.exponent)), rel=0.15)
    exact = np.floor(change * 2**20 + 0.5) / 2**20 * real_rate * 2.0 ** (learner.exponent + shadow_bits)
    start, draws = np.zeros_like(learner.full), 400
    steps = []
    for presentation in range(draws):
        learner.full = start
        learner._move(change, rate, presentation)
        steps.append(learner.full.copy())
    limit = 127 << shadow_bits
    for step in steps:
        assert ((step >= np.floor(exact)) & (step <= np.ceil(exact)) | (np.abs(step) == limit)).all()
    kept = np.abs(exact) < limit - 1
    error = (np.mean(steps, axis=0) - exact)[kept].mean()
    assert abs(error) < 5 * 0.5 / np.sqrt(draws * kept.sum())


def test_small_signals_learn_at_large_rates() -> None:
    """Codes of a front end may be hundredths: then rates are hundreds of weight steps per real unit, and hold."""
    learner = DictionaryLearner(replace(DESIGNS["residual"], sparsity_threshold=0.01, activation_bits=9), 7, 0)
    for rate in (0.01, 1.0, 100.0):
        chip_rate = learner.chip_rate(rate)
        found = chip_rate.mantissa * 2.0 ** (learner.payload_bits - chip_rate.exponent - learner.exponent)
        assert found == pytest.approx(rate, rel=0.15)


def test_rounding_is_a_function_of_seed_and_presentation() -> None:
    change = np.random.default_rng(2).normal(size=(12, 7))

    def moved(seed: int, presentation: int) -> np.ndarray:
        learner = DictionaryLearner(DESIGNS["inhibition"], 7, seed, 0)
        learner.full = np.zeros_like(learner.full)
        learner._move(change, 1e-3, presentation)
        return learner.full

    np.testing.assert_array_equal(moved(1, 5), moved(1, 5))
    assert (moved(1, 5) != moved(1, 6)).any()
    assert (moved(1, 5) != moved(2, 5)).any()


def test_weights_saturate() -> None:
    learner = learner_of("inhibition", shadow_bits=8)
    learner._move(np.full(learner.full.shape, 1e6), 1.0, 0)
    assert (learner.full == 127 << 8).all()
    assert (learner.atoms() == 127).all()


@pytest.mark.parametrize("kind", ["inhibition", "residual", "signed"])
@pytest.mark.parametrize("start", [0.5, 1.6])
def test_the_decay_alone_drives_norms_to_one(kind: str, start: float) -> None:
    """d|D_k|^2/dt = 2 rate a_k threshold (1 - |D_k|^2) on settled codes, whatever the norm was."""
    design = replace(DESIGNS[kind], steps=300)
    learner = DictionaryLearner(design, 6, 1)
    learner.full = np.round(learner.full * start).astype(np.int32)
    learner.adapt(normalise=False)
    payloads = signals(64, 12, 4)
    for step in range(250):
        learner.learn(payloads, 0.02, step)
        if step % 20 == 0:
            learner.adapt(normalise=False)
    norms, _ = norms_and_coherence(learner.dictionary())
    assert np.abs(norms - 1).max() < 0.06
    assert np.abs(np.linalg.norm(learner.full, axis=0) * 2.0 ** -(learner.exponent + 8) - 1).max() < 0.05


def test_a_host_can_normalise_at_once() -> None:
    learner = learner_of("kernels")
    learner.full = learner.full // 3
    learner.full[:, 2] = 0
    learner.adapt(normalise=True)
    norms = np.linalg.norm(learner.full, axis=0) * 2.0 ** -(learner.exponent + learner.shadow_bits)
    np.testing.assert_allclose(np.delete(norms, 2), 1.0, atol=1e-3)
    assert norms[2] == 0


@pytest.mark.parametrize("kind", DESIGNS)
def test_learning_lowers_the_objective(kind: str) -> None:
    learner = learner_of(kind)
    payloads = batch_for(learner, 60)
    first = learner.observe(payloads)[0].objective.mean()
    for step in range(60):
        learner.learn(payloads, 0.05 if kind != "kernels" else 0.01, step)
        learner.adapt(normalise=True)
    assert learner.observe(payloads)[0].objective.mean() < 0.9 * first


@pytest.mark.parametrize("kind", ["inhibition", "kernels"])
def test_threads_do_not_change_a_result(kind: str) -> None:
    results = []
    for threads in (1, 3):
        learner = learner_of(kind)
        payloads = batch_for(learner, 100)
        outcomes = [learner.learn(payloads, 0.01, step, threads) for step in range(3)]
        results.append((learner.full, [outcome.objective for outcome in outcomes]))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


@pytest.mark.parametrize("kind", ["inhibition", "residual", "kernels"])
def test_dead_atoms_become_what_the_coder_leaves(kind: str) -> None:
    learner = learner_of(kind)
    payloads = batch_for(learner)
    learner.full[:, [1, 4]] = 0
    _, residual = learner.observe(payloads)
    before = learner.full.copy()
    dead = np.isin(np.arange(7), [1, 4])
    assert learner.revive(dead, payloads) == 2
    np.testing.assert_array_equal(learner.full[:, ~dead], before[:, ~dead])
    windows, convolution = residual, learner.design.convolution
    if convolution is not None:
        padded = np.concatenate([residual, np.zeros((len(residual), 1))], axis=1)
        windows = padded[:, convolution.taps(learner.design.input_shape)].reshape(-1, len(learner.full))
    worst = windows[np.argsort(-np.linalg.norm(windows, axis=1), kind="stable")[:2]]
    for column, wanted in zip((1, 4), worst, strict=True):
        found = learner.full[:, column]
        assert found @ wanted / np.linalg.norm(found) / np.linalg.norm(wanted) > 0.99
    outcome, _ = learner.observe(payloads)
    assert outcome.codes.reshape(-1, 7)[:, dead].any(axis=0).all()
    assert learner.revive(np.zeros(7, bool), payloads) == 0
    assert learner.revive(dead, np.zeros_like(payloads)) == 0  # nothing is left to learn from


def test_atoms_that_no_image_used_are_revived_while_it_learns() -> None:
    learner = learner_of("inhibition")
    learner.full[:, 2] = 0
    trainer = LcaTrainer(learner, batch_for(learner, 64), 2, True, 1)

    class Nobody:
        def on_batch(self, trainer: LcaTrainer) -> None: ...

        def on_epoch(self, trainer: LcaTrainer) -> None: ...

    trainer.run(Nobody())
    first, second = trainer.progress.history
    assert (first.revived, second.revived) == (1, 0)
    assert second.smallest_norm > 0.9
    assert trainer.done == 1.0


def test_an_exact_start_and_its_refusals() -> None:
    learner = learner_of("kernels")
    assert (learner.shape, learner.full.shape) == ((3, 3, 1, 7), (9, 7))
    norms, coherence = norms_and_coherence(learner.dictionary())
    np.testing.assert_allclose(norms, 1.0, atol=0.02)
    atoms = learner.dictionary().reshape(9, 7) / norms
    assert coherence == pytest.approx(np.abs(atoms.T @ atoms - np.eye(7)).max())
    assert norms_and_coherence(unit_atoms(4, 1, 0))[1] == pytest.approx(0, abs=1e-12)
    for atoms_, shadow, refused in (
        (0, 8, "atoms 0; give at least 1"),
        (4, 9, r"9 outside 0\.\.8"),
        (4, -1, "bits -1"),
    ):
        with pytest.raises(UserError, match=refused):
            DictionaryLearner(DESIGNS["inhibition"], atoms_, 0, shadow)


@pytest.mark.parametrize("largest", [0.01, 0.3, 1.0, 5.1])
def test_a_deployed_coder_has_room_and_time(largest: float) -> None:
    design = deployed_design(DESIGNS["residual"], (3, 6), largest)
    assert design.reach >= 1.5 * largest
    assert design.reach > 2 * design.sparsity_threshold
    assert design.reach == 2.0 ** round(np.log2(design.reach))
    assert design.steps == 256
    assert deployed_design(replace(DESIGNS["residual"], steps=9), (3, 6), largest).steps == 9


def test_one_axis_learns_too() -> None:
    design = CoderDesign((12,), 0.1, Convolution((4,), (2,), ((0, 0),)), encoder=PixelEncoder(7))
    learner = DictionaryLearner(design, 5, 0)
    outcome = learner.learn(np.random.default_rng(0).integers(0, 129, (20, 12)).astype(np.int16), 0.01, 0)
    assert outcome.codes.shape == (20, 5 * 5)
    assert outcome.active.max() > 0
