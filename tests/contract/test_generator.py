"""Inputs that draw spikes: every backend draws the same ones, as the law says."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.errors import UserError
from neuro.base.fixed_point import CHANCE_BITS, image_keys
from neuro.spec.neurons import Generator, generated
from neuro.spec.schedule import Phase, Schedule
from sim.backends.protocol import get_backend
from sim.contract.generator import chances_and_targets, generator_spec
from sim.contract.sigma_delta import check_learning, check_run, random_rates, run_fully

SEEDS = st.integers(0, 2**32 - 1)
ONE_WINDOW = 16


@pytest.mark.parametrize("backend", ["events", "torch", "snntorch"])
@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_all_draw_and_settle_as_the_reference_does(backend, seed):
    spec = generator_spec(seed)
    chances, targets = chances_and_targets(spec, seed, 4)
    check_run(get_backend(backend), spec, chances, targets, seed=seed, first_image=seed % 1000)


@pytest.mark.parametrize(("backend", "batch_size"), [("events", 1), ("events", 3), ("torch", 3)])
@settings(max_examples=6, deadline=None)
@given(SEEDS)
def test_all_learn_from_drawn_spikes_as_the_reference_does(backend, batch_size, seed):
    spec = generator_spec(seed)
    chances, targets = chances_and_targets(spec, seed, 5)
    rates = random_rates(spec, seed)
    check_learning(get_backend(backend), spec, chances, targets, rates, seed=seed, batch_size=batch_size)


@pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava needs Python 3.10")
@pytest.mark.lava
@pytest.mark.timeout(240)
def test_lava_draws_the_same_spikes():
    spec = generator_spec(1)
    chances, targets = chances_and_targets(spec, 1, 2)
    differences = check_run(get_backend("lava"), spec, chances, targets, seed=3, first_image=7)
    assert differences.n_spikes > 100


def test_an_image_draws_the_same_whatever_stands_beside_it():
    spec = generator_spec(5)
    chances, _ = chances_and_targets(spec, 5, 6)
    whole = run_fully(get_backend("events"), spec, chances, None, seed=2, first_image=10)
    alone = run_fully(get_backend("events"), spec, chances[4:5], None, seed=2, first_image=14)
    rows = whole.spikes.rows()
    np.testing.assert_array_equal(rows[rows[:, 0] == 4][:, 1:], alone.spikes.rows()[:, 1:])
    other = run_fully(get_backend("events"), spec, chances[4:5], None, seed=3, first_image=14)
    assert not np.array_equal(other.spikes.rows(), alone.spikes.rows())


def counts(chance: float, n_units: int = 400, n_images: int = 500) -> np.ndarray:
    """Counts of a window, of shape [images, units]."""
    keys, units = image_keys(0, 0, n_images)[:, None], np.arange(n_units, dtype=np.uint32)
    payload = round(chance * 2**CHANCE_BITS)
    return sum(generated(payload, keys, units, step).astype(int) for step in range(1, ONE_WINDOW + 1))


def test_counts_vary_as_those_of_bernoulli_spikes_do():
    drawn = counts(1 / ONE_WINDOW)
    assert drawn.mean() == pytest.approx(1.0, abs=0.01)
    assert drawn.var() / drawn.mean() == pytest.approx(0.9375, abs=0.01)


def test_units_images_and_steps_are_independent():
    drawn = counts(0.5) - 8.0
    assert abs((drawn[:, 1:] * drawn[:, :-1]).mean()) / drawn.var() < 0.01
    assert abs((drawn[1:] * drawn[:-1]).mean()) / drawn.var() < 0.01


def test_what_cannot_be_is_refused_in_one_line():
    with pytest.raises(UserError, match="drop the constant"):
        Generator(3, 16, constant=1)
    spec = generator_spec(2)
    window, first, second = spec.window, *spec.schedule.phases[1:]
    with pytest.raises(UserError, match=f"sends for {window} steps, the free phase lasts {window}"):
        replace(spec, schedule=Schedule((Phase("free", window), first, second)))
    chances, _ = chances_and_targets(spec, 2, 2)
    with get_backend("events").open(spec) as session, pytest.raises(UserError, match="exceed the limit 32767"):
        session.run(chances.astype(np.int32) + 2**15)
