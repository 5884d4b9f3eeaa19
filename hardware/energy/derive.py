"""Bands derived from published runs: what they leave possible, whatever part of a total belongs to whom.

    static power      least and largest reading
    barrier           at most a whole step of a network whose cores hold a few dozen neurons
    synaptic time     at most a step over the additions of its fullest core
    memory read time  at most a step over the entries that this core reads
    synaptic energy   at most all dynamic energy over all additions; at least what neurons and spikes leave of it at the
                      low ends of their own bands

Numbers are rounded where `hardware.energy.constants` states them; the tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hardware.energy.constants import CONSTANTS, Band
from hardware.energy.counts import Counts
from hardware.energy.estimate import evaluate
from hardware.energy.workloads import PublishedRun, Workload

Ends = dict[str, tuple[float | None, float | None]]
LOW_ENDS = {name: band.low for name, band in CONSTANTS.items()}


def derived_ends(workloads: Iterable[Workload], leave_out: PublishedRun | None = None) -> Ends:
    """The low and the high end of each band that runs determine; None for an end that they leave open.

    leave_out: a run that is not looked at, so that it can be a test of the others.
    """
    found: dict[str, list[tuple[float | None, float | None]]] = {}
    for workload in workloads:
        for run in workload.runs:
            if run != leave_out:
                for name, ends in _of_run(run).items():
                    if name in workload.fits:
                        found.setdefault(name, []).append(ends)
    return {name: (_lowest(low for low, _ in ends), _highest(high for _, high in ends)) for name, ends in found.items()}


def derived_bands(ends: Ends, constants: Mapping[str, Band] = CONSTANTS) -> dict[str, Band]:
    """A set of constants with other ends where they are known."""
    bands = dict(constants)
    for name, (low, high) in ends.items():
        band = bands[name]
        bands[name] = replace(band, low=band.low if low is None else low, high=band.high if high is None else high)
    return bands


def _of_run(run: PublishedRun) -> Ends:
    """What one run says of each constant that it can say something of."""
    static, counts = run.static_power_w, run.counts()
    ends: Ends = {"static_power_chip": (static, static), "barrier_time": (None, run.step_time_s)}
    if run.step_time_s is None or counts is None or not counts.synaptic.any():
        return ends
    ends["synaptic_time"] = None, run.step_time_s / float(counts.synaptic.max())
    ends["memory_read_time"] = None, run.step_time_s / float(counts.memory_reads.max())
    if run.dynamic_energy is not None:
        additions = float(counts.synaptic.sum())
        least = run.dynamic_energy - _without_synapses(counts)
        ends["synaptic_energy"] = least / additions, run.dynamic_energy / additions
    return ends


def _without_synapses(counts: Counts) -> float:
    """The energy of neurons, spikes and messages of a step at the low ends of their bands, J."""
    parts, _ = evaluate(counts, LOW_ENDS)
    return parts["neurons"] + parts["spikes and messages"]


def _lowest(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _highest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
