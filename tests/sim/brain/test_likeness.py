"""Ceilings and intervals of alignment and geometry."""

import importlib.util

import numpy as np
import pytest

from sim.brain.ceilings import correlations, halves, reliability, subject_ceiling
from sim.brain.likeness import alignment, geometry, likeness_of_geometry
from sim.brain.similarity import dissimilarities


def recorded(noise=1.0, repeats=8, seed=0, units=10, n=60):
    generator = np.random.default_rng(seed)
    signal = generator.standard_normal((n, units))
    return signal, signal[:, :, None] + noise * generator.standard_normal((n, units, repeats))


def test_reliability_is_the_correlation_of_means_with_their_equals():
    """Of signal variance 1 and noise variance 1 over 8 repeats: 1 / (1 + 1/8)."""
    _, responses = recorded(n=2000)
    np.testing.assert_allclose(reliability(responses), 8 / 9, atol=0.02)
    assert reliability(responses[:, :, :1]) is None
    noise = np.random.default_rng(1).standard_normal((2000, 5, 8))
    assert reliability(noise).max() < 0.15


def test_halves_share_no_repeat_and_are_the_same_every_time():
    responses = np.arange(8.0).reshape(1, 1, 8)
    sums = [float(a[0, 0] + b[0, 0]) for a, b in halves(responses)]
    assert sums == [7.0] * 10
    assert len({float(a[0, 0]) for a, _ in halves(responses)}) > 1
    assert list(halves(responses[:, :, :1])) == []


def test_correlations_leave_missing_pairs_out():
    first, second = np.random.default_rng(2).standard_normal((2, 20, 3))
    second[4, 1] = np.nan
    expected = [np.corrcoef(first[:, 0], second[:, 0])[0, 1], np.corrcoef(np.delete(first[:, 1], 4),
                np.delete(second[:, 1], 4))[0, 1], 0.0]  # fmt: skip
    first[:, 2] = 5.0
    np.testing.assert_allclose(correlations(first, second), expected, atol=1e-12)


@pytest.mark.parametrize("measure", [alignment, geometry])
def test_the_signal_itself_is_near_or_above_the_ceiling_and_noise_near_nothing(measure):
    signal, responses = recorded()
    found = measure(signal, responses)
    assert found.ceiling is not None
    assert found.value > found.ceiling > 0.4
    assert found.interval[0] < found.value < found.interval[1]
    other = measure(np.random.default_rng(5).standard_normal((60, 10)), responses)
    assert abs(other.value) < 0.15
    assert other.interval[0] < 0.05
    alone = measure(signal, responses[:, :, :1])
    assert (alone.ceiling, alone.reason) == (None, "no repeats: no ceiling")


def test_what_cannot_be_measured_says_why():
    signal, responses = recorded()
    assert alignment(signal[:3], responses[:3]).reason == "3 images, alignment needs at least 4"
    assert geometry(signal[:3], responses[:3]).reason == "3 images, dissimilarities need at least 4"
    assert "one unit" in geometry(signal[:, :1], responses).reason
    assert geometry(np.ones((60, 5)), responses).reason == "patterns do not vary"
    assert alignment(signal[:12], responses[:12]).interval is None


def test_subjects_give_a_ceiling_of_two_ends():
    _, responses = recorded(units=12)
    subjects = ("a",) * 4 + ("b",) * 4 + ("c",) * 4
    found = geometry(responses.mean(axis=2), responses, subjects)
    assert -0.2 < found.ceiling < found.upper < 1
    assert found.to_json()["ceiling_upper"] == found.upper
    assert f"to {found.upper:.3f}" in found.describe()


def test_dissimilarities_of_subjects_are_held_against_as_responses_are():
    signal, responses = recorded()
    each = np.array([dissimilarities(responses[:, :, repeat]) for repeat in range(3)])
    found = likeness_of_geometry(signal, each)
    assert found.value > 0.5
    assert found.ceiling < found.upper
    assert found.interval[0] < found.value < found.interval[1]
    alone = likeness_of_geometry(signal, each[:1])
    assert alone.value == pytest.approx(geometry(signal, responses[:, :, :1]).value, abs=1e-12)
    assert alone.reason == "one set of dissimilarities: no ceiling"
    assert likeness_of_geometry(np.ones((60, 3)), each).value is None


@pytest.mark.skipif(importlib.util.find_spec("rsatoolbox") is None, reason="rsatoolbox is of the extra brain")
def test_the_subject_ceiling_is_that_of_rsatoolbox():
    from rsatoolbox.inference.noise_ceiling import boot_noise_ceiling
    from rsatoolbox.rdm import RDMs

    each = np.array([dissimilarities(recorded(seed=seed)[1].mean(axis=2)) for seed in (1, 2, 3)])
    lower, upper = boot_noise_ceiling(RDMs(each), method="spearman")
    assert subject_ceiling(each) == pytest.approx((lower, upper), abs=1e-10)
