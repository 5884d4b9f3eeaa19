"""What lies in the folder of a run: attacks on it and its place on a chip, read as files, and their pages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from matplotlib.axes import Axes

from neuro.artifact.run_folder import Artifact
from neuro.base.errors import UserError
from neuro.base.files import parse_json, read_bytes, shown
from neuro.base.schema import Amount, Count, require_form
from sim.reports.attacked import DAMAGED, Attack, attacks_in
from sim.reports.figures.attack import robust_curve
from sim.reports.figures.canvas import render
from sim.reports.figures.curves import resource_bars
from sim.reports.figures.energy import TOTAL, energy_bars, energy_size, in_words
from sim.reports.priced import WORKS, Price, prices_in
from sim.reports.section import Box, Cell, Fact, Panel, Table, code, link

ATTACK_PAGE, CHIP_PAGE, DEPLOYMENT = "attack.html", "compile.html", "deployment.json"
ATTACK_HEADERS = ("attack", "size of the change", "test images", "clean", "robust", "95 % interval", "verdict", "page")
ATTACK_NOTE = (
    "Robust: share of images that no attack moved to another class, image by image, scored on the deployed integers; "
    "measured. The verdict says whether the attacks themselves can be trusted."
)
ROBUST = (
    "Share of test images still classified correctly when no pixel moves by more than eps (l2: the whole image), worst "
    "of all attacks, with its 95 % interval. Points: measured on the deployed integers; lines only join them."
)
MODELLED = "modelled: placed by our own partition, within public limits; no chip was involved"
RESOURCES = (
    "What the fullest core uses of each resource. Modelled: our own partition, within public limits; no chip was "
    "involved, and Lava's compiler may cut otherwise."
)
ENERGY = (
    "Modelled, as bands between public constants, from the spikes of {n} test images; no chip was involved. Low: every "
    "constant at its low end, unused cores switched off. High: every constant at its high end, static power of whole "
    "chips."
)
POPULATIONS = ("population", "neurons", "process", "stock", "evidence")


class PlanForm(TypedDict):
    """A population in deployment.json."""

    name: str
    neurons: Count
    process: str
    stock: bool
    evidence: str


class ChipForm(TypedDict):
    """What deployment.json holds."""

    target: str
    cores: Count
    chips: Count
    limits: dict[str, tuple[Amount, Amount]]
    populations: list[PlanForm]


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
    attacks = attacks_in(folder, artifact)
    if not attacks:
        return None
    largest = max(attacks, key=lambda attack: attack.n)
    panels = [
        Panel("Robust accuracy", render(_draw, norm, [attack for attack in attacks if attack.norm == norm]), ROBUST)
        for norm in dict.fromkeys(attack.norm for attack in attacks)
    ]
    rows = [row for attack in attacks for row in _rows(attack, page)]
    return Beside(_facts(largest), panels, Box("Attacks", [Table(ATTACK_HEADERS, rows, ATTACK_NOTE)]))


def _facts(attack: Attack) -> list[Fact]:
    """Robust accuracy under the smallest change, and the verdict."""
    eps = min(attack.robust)
    interval = "{:.4f} to {:.4f}".format(*attack.intervals[eps])
    meaning = (
        f"robust accuracy at {attack.norm} {eps:g}, measured; 95 % interval {interval}, n = {attack.n}, attacks "
        f"{attack.name}"
    )
    reasons = attack.reasons[0] if attack.reasons else "all checks for gradient masking passed"
    if len(attack.reasons) > 1:
        reasons += f"; {len(attack.reasons) - 1} more reasons on its page"
    return [(f"{attack.robust[eps]:.4f}", meaning), (attack.trust, f"the attacks {attack.name}: {reasons}")]


def _rows(attack: Attack, page: Path) -> list[tuple[Cell, ...]]:
    """Rows of the table, one for each size of the change."""
    report = attack.folder / ATTACK_PAGE
    rows: list[tuple[Cell, ...]] = []
    for eps, value in sorted(attack.robust.items()):
        low, high = attack.intervals[eps]
        where = link(_from(page, report), ATTACK_PAGE) if report.is_file() and not rows else ""
        rows.append((
            attack.name, f"{attack.norm} {eps:g}", str(attack.n), f"{attack.clean:.4f}", f"{value:.4f}",
            f"{low:.4f} to {high:.4f}", attack.trust, where,
        ))  # fmt: skip
    return rows


def _draw(axes: Axes, norm: str, attacks: Sequence[Attack]) -> None:
    for index, attack in enumerate(attacks):
        label = f"{attack.name}, n = {attack.n}"
        robust_curve(axes, norm, attack.clean, attack.robust, attack.intervals, label, index)
    axes.legend(loc="best")


def chip_of(folder: Path, artifact: Artifact, page: Path) -> Beside | None:
    """The place of a run on a chip and what it costs there, as `settle compile` left them; None if it did not.

    Args:   page: where links start from.
    Raises: UserError if they cannot be read.
    """
    path = folder / DEPLOYMENT
    if not path.is_file():
        return None
    content, prices = parse_json(read_bytes(path), path), prices_in(folder, artifact)
    require_form(content, ChipForm, shown(path), "delete it, or compile the run again")
    try:
        cores, chips = content["cores"], content["chips"]
        limits = {name: used for name, used in content["limits"].items() if name != "cores"}
        rows = [
            (p["name"], f"{p['neurons']:,}", p["process"], "yes" if p["stock"] else "no", p["evidence"])
            for p in content["populations"]
        ]
        count = f"{cores:,} core{'' if cores == 1 else 's'}"
        panel = Panel("On a chip: the fullest core", render(resource_bars, limits), RESOURCES)
    except DAMAGED as error:
        raise UserError(f"{path}: damaged ({error}); delete it, or compile the run again") from error
    report = folder / CHIP_PAGE
    text: Cell = "Not priced yet: " + code(f"settle compile {folder} --report")
    if report.is_file():
        text = "Cores by load, energy and latency, modelled as bands: " + link(_from(page, report), CHIP_PAGE)
    box = Box("On a chip", [Table(POPULATIONS, rows, f"Populations on {content['target']}; {MODELLED}.")], text)
    facts: list[Fact] = [(count, f"on {chips} chip(s), {MODELLED}")]
    if not prices:
        return Beside(facts, [panel], box)
    facts += [(in_words(price.energy), f"energy of {WORKS[work]}, modelled") for work, price in prices.items()]
    return Beside(facts, [panel, _energy(prices)], box)


def _energy(prices: dict[str, Price]) -> Panel:
    works = {WORKS[work]: {**price.parts, TOTAL: price.energy} for work, price in prices.items()}
    n = next(iter(prices.values())).n_images
    return Panel("On a chip: energy", render(energy_bars, works, size=energy_size(works)), ENERGY.format(n=n))


def _from(page: Path, target: Path) -> str:
    return Path(os.path.relpath(target, page.parent)).as_posix()
