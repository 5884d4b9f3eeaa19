"""Energy is what a counter rose by, less idle; else there is no number."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_meters import Clock, Steady

from benchmarks.bench import meters
from benchmarks.bench.meters import Reading, Tally, gross_energy, measure_idle, net_energy
from neuro.base.quantities import Measured, NotMeasurable


def worked(power_w: float, period: float, seconds: float, call_s: float = 0.013) -> Reading | NotMeasurable:
    """A window of calls of call_s seconds on a machine that takes power_w."""
    clock = Clock()
    tally = Tally(Steady(clock, power_w, period), clock)
    while clock.now < seconds:
        clock.sleep(call_s)
        tally.look()
    return tally.finish()


@settings(max_examples=50)
@given(st.floats(1.0, 1000.0), st.floats(1.0, 300.0), st.floats(1e-3, 0.1), st.integers(1, 10**6))
def test_net_energy_is_what_work_takes_above_idle(work_w, idle_w, period, n_images):
    seconds, clock = 6.0, Clock()
    idle = measure_idle(Steady(clock, idle_w, period), seconds, clock, clock.sleep)
    reading = worked(idle_w + work_w, period, seconds)
    found = net_energy(reading, idle, n_images)
    uncertain = (reading.longest_gap_s * reading.power_w) + period * idle.power_w + 0.06 * idle_w
    if isinstance(found, NotMeasurable):  # the difference lies within what the counter resolves
        assert work_w * seconds <= 3 * reading.longest_gap_s * reading.power_w + uncertain
    else:
        assert found.value * n_images == pytest.approx(work_w * reading.window_s, abs=2 * uncertain)
        assert (found.unit, found.n) == ("J", n_images)
        assert "idle" in found.meter
        assert "counter updates" in found.meter
    gross = gross_energy(reading, n_images)
    assert gross.value * n_images == pytest.approx(reading.gross_j)


def test_updates_are_counted_as_they_are_seen():
    reading = worked(100.0, 0.1, 5.0)
    assert 45 <= reading.updates <= 50
    assert 0.1 <= reading.longest_gap_s <= 0.2
    assert reading.power_w == pytest.approx(100.0, rel=0.05)


@pytest.mark.parametrize(("period", "seconds"), [(1.0, 5.0), (0.1, 1.0), (100.0, 5.0)])
def test_too_few_updates_give_no_number(period, seconds):
    found = worked(100.0, period, seconds)
    assert isinstance(found, NotMeasurable)
    assert "--seconds" in found.reason
    assert net_energy(found, found, 1) is found


def test_work_that_draws_no_more_than_idle_gives_no_number():
    reading = worked(50.0, 0.01, 5.0)
    found = net_energy(reading, reading, 10)
    assert isinstance(found, NotMeasurable)
    assert "no more than idle" in found.reason


def test_an_idle_power_that_could_not_be_measured_leaves_no_net_energy():
    found = net_energy(worked(50.0, 0.01, 5.0), NotMeasurable("too short"), 10)
    assert found == NotMeasurable("idle power: too short")
    assert isinstance(gross_energy(worked(50.0, 0.01, 5.0), 10), Measured)


def test_the_counter_is_not_read_between_every_two_calls(monkeypatch):
    clock, reads = Clock(), []
    counter = Steady(clock, 10.0, 0.001)
    monkeypatch.setattr(counter, "read", lambda: reads.append(clock.now) or clock.now)
    tally = Tally(counter, clock)
    for _ in range(10_000):
        clock.sleep(1e-4)
        tally.look()
    assert len(reads) <= 1.0 / meters.READ_EVERY_S + 2
