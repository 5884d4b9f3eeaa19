"""What lies in the folder of a run: attacks on it and its place on a chip, read as files, and their pages."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from neuro.artifact.run_folder import Artifact
from neuro.base.errors import UserError
from neuro.base.files import parse_json, read_bytes
from sim.reports.figures.attack import robust_curve
from sim.reports.figures.canvas import COLOURS, render
from sim.reports.figures.curves import resource_bars
from sim.reports.section import Box, Cell, Fact, Panel, Table, code, link, marked
from sim.robustness.bridge.run import ATTACKS, RESULT, attack_key

DAMAGED = (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError)
ATTACK_PAGE, CHIP_PAGE, DEPLOYMENT = "attack.html", "compile.html", "deployment.json"
ATTACK_HEADERS = ("attack", "test images", "clean", "robust, by eps", "verdict", "page")
ATTACK_NOTE = (
    "Robust: share of images that no attack moved to another class, image by image, scored on the deployed integers; "
    "measured. The verdict says whether the attacks themselves can be trusted."
)
ROBUST = (
    "Share of test images still classified correctly when no pixel moves by more than eps (l2: the whole image), worst "
    "of all attacks, with its 95 % interval. Measured on the deployed integers."
)
MODELLED = "modelled: placed by our own partition, within public limits; no chip was involved"
RESOURCES = (
    "What the fullest core uses of each resource. Modelled: our own partition, within public limits; no chip was "
    "involved, and Lava's compiler may cut otherwise."
)
POPULATIONS = ("population", "neurons", "process", "stock", "evidence")


@dataclass(frozen=True)
class Beside:
    """Facts, figures and a box to add to the section of a run."""

    facts: Sequence[Fact]
    panels: Sequence[Panel]
    box: Box


def attacks_of(folder: Path, artifact: Artifact, page: Path) -> Beside | None:
    """The finished attacks on the present weights of a run; None if there are none. page: where links start from.

    Raises: UserError if a result cannot be read.
    """
    attacks = []
    weights = artifact.manifest["files"]["weights.npz"]
    for path in sorted((folder / ATTACKS).glob(f"*/{RESULT}")):
        content = parse_json(read_bytes(path), path)
        try:
            if path.parent.name == attack_key(content["config"], weights):
                attacks.append(_Attack(path.parent, content))
        except DAMAGED as error:
            raise UserError(f"{path}: holds a damaged attack ({error}); delete the file and attack again") from error
    if not attacks:
        return None
    largest = max(attacks, key=lambda attack: attack.n)
    panels = [
        Panel("Robust accuracy", render(_draw, norm, [attack for attack in attacks if attack.norm == norm]), ROBUST)
        for norm in dict.fromkeys(attack.norm for attack in attacks)
    ]
    rows = [attack.row(page) for attack in attacks]
    return Beside(largest.facts(), panels, Box("Attacks", [Table(ATTACK_HEADERS, rows, ATTACK_NOTE)]))


class _Attack:
    """A result of `settle attack`, as its file holds it."""

    def __init__(self, folder: Path, content: Mapping[str, Any]) -> None:
        self.folder, self.name, self.norm = folder, content["config"]["attacks"], content["config"]["norm"]
        self.n, self.clean = int(content["n"]), float(content["clean"])
        self.robust = {float(eps): float(value) for eps, value in content["robust"].items()}
        self.intervals = {float(eps): (low, high) for eps, (low, high) in content["robust_interval"].items()}
        self.verdict, self.reasons = content["verdict"], content["reasons"]

    @property
    def trust(self) -> Cell:
        """The verdict, in its colour."""
        return marked(self.verdict, not self.reasons)

    def facts(self) -> list[Fact]:
        """Robust accuracy under the smallest change, and the verdict."""
        eps = min(self.robust)
        interval = "{:.4f} to {:.4f}".format(*self.intervals[eps])
        meaning = (
            f"robust accuracy at {self.norm} {eps:g}, measured; 95 % interval {interval}, n = {self.n}, attacks "
            f"{self.name}"
        )
        reasons = "; ".join(self.reasons) or "all checks for gradient masking passed"
        return [(f"{self.robust[eps]:.4f}", meaning), (self.trust, f"the attacks {self.name}: {reasons}")]

    def row(self, page: Path) -> tuple[Cell, ...]:
        """The row of the table."""
        robust = ", ".join(f"{self.norm} {eps:g}: {value:.4f}" for eps, value in self.robust.items())
        report = self.folder / ATTACK_PAGE
        where = link(_from(page, report), ATTACK_PAGE) if report.is_file() else ""
        return self.name, str(self.n), f"{self.clean:.4f}", robust, self.trust, where


def _draw(axes: Axes, norm: str, attacks: Sequence[_Attack]) -> None:
    for index, attack in enumerate(attacks):
        label, colour = f"{attack.name}, n = {attack.n}", COLOURS[index % len(COLOURS)]
        robust_curve(axes, norm, attack.clean, attack.robust, attack.intervals, label, colour)
    axes.legend(frameon=False)


def chip_of(folder: Path, page: Path) -> Beside | None:
    """The place of a run on a chip, as `settle compile` left it; None if it did not. page: where links start from.

    Raises: UserError if it cannot be read.
    """
    path = folder / DEPLOYMENT
    if not path.is_file():
        return None
    content = parse_json(read_bytes(path), path)
    try:
        cores, chips = content["cores"], content["chips"]
        limits = {name: used for name, used in content["limits"].items() if name != "cores"}
        rows = [
            (p["name"], f"{p['neurons']:,}", p["process"], "yes" if p["stock"] else "no", p["evidence"])
            for p in content["populations"]
        ]
        fact = f"{cores:,} core{'' if cores == 1 else 's'}"
        panel = Panel("On a chip: the fullest core", render(resource_bars, limits), RESOURCES)
    except DAMAGED as error:
        raise UserError(f"{path}: damaged ({error}); delete it, or compile the run again") from error
    report = folder / CHIP_PAGE
    text: Cell = "Not priced yet: " + code(f"settle compile {folder} --report")
    if report.is_file():
        text = "Cores by load, energy and latency, modelled as bands: " + link(_from(page, report), CHIP_PAGE)
    box = Box("On a chip", [Table(POPULATIONS, rows, f"Populations on {content['target']}; {MODELLED}.")], text)
    return Beside([(fact, f"on {chips} chip(s), {MODELLED}")], [panel], box)


def _from(page: Path, target: Path) -> str:
    return Path(os.path.relpath(target, page.parent)).as_posix()
