"""Sparse coders of stock processes on the chip's integers: the laws of the Lasso, and its solutions."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Lasso

from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError
from neuro.coding.dictionary import unit_norm
from neuro.coding.graded_relu import graded_coder
from neuro.coding.lif import SpikingDesign, spiking_coder
from neuro.coding.problem import support_overlap
from neuro.data.sets import load_dataset
from sim.coding.measure import codes, integer_dictionary, lasso, threshold_of
from sim.coding.stock import code, run_coder, stock_converged_share, stock_quality

THRESHOLD = 0.1
MAKE = {
    "biases": lambda atoms, threshold: spiking_coder(atoms, threshold),
    "one Dense": lambda atoms, threshold: spiking_coder(atoms, threshold, SpikingDesign(lateral="mixed")),
    "payloads": lambda atoms, threshold: spiking_coder(atoms, threshold, SpikingDesign(input_bits=8)),
    "binary": lambda atoms, threshold: spiking_coder(atoms, threshold, SpikingDesign(input_bits=0)),
    "graded": lambda atoms, threshold: graded_coder(atoms, threshold),
}
coders = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)


@pytest.fixture(scope="module")
def digits() -> SimpleNamespace:
    """64 digits of unit length as atoms, 30 others as signals, and the solutions of the Lasso."""
    images = load_dataset("digits", 0).x_train.reshape(-1, 64).astype(np.float64)
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    atoms, signals = images[:64].T, images[64:94]
    lasso = Lasso(THRESHOLD / 64, positive=True, fit_intercept=False, max_iter=100_000, tol=1e-9)
    exact = np.stack([lasso.fit(atoms, signal).coef_ for signal in signals])
    return SimpleNamespace(atoms=atoms, signals=signals, exact=exact)


def signed_case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Atoms of both signs, as many as point along and against them, and non-negative signals of unit length."""
    generator = np.random.default_rng(seed)
    atoms = unit_norm(generator.normal(size=(20, 16)))
    signals = np.abs(generator.normal(size=(6, 20)))
    return np.concatenate([atoms, -atoms], axis=1), signals / np.linalg.norm(signals, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("name", "steps", "gap", "overlap"),
    [
        ("biases", 256, 0.02, 0.6),
        ("one Dense", 256, 0.02, 0.6),
        ("payloads", 256, 0.03, 0.5),
        ("binary", 256, 0.02, 0.6),
        ("biases", 1024, 0.006, 0.55),
        ("graded", 256, 0.003, 0.8),
    ],
)
def test_codes_of_digits_are_those_of_lasso(digits, name, steps, gap, overlap):
    record = code(MAKE[name](digits.atoms, THRESHOLD), digits.signals, steps)
    problem = MAKE[name](digits.atoms, THRESHOLD).problem
    least = problem.objective(digits.signals, digits.exact)
    gaps = record.objective / least - 1
    assert (gaps > -1e-6).all()
    assert gaps.mean() <= gap
    assert (record.proven_gap >= 1 - least / record.objective - 1e-9).all()
    assert support_overlap(record.codes, digits.exact).mean() >= overlap
    assert record.converged.mean() >= 0.8
    nothing = problem.objective(digits.signals, 0 * digits.exact)
    assert nothing.mean() > 2 * least.mean()


@coders
@pytest.mark.parametrize("seed", range(2))
def test_atoms_may_point_away_from_each_other(make, seed):
    atoms, signals = signed_case(seed)
    coder = make(atoms, THRESHOLD)
    record = code(coder, signals, 600)
    lasso = Lasso(THRESHOLD / 20, positive=True, fit_intercept=False, max_iter=100_000, tol=1e-9)
    exact = np.stack([lasso.fit(atoms, signal).coef_ for signal in signals])
    least = coder.problem.objective(signals, exact)
    assert (exact[:, 16:] > 0).any()
    assert (record.objective / least - 1).mean() <= 0.02


@coders
def test_without_input_nothing_is_sent(make, digits):
    record = code(make(digits.atoms, THRESHOLD), np.zeros((2, 64)), 200)
    assert (record.n_spikes == 0).all()
    assert (record.codes == 0).all()
    assert record.converged.all()


@coders
def test_a_higher_threshold_leaves_fewer_atoms_active(make, digits):
    active, sent = [], []
    for threshold in (0.05, 0.2, 0.5):
        record = code(make(digits.atoms, threshold), digits.signals, 256)
        active.append((record.codes > 0).sum())
        sent.append(record.n_spikes.sum())
    assert active[0] > active[1] > active[2] > 0
    assert sent[0] > sent[1] > sent[2] > 0


@pytest.mark.parametrize("name", ["biases", "graded"])
def test_signals_and_threshold_halved_give_half_of_what_is_explained(digits, name):
    whole = code(MAKE[name](digits.atoms, THRESHOLD), digits.signals, 1024)
    half = code(MAKE[name](digits.atoms, THRESHOLD / 2), digits.signals / 2, 1024)
    one, other = (codes @ digits.atoms.T for codes in (whole.codes, 2 * half.codes))
    difference = np.linalg.norm(one - other, axis=1) / np.linalg.norm(one, axis=1)
    assert np.median(difference) <= (0.05 if name == "biases" else 0.01)
    assert half.objective.sum() == pytest.approx(whole.objective.sum() / 4, rel=0.01)


def test_half_the_full_scale_sends_twice_the_spikes(digits):
    counts = [
        code(spiking_coder(digits.atoms, THRESHOLD, SpikingDesign(scale)), digits.signals, 512).n_spikes.sum()
        for scale in (4.0, 8.0)
    ]
    assert counts[0] / counts[1] == pytest.approx(2, rel=0.1)


def test_momentum_needs_a_fraction_of_the_steps(digits):
    fast = code(graded_coder(digits.atoms, THRESHOLD), digits.signals, 64)
    plain = graded_coder(digits.atoms, THRESHOLD, momentum=0.0, step_scale=1.0)
    assert fast.objective.mean() < code(plain, digits.signals, 256).objective.mean()
    assert fast.n_spikes.mean() < code(plain, digits.signals, 256).n_spikes.mean()


@coders
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_signals_do_not_see_each_other(make, seed):
    atoms, signals = signed_case(seed)
    coder = make(atoms, THRESHOLD)
    together = code(coder, signals, 60, threads=2)
    alone = [code(coder, signal[None], 60, threads=1) for signal in signals]
    np.testing.assert_array_equal(together.codes, np.concatenate([record.codes for record in alone]))
    np.testing.assert_array_equal(together.n_spikes, np.concatenate([record.n_spikes for record in alone]))


def test_more_signals_than_fit_at_once_are_all_coded(digits):
    coder = MAKE["biases"](digits.atoms, THRESHOLD)
    many = np.tile(digits.signals[:2], (70, 1))
    record = code(coder, many, 40)
    np.testing.assert_array_equal(record.codes, np.tile(record.codes[:2], (70, 1)))
    assert code(coder, many[:0], 40).codes.shape == (0, 64)


def test_it_says_what_has_not_converged(digits):
    coder = MAKE["biases"](digits.atoms, THRESHOLD)
    short, long = (code(coder, digits.signals, steps) for steps in (16, 4096))
    assert not short.converged.any()
    assert "0 of 30" in short.describe()
    assert "run more steps" in short.describe()
    assert long.converged.all()
    assert "more steps" not in long.describe()


def test_signals_too_strong_for_the_rates_are_refused():
    coder = spiking_coder(np.eye(4), THRESHOLD, SpikingDesign(signal_reach=8.0))
    with pytest.raises(UserError, match="beyond reach"):
        code(coder, 4 * np.eye(4), 100)
    assert code(coder, 1.5 * np.eye(4), 100).codes.max() == pytest.approx(1.4, rel=0.1)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"backend": "events"}, "chip, lava"), ({"tolerance": 0.0}, "tolerance 0"), ({"tolerance": 1.5}, "tolerance 1.5")],
)
def test_wrong_options_are_refused(digits, options, words):
    with pytest.raises(UserError, match=words):
        code(MAKE["biases"](digits.atoms, THRESHOLD), digits.signals, 10, **options)


def test_biases_must_be_those_the_graph_needs(digits):
    coder = MAKE["biases"](digits.atoms, THRESHOLD)
    drive = coder.drive(digits.signals, 10)
    (mantissas,) = drive.biases.values()
    for wrong in ({}, {"code": mantissas[:1]}, {"code": mantissas * 1.0}, {"code": mantissas * 0 + 4096}):
        drive.biases.clear()
        drive.biases.update(wrong)
        with pytest.raises(UserError, match="biases"):
            run_coder(coder, drive)


@pytest.mark.parametrize("form", ["spiking", "graded"])
def test_a_trained_coder_keeps_its_atoms_threshold_and_encoder(form, coders, blob_data):
    learned = load_artifact(coders["dense"]).spec
    artifact = load_artifact(coders[form])
    coder, results = artifact.spec, artifact.manifest["results"]
    np.testing.assert_allclose(coder.problem.dictionary, unit_norm(integer_dictionary(learned)))
    assert coder.problem.sparsity_threshold == threshold_of(learned)
    np.testing.assert_array_equal(coder.encoder.offset, learned.encoder.offset)
    assert (coder.image_shape, coder.free_steps) == ((4, 4), artifact.manifest["chosen"]["steps"])
    payloads = coder.encoder.encode(blob_data.x_test)
    record = code(coder, coder.signals_of(payloads), coder.free_steps)
    np.testing.assert_array_equal(codes(coder, payloads), record.codes)
    if form == "spiking":
        assert results["spikes_per_image"] == record.n_spikes.mean()
    quality = stock_quality(coder, payloads[:20])
    problem, signals = coder.problem, coder.signals_of(payloads[:20])
    exact = lasso(problem.dictionary, problem.sparsity_threshold, signals, positive=True)
    least = problem.objective(signals, exact)
    assert quality.gap == pytest.approx(np.median(record.objective[:20] / least - 1))
    assert 0 <= quality.gap < 0.02
    assert stock_converged_share(coder, payloads) > 0.8 > stock_converged_share(replace(coder, free_steps=4), payloads)
