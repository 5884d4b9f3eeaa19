"""Runs beside each other: accuracy, robust curves, spikes, energy bands and perturbation-to-signal ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuro.artifact.run_folder import Artifact
from sim.reports.attacked import Attack, attacks_in
from sim.reports.figures import comparison
from sim.reports.figures.canvas import render
from sim.reports.figures.energy import in_words
from sim.reports.priced import Price, prices_in
from sim.reports.section import Box, Cell, Panel, Section, Table
from sim.reports.subject import Subject
from sim.robustness.analysis.subject import ADVERSARIAL

NAME = "Side by side"
INTRO = "The same measures of every run on this page, in the order they were given. Details of each follow below."
HEADERS = (
    "run", "data", "test accuracy", "95 % interval", "spikes of an inference", "energy of an inference, modelled",
    "latency, modelled",
)  # fmt: skip
NOTE = (
    "Accuracy (of a coder: of a linear readout of its codes) and spikes are measured on the deployed integers; energy "
    "and latency are modelled as bands, by settle compile RUN --report; empty where that was not done."
)
ATTACK_HEADERS = (
    "run", "attack", "size of the change", "test images", "robust accuracy", "95 % interval", "verdict", "PSR, input",
    "PSR, output",
)  # fmt: skip
ATTACK_NOTE = (
    "Robust accuracy: share of images that no attack moved to another class. PSR, perturbation-to-signal ratio: how "
    "large the change of a layer is beside what it holds without it, under the attack, mean over images. Measured; by "
    "settle attack RUN. A fair comparison needs the same attacks, sizes and images for all."
)
ROBUST = (
    "Share of test images that no attack moved to another class, with 95 % intervals; of each run the attack with the "
    "most images. Points: measured; lines only join them."
)
RATIOS = (
    "How large the change of the image by {norm} {eps:g} is in every layer, beside what the layer holds without it, "
    "under the attack. A line that rises: the network amplifies the change. Measured."
)
MODELLED = "Modelled, as bands between public constants; no chip was involved. Bands that overlap decide nothing."
SIZE = (4.95, 3.7)  # inches
MOST_LETTERS = 22


@dataclass(frozen=True)
class Contestant:
    """A run with what lies in its folder. name: as short as it can be."""

    name: str
    subject: Subject[Any]
    attacks: Sequence[Attack]
    prices: dict[str, Price]

    def attack(self, norm: str) -> Attack | None:
        """Its attack of a norm with the most images."""
        return max((a for a in self.attacks if a.norm == norm), key=lambda attack: attack.n, default=None)


def contestants(folders: Sequence[Path], artifacts: Sequence[Artifact], subjects: Sequence[Any]) -> list[Contestant]:
    """The runs of some folders."""
    return [
        Contestant(name, subject, attacks_in(folder, artifact), prices_in(folder, artifact))
        for name, folder, artifact, subject in zip(short_names(folders), folders, artifacts, subjects, strict=True)
    ]


def short_names(folders: Sequence[Path]) -> list[str]:
    """The last parts of some paths, as few as tell them apart, cut where they are long."""
    folders, parts = [folder.resolve() for folder in folders], 1
    deepest = max(len(folder.parts) for folder in folders)
    while parts < deepest and len({folder.parts[-parts:] for folder in folders}) < len(set(folders)):
        parts += 1
    names = ["/".join(folder.parts[-parts:]) for folder in folders]
    names = [name if len(name) <= MOST_LETTERS else "…" + name[1 - MOST_LETTERS :] for name in names]
    return [name if names.count(name) == 1 else f"{place}: {name}" for place, name in enumerate(names, 1)]


def comparison_section(runs: Sequence[Contestant]) -> Section:
    """What the runs have in common, measure by measure."""
    rows = [_row(run) for run in runs]
    attacks = [row for run in runs for row in _attack_rows(run)]
    tables = [Table(HEADERS, rows, NOTE)]
    if attacks:
        tables.append(Table(ATTACK_HEADERS, attacks, ATTACK_NOTE))
    return Section(NAME, INTRO, [], _panels(runs), [Box("In numbers", tables, first=True)])


def _row(run: Contestant) -> tuple[Cell, ...]:
    accuracy, price = run.subject.accuracy, run.prices.get("inference")
    low, high = accuracy.interval
    priced = ("", "") if price is None else (in_words(price.energy), in_words(price.latency))
    data = run.subject.artifact.manifest["data"]["name"]
    return (run.name, data, f"{accuracy.value:.4f}", f"{low:.4f} to {high:.4f}", f"{run.subject.spikes:,.1f}", *priced)


def _attack_rows(run: Contestant) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for attack in run.attacks:
        for eps, value in sorted(attack.robust.items()):
            low, high = attack.intervals[eps]
            ratios = [*attack.ratios.get(ADVERSARIAL, {}).get(eps, {}).values()] or [None]
            shown = ("" if ratio is None else f"{ratio:.3f}" for ratio in (ratios[0], ratios[-1]))
            rows.append((run.name, attack.name, f"{attack.norm} {eps:g}", str(attack.n), f"{value:.4f}",
                         f"{low:.4f} to {high:.4f}", attack.trust, *shown))  # fmt: skip
    return rows


def _panels(runs: Sequence[Contestant]) -> list[Panel]:
    size, indices = comparison.rows_size(len(runs)), {run.name: place for place, run in enumerate(runs)}
    accuracies = {run.name: run.subject.accuracy for run in runs}
    spikes = {run.name: run.subject.spikes for run in runs}
    panels = [
        Panel("Accuracy", render(comparison.accuracies, accuracies, size=size), "With 95 % intervals."),
        Panel("Spikes", render(comparison.spikes, spikes, size=size), "Mean over the test set."),
    ]
    priced = {run.name: run.prices.get("inference") for run in runs}
    if any(priced.values()):
        energies = {name: price and price.energy for name, price in priced.items()}
        latencies = {name: price and price.latency for name, price in priced.items()}
        panels += [
            Panel("Energy on a chip", render(comparison.bands, energies, "energy", size=size), MODELLED),
            Panel("Latency on a chip", render(comparison.bands, latencies, "latency", size=size), MODELLED),
        ]
    for norm in dict.fromkeys(attack.norm for run in runs for attack in run.attacks):
        panels += _attack_panels(norm, {run.name: attack for run in runs if (attack := run.attack(norm))}, indices)
    return panels


def _attack_panels(norm: str, attacks: dict[str, Attack], indices: dict[str, int]) -> list[Panel]:
    curves = {name: (attack.clean, attack.robust, attack.intervals) for name, attack in attacks.items()}
    panels = [Panel("Robust accuracy", render(comparison.robust, norm, curves, indices, size=SIZE), ROBUST)]
    measured = {name: attack.ratios[ADVERSARIAL] for name, attack in attacks.items() if ADVERSARIAL in attack.ratios}
    common = set.intersection(*(set(ratios) for ratios in measured.values())) if measured else set()
    if common:
        eps = max(common)
        lines = {name: [*ratios[eps].values()] for name, ratios in measured.items()}
        drawn = render(comparison.ratios, lines, indices, size=SIZE)
        panels.append(Panel("Perturbation-to-signal ratio (PSR)", drawn, RATIOS.format(norm=norm, eps=eps)))
    return panels
