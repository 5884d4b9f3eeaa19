"""Published readings of Loihi 2 beside what the model says of the same operations: one row a reading.

A band that was derived from a workload is no test of it. So every row also has the band that the other runs give alone,
this one left out; and rows of workloads that no band is derived from, or of readings that none is, say `held out`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hardware.energy.constants import CONSTANTS, Band
from hardware.energy.derive import derived_bands, derived_ends
from hardware.energy.estimate import evaluate
from hardware.energy.workloads import PublishedRun, Workload, published
from neuro.base.quantities import Modelled, Reported, with_prefix

TIME, DYNAMIC, STATIC, ENERGY, POWER = "step time", "dynamic energy", "static power", "total energy", "total power"


def readings_of(run: PublishedRun) -> dict[str, tuple[float, str]]:
    """The readings of a run by name: number and unit."""
    static = run.static_power_w
    total = (POWER, run.power_w, "W") if static is None else (ENERGY, run.energy, "J")
    found = ((TIME, run.step_time_s, "s"), (DYNAMIC, run.dynamic_energy, "J"), (STATIC, static, "W"), total)
    return {name: (value, unit) for name, value, unit in found if value is not None}


def modelled(run: PublishedRun, bands: Mapping[str, Band], reading: str) -> tuple[float, float] | None:
    """The ends of a reading by the model, of one step; None where no operations are published."""
    static = bands["static_power_chip"]
    if reading == STATIC:
        return static.low, static.high
    counts = run.counts()
    if counts is None:
        return None
    ends = []
    for share in (0.0, 1.0):
        parts, step_s = evaluate(counts, {name: band.at(share) for name, band in bands.items()})
        dynamic = sum(parts.values()) - parts["static"]
        power = static.at(share) + (dynamic / run.step_time_s if run.step_time_s else 0.0)
        ends.append({TIME: step_s, DYNAMIC: dynamic, ENERGY: dynamic + parts["static"], POWER: power}[reading])
    return ends[0], ends[1]


def published_rows() -> list[dict[str, Any]]:
    """Every published reading against the band in use, and against the band without its run."""
    return [
        _row(workload, run, reading)
        for workload in published()
        for run in workload.runs
        for reading in readings_of(run)
        if modelled(run, CONSTANTS, reading) is not None
    ]


def _row(workload: Workload, run: PublishedRun, reading: str) -> dict[str, Any]:
    value, unit = readings_of(run)[reading]
    band = modelled(run, CONSTANTS, reading)
    without = modelled(run, derived_bands(derived_ends(published(), leave_out=run)), reading)
    assert band is not None  # by the caller
    assert without is not None
    return {
        "workload": workload.title,
        "run": run.name,
        "reading": reading,
        "measured": Reported(value, unit, f"{workload.source}, {run.commit}; {workload.read}").to_json(),
        "band": Modelled(*band, unit).to_json(),
        "inside": band[0] <= value <= band[1],
        "middle_error": math.sqrt(band[0] * band[1]) / value - 1,
        "outside_by": _outside(value, band),
        "held_out": reading in workload.held_out,
        "without_this_run": {"band": Modelled(*without, unit).to_json(), "outside_by": _outside(value, without)},
    }


def _outside(value: float, band: tuple[float, float]) -> float:
    """How far the nearer end of a band is from a reading outside it, relative to the reading; 0 inside."""
    low, high = band
    return max(low / value - 1, 0.0) + min(high / value - 1, 0.0)


def line_of(row: Mapping[str, Any]) -> str:
    """A row in words."""
    ends = [with_prefix(row["band"][end], row["band"]["unit"]) for end in ("low", "high")]
    held = "held out" if row["held_out"] else f"without this run {_verdict(row['without_this_run']['outside_by'])}"
    measured = with_prefix(row["measured"]["value"], row["measured"]["unit"])
    return (
        f"{row['workload']}, {row['run']}: {row['reading']} {measured} measured, {ends[0]} to {ends[1]} modelled, "
        f"{_verdict(row['outside_by'])}, middle {100 * row['middle_error']:+.0f} % ({held})"
    )


def _verdict(outside_by: float) -> str:
    return f"outside by {100 * outside_by:+.1f} %" if outside_by else "inside"
