"""The energy model: bands that hold whatever the constants are, and parts that add up."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.energy.constants import CONSTANTS
from hardware.energy.counts import FIELDS, Counts
from hardware.energy.estimate import PARTS, estimate, evaluate, sensitivity, step_times
from neuro.base.errors import UserError

SEEDS = st.integers(0, 2**31)


def random_counts(seed: int, scale: int = 1000) -> Counts:
    generator = np.random.default_rng(seed)
    shape = tuple(generator.integers(1, 6, 3))
    drawn = {name: generator.integers(0, scale, shape).astype(float) for name in (*FIELDS, "learning")}
    return Counts(
        **drawn,
        links=generator.integers(0, scale, shape[:2]).astype(float),
        host_in=generator.integers(0, 9, shape[:2]).astype(float),
        host_out=np.full(shape[0], 10.0),
        neurons=generator.integers(1, 500, shape[2]),
        n_chips=int(generator.integers(1, 4)),
        products=int(generator.integers(1, 8)),
    )


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_the_band_holds_for_any_constants_within_theirs(seed):
    counts = random_counts(seed)
    generator = np.random.default_rng(seed)
    parts, latency_s = evaluate(counts, {name: band.at(generator.random()) for name, band in CONSTANTS.items()})
    found = estimate(counts)
    for name in PARTS:
        assert found.parts[name].low <= parts[name] * (1 + 1e-9)
        assert parts[name] <= found.parts[name].high * (1 + 1e-9)
    assert found.energy.low <= sum(parts.values()) * (1 + 1e-9)
    assert found.latency.low <= latency_s * (1 + 1e-9) <= found.latency.high * (1 + 1e-6)
    assert found.energy.high == pytest.approx(sum(part.high for part in found.parts.values()))
    assert found.energy_delay.high == pytest.approx(found.energy.high * found.latency.high)


@given(SEEDS)
def test_dynamic_energy_is_operations_times_constants_by_hand(seed):
    counts = random_counts(seed)
    low = estimate(counts).parts
    n = counts.n_images
    assert low["synapses"].low == pytest.approx(11e-12 * counts.synaptic.sum() / n)
    assert low["neurons"].low == pytest.approx(52e-12 * counts.neurons.sum() * counts.n_steps)
    assert low["learning"].low == pytest.approx(120e-12 * counts.learning.sum() / n)
    assert low["learning"].high == pytest.approx(120e-12 * counts.learning.sum() / n * counts.products)
    messages = 29 * counts.spikes + 1.7 * counts.messages_out + 3 * counts.hops_row + 4 * counts.hops_column
    assert low["spikes and messages"].low == pytest.approx(1e-12 * messages.sum() / n)


@given(SEEDS)
def test_the_busiest_core_sets_the_pace_and_an_idle_step_takes_the_barrier(seed):
    counts = random_counts(seed, scale=10**6)
    values = {name: band.low for name, band in CONSTANTS.items()}
    worst = np.maximum(
        values["synaptic_time"] * counts.synaptic.max(axis=2), values["learning_time"] * counts.learning.max(axis=2)
    )
    assert (step_times(counts, values) >= np.maximum(worst, 200e-9) * (1 - 1e-12)).all()
    silent = replace(counts, **{name: 0 * getattr(counts, name) for name in (*FIELDS, "learning", "links")})
    idle = np.maximum(200e-9, values["neuron_time"] * counts.neurons.max())
    np.testing.assert_allclose(step_times(silent, values), idle)
    slow = {name: band.high for name, band in CONSTANTS.items()}
    assert (step_times(silent, slow) >= 1.8e-6).all()


@given(SEEDS)
def test_reads_overlap_with_their_additions_and_the_fullest_link_may_set_the_pace(seed):
    counts = random_counts(seed)
    values = {name: band.high for name, band in CONSTANTS.items()} | {"in_sequence": 0.0}
    slow_link = step_times(counts, {**values, "link_time": 1.0})
    np.testing.assert_allclose(slow_link[counts.links > 0], counts.links[counts.links > 0])
    in_turn = {**values, "in_sequence": 1.0}
    without = replace(counts, memory_reads=0 * counts.memory_reads)
    few = replace(counts, memory_reads=counts.synaptic * values["synaptic_time"] / values["memory_read_time"])
    np.testing.assert_allclose(step_times(without, in_turn), step_times(few, in_turn))
    assert (step_times(counts, in_turn) >= step_times(without, in_turn)).all()


def test_one_more_idle_core_costs_nothing_and_one_more_chip_static_power_only():
    counts = random_counts(5)
    padded = {name: np.concatenate([getattr(counts, name), 0 * getattr(counts, name)], axis=2) for name in
              (*FIELDS, "learning")}  # fmt: skip
    wide = replace(counts, **padded, neurons=np.concatenate([counts.neurons, 0 * counts.neurons]))
    first, second, third = (estimate(c) for c in (counts, wide, replace(counts, n_chips=counts.n_chips + 1)))
    assert first.latency == second.latency == third.latency
    for name in PARTS:
        assert first.parts[name].low == pytest.approx(second.parts[name].low)
        assert (first.parts[name].low == pytest.approx(third.parts[name].low)) == (name != "static")


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_sensitivity_ranks_constants_and_no_constant_moves_more_than_the_band(seed):
    counts = random_counts(seed)
    rows, energy = sensitivity(counts), estimate(counts).energy
    assert {row.constant for row in rows} == set(CONSTANTS)
    assert [row.swing for row in rows] == sorted((row.swing for row in rows), reverse=True)
    for row in rows:
        assert energy.low * (1 - 1e-9) <= row.energy_low <= row.energy_high <= energy.high * (1 + 1e-9)
        if CONSTANTS[row.constant].low == CONSTANTS[row.constant].high:
            assert row.swing == 1


def test_an_estimate_says_what_it_is():
    found = estimate(random_counts(0))
    content = found.to_json()
    assert content["energy"]["kind"] == content["latency"]["kind"] == "modelled"
    assert any("Davies" in source for source in found.energy.sources)
    assert "(modelled)" in str(found.energy)
    with pytest.raises(UserError, match="choose one of loihi2"):
        estimate(random_counts(0), "free")
