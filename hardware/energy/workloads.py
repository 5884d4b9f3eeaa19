"""Workloads that others measured on Loihi 2 and published with their operations: `hardware/energy/published/*.toml`.

    title, source, read, uncertainty, notes     what it is, where it stands, printed or digitised, how well
    fits, held_out                              bands derived from it; readings that no band is derived from
    [[groups]]  cores, neurons, synaptic, ...   operations per step on each core: one number for all, or one a core
    [[runs]]    name, commit, step_time_s, static_power_w, dynamic_power_w, total_power_w; groups of its own

Operations that a source does not state are 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hardware.energy.counts import FIELDS, Counts
from neuro.base.arrays import Reals
from neuro.base.toml import read_toml

FOLDER = Path(__file__).parent / "published"


@dataclass(frozen=True)
class PublishedRun:
    """A run as it was measured: s, W; None where it was not. power_w: of everything together, static and dynamic."""

    workload: str
    name: str
    commit: str
    step_time_s: float | None
    static_power_w: float | None
    dynamic_power_w: float | None
    power_w: float | None
    groups: tuple[Mapping[str, Any], ...]

    @property
    def title(self) -> str:
        """The workload and the name of the run."""
        return f"{self.workload}, {self.name}"

    @property
    def dynamic_energy(self) -> float | None:
        """Dynamic energy of a step, J."""
        return self._energy(self.dynamic_power_w)

    @property
    def energy(self) -> float | None:
        """Energy of a step, static power included, J."""
        return self._energy(self.power_w)

    def _energy(self, power_w: float | None) -> float | None:
        return None if power_w is None or self.step_time_s is None else power_w * self.step_time_s

    def counts(self) -> Counts | None:
        """The operations of one step, as one image of one step; None where none are published."""
        if not self.groups:
            return None
        columns = {key: np.concatenate([_per_core(g, key) for g in self.groups]) for key in (*FIELDS, "neurons")}
        silent = np.zeros((1, 1))
        values: dict[str, Any] = {key: columns[key][None, None] for key in FIELDS}
        values["messages_out"] = np.maximum(values["messages_out"], values["spikes"])  # at least one a spike
        return Counts(
            **values,
            learning=np.zeros(values["spikes"].shape),
            links=silent,
            host_in=silent,
            host_out=np.zeros(1),
            neurons=columns["neurons"].astype(np.int64),
            n_chips=1,
        )


def _per_core(group: Mapping[str, Any], key: str) -> Reals:
    return np.broadcast_to(np.asarray(group.get(key, 0), dtype=np.float64), (group["cores"],))


@dataclass(frozen=True)
class Workload:
    """A published workload with all its runs. See the module docstring."""

    title: str
    source: str
    read: str
    uncertainty: str
    notes: tuple[str, ...]
    fits: tuple[str, ...]
    held_out: tuple[str, ...]
    runs: tuple[PublishedRun, ...]


@cache
def published() -> tuple[Workload, ...]:
    """All published workloads, by the names of their files."""
    return tuple(_workload(read_toml(path)) for path in sorted(FOLDER.glob("*.toml")))


def _workload(content: Mapping[str, Any]) -> Workload:
    groups = content.get("groups", [])
    return Workload(
        title=content["title"],
        source=content["source"],
        read=content["read"],
        uncertainty=content["uncertainty"],
        notes=tuple(content["notes"]),
        fits=tuple(content.get("fits", ())),
        held_out=tuple(content.get("held_out", ())),
        runs=tuple(_run(content["title"], run, groups) for run in content["runs"]),
    )


def _run(workload: str, run: Mapping[str, Any], groups: list[Mapping[str, Any]]) -> PublishedRun:
    static, dynamic, total = (run.get(f"{kind}_power_w") for kind in ("static", "dynamic", "total"))
    if total is None and static is not None and dynamic is not None:
        total = static + dynamic
    return PublishedRun(
        workload, run["name"], run["commit"], run.get("step_time_s"), static, dynamic, total,
        tuple(run.get("groups", groups)),
    )  # fmt: skip
