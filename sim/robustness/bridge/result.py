"""What an attack found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neuro.base.metrics import Accuracy
from neuro.base.shown import Lines, Shown
from sim.robustness.analysis.subject import Analysis
from sim.robustness.attacks.threats import Threat
from sim.robustness.bridge.config import AttackConfig
from sim.robustness.bridge.grid import Grid
from sim.robustness.bridge.minimal import curve_of
from sim.robustness.judging.table import RobustnessTable
from sim.robustness.judging.verdict import Verdict


@dataclass(frozen=True, eq=False, repr=False)
class AttackResult(Shown):
    """What a finished attack run found. units: sizes in the units of the data, in words, "" where these are pixels.

    grid: how sizes lie on the encoder's grid; None where payloads do not belong to pixels.
    """

    run: str
    config: AttackConfig
    table: RobustnessTable
    verdict: Verdict
    folder: Path
    analysis: Analysis
    units: Mapping[Threat, str] = field(default_factory=dict)
    grid: Grid | None = None

    @property
    def clean(self) -> float:
        """Accuracy on the images as they are."""
        return float(self.table.clean.mean())

    @property
    def robust(self) -> dict[float, float]:
        """Accuracy on the worst image of all attacks, by eps."""
        return {threat.eps: self.table.robust(threat).value for threat in self.config.threats}

    @property
    def intervals(self) -> dict[float, tuple[float, float]]:
        """95 % intervals of `robust`."""
        return {threat.eps: self.table.robust(threat).interval for threat in self.config.threats}

    @property
    def by_attack(self) -> dict[str, dict[float, float]]:
        """Accuracy under each attack alone, by its name and eps."""
        accuracies: dict[str, dict[float, float]] = {}
        for threat in self.config.threats:
            for name, accuracy in self.table.by_attack(threat).items():
                accuracies.setdefault(name, {})[threat.eps] = accuracy.value
        return accuracies

    @property
    def smallest(self) -> dict[str, dict[str, Any]] | None:
        """By norm, the median smallest change that turns the deployed label, the share of images it was found for, and
        accuracy against size; None if they were not looked for.
        """
        if not self.table.smallest:
            return None
        return {
            norm: {"median": _finite(float(np.median(sizes))), "found": float(np.isfinite(sizes).mean()),
                   "curve": [list(point) for point in curve_of(sizes)]}
            for norm, sizes in self.table.smallest.items()
        }  # fmt: skip

    def lines(self) -> Lines:
        """See `Shown`: one line for each size, then the verdict and what speaks against it."""
        table = self.table
        clean = Accuracy(int(table.clean.sum()), len(table.clean))
        rows = [("run", self.run), ("clean", clean.describe())]
        for threat in self.config.threats:
            by_attack = table.by_attack(threat)
            strongest = min(by_attack, key=lambda name: by_attack[name].value)
            worst = f"{table.robust(threat).describe()}, strongest single attack {strongest}"
            rows.append((f"robust, {threat}", f"{worst} {by_attack[strongest].value:.4f}"))
            if self.units.get(threat):
                rows.append(("", f"{threat.eps:g} is {self.units[threat]}"))
        if self.smallest:
            medians = [f"{norm} {found['median'] or math.inf:.3g}" for norm, found in self.smallest.items()]
            rows.append(("smallest change, median", f"at most {', '.join(medians)}"))
        rows += self.grid.lines() if self.grid else []
        notes = [*self.verdict.reasons, *([self.verdict.note] if self.verdict.note else [])]
        return [*rows, ("verdict", str(self.verdict)), *(("", note) for note in notes)]

    def to_json(self) -> dict[str, Any]:
        """The object that `settle attack --json` prints."""
        table, threats = self.table, self.config.threats
        zero = [o.zero_gradient.clean_entries for o in table.outcomes if o.zero_gradient and o.threat in threats]
        return {
            "run": self.run,
            "n": len(table.labels),
            "clean": self.clean,
            "robust": {f"{eps:g}": value for eps, value in self.robust.items()},
            "robust_interval": {f"{eps:g}": list(ends) for eps, ends in self.intervals.items()},
            "by_attack": {f"{t.eps:g}": {k: a.value for k, a in table.by_attack(t).items()} for t in threats},
            "zero_gradient_share": min(zero) if zero else None,
            "fidelity": next(iter(table.clean_agreement.values())),
            "grid": self.grid.to_json() if self.grid else None,
            "smallest": self.smallest,
            **self.verdict.to_json(),
        }


def _finite(value: float) -> float | None:
    """None where there is no end."""
    return value if math.isfinite(value) else None
