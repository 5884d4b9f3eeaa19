"""Published workloads: what their files say, and the bands that follow from them against the constants in use."""

import pytest

from hardware.energy.constants import CONSTANTS
from hardware.energy.derive import derived_bands, derived_ends
from hardware.energy.estimate import estimate, evaluate
from hardware.energy.workloads import published

WORKLOADS = {workload.title: workload for workload in published()}
PILOTNET = WORKLOADS["PilotNet SNN"]
DIGITISED = 0.02


@pytest.mark.parametrize("workload", published(), ids=lambda workload: workload.title)
def test_every_workload_says_where_it_is_from_and_how_it_was_read(workload):
    for text in (workload.source, workload.read, workload.uncertainty, *workload.notes):
        assert len(text) > 10
    assert set(workload.fits) <= set(CONSTANTS)
    assert workload.fits or workload.held_out
    assert workload.runs
    for run in workload.runs:
        assert len(run.commit) == 7
        assert run.static_power_w or run.step_time_s


def test_the_sums_of_pilotnet_are_those_its_notebook_prints():
    counts = PILOTNET.runs[0].counts()
    assert len(counts.neurons) == 74
    assert counts.neurons.sum() == 158_509
    assert counts.synaptic.sum() == pytest.approx(2.29e6, rel=0.01)
    assert counts.synaptic.max() == pytest.approx(151e3, rel=0.01)
    assert [1 / run.step_time_s / 16 for run in PILOTNET.runs] == pytest.approx([415.51, 413.76, 408.91], rel=1e-3)


@pytest.mark.parametrize(
    "name", ["static_power_chip", "synaptic_time", "synaptic_energy", "memory_read_time", "barrier_time"]
)
def test_constants_are_what_published_runs_leave_possible(name):
    low, high = derived_ends(published())[name]
    band = CONSTANTS[name]
    assert high == pytest.approx(band.high, rel=DIGITISED)
    if low is not None:
        assert low == pytest.approx(band.low, rel=DIGITISED)


def test_at_least_two_of_three_totals_of_pilotnet_lie_in_the_band():
    band = estimate(PILOTNET.runs[0].counts())
    inside = [band.energy.low <= run.energy <= band.energy.high for run in PILOTNET.runs]
    assert sum(inside) >= 2
    assert all(band.latency.low <= run.step_time_s <= band.latency.high for run in PILOTNET.runs)


def test_a_run_that_is_left_out_is_not_looked_at():
    least = min(PILOTNET.runs, key=lambda run: run.dynamic_energy)
    without, whole = derived_ends(published(), least), derived_ends(published())
    assert without["synaptic_energy"][0] > 2 * whole["synaptic_energy"][0]
    assert without["synaptic_energy"][1] == whole["synaptic_energy"][1]
    bands = derived_bands(without)
    assert bands["synaptic_energy"].low == without["synaptic_energy"][0]
    assert bands["neuron_time"] == CONSTANTS["neuron_time"]


def test_the_step_that_was_held_out_lies_in_the_band():
    (run,) = WORKLOADS["quadratic program, 264 variables"].runs
    ends = [evaluate(run.counts(), {name: band.at(end) for name, band in CONSTANTS.items()})[1] for end in (0, 1)]
    assert ends[0] < run.step_time_s < ends[1]
    assert run.energy is None
