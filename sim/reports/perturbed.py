"""Finished perturbations in the folder of a run, as `settle perturb` left them, and what a page shows of them."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import numpy as np

from neuro.artifact.run_folder import Artifact
from neuro.base.errors import UserError
from neuro.base.files import parse_json, read_bytes, shown
from neuro.base.schema import Amount, Count, Positive, Share, parsed
from neuro.data.sets import Dataset
from sim.perturbation.corruptions import ALL_KINDS, Corruptor
from sim.perturbation.run import PERTURBATIONS, RESULT
from sim.reports.beside import Beside
from sim.reports.figures.canvas import render
from sim.reports.figures.perturbed import COLUMNS, by_kind, by_kind_size, examples
from sim.reports.figures.pictures import tiles_size
from sim.reports.section import Box, Cell, Fact, Panel, Table

REMEDY = "delete it and perturb again"
CAPTION = (
    "Accuracy on {n} corrupted test images, measured on the deployed integers. Constants of severities: table {table}. "
    "Clean: {clean:.4f}."
)
PICTURES = "The first test image as severity {severity} makes it, row by row: {kinds}."
HEADERS = ("kind", "mean accuracy", "of {baseline}", "errors, {baseline} = 1")
NOTE = "Mean over severities {severities}; errors: those of all severities over those of {baseline}. "
WIDTH = 4.95  # inches


class BaselineForm(TypedDict):
    """What the file says of the baseline."""

    name: str
    clean: Share
    accuracy: dict[str, dict[str, Share]]


class IntervalForm(TypedDict):
    """Intervals of the means."""

    mean_accuracy: tuple[float, float] | None
    mce: tuple[float, float] | None


class PerturbForm(TypedDict):
    """What a perturbation's file holds."""

    n: Positive
    set: str
    table: str
    seed: Count
    clean: Share
    accuracy: dict[str, dict[str, Share]]
    mean_accuracy: Share | None
    mce: Amount | None
    interval: IntervalForm
    corruption_errors: dict[str, Amount]
    baseline: BaselineForm
    names: dict[str, str]
    notes: list[str]
    weights_sha256: str


def perturbations_in(folder: Path, artifact: Artifact) -> list[PerturbForm]:
    """The perturbations of the present weights of a run. Raises: UserError if one cannot be read."""
    found = []
    for path in sorted((folder / PERTURBATIONS).glob(f"*/{RESULT}")):
        form = parsed(parse_json(read_bytes(path), path), PerturbForm, shown(path), REMEDY)
        severities = {tuple(row) for row in form["accuracy"].values()}
        if not form["accuracy"] or len(severities) != 1 or set(form["names"]) != set(form["accuracy"]):
            raise UserError(f"{shown(path)}: its kinds differ in their severities; {REMEDY}")
        found.append(form)
    return [form for form in found if form["weights_sha256"] == artifact.manifest["files"]["weights.npz"]]


def perturbations_of(folder: Path, artifact: Artifact, dataset: Dataset) -> Beside | None:
    """What a page shows of the perturbations of a run; None if there are none.

    Raises: UserError if one cannot be read.
    """
    forms = perturbations_in(folder, artifact)
    if not forms:
        return None
    panels = [panel for form in forms for panel in _panels(form, dataset)]
    tables = [_table(form) for form in forms]
    return Beside(_facts(max(forms, key=lambda form: form["n"])), panels, Box("Corrupted images", tables))


def _facts(form: PerturbForm) -> list[Fact]:
    facts: list[Fact] = []
    ends = form["interval"]
    if form["mean_accuracy"] is not None and ends["mean_accuracy"] is not None:
        low, high = ends["mean_accuracy"]
        meaning = f"mean accuracy on corrupted images, measured; 95 % interval {low:.4f} to {high:.4f}, n = {form['n']}"
        facts.append((f"{form['mean_accuracy']:.4f}", meaning))
    if form["mce"] is not None and ends["mce"] is not None:
        low, high = ends["mce"]
        meaning = f"mCE: errors over those of {form['baseline']['name']}; 95 % interval {low:.3f} to {high:.3f}"
        facts.append((f"{form['mce']:.3f}", meaning))
    return facts


def _panels(form: PerturbForm, dataset: Dataset) -> list[Panel]:
    kinds, names = list(form["accuracy"]), list(form["names"].values())
    severities = [int(severity) for severity in form["accuracy"][kinds[0]]]
    shares = np.array([list(form["accuracy"][kind].values()) for kind in kinds], dtype=np.float64)
    matrix = render(by_kind, shares, names, severities, size=by_kind_size(len(kinds)))
    caption = CAPTION.format(n=form["n"], table=form["table"] or form["set"], clean=form["clean"])
    corruptor, worst = Corruptor(form["table"] or form["set"], form["seed"]), max(severities)
    pictures = {kind: corruptor(dataset.x_test[:1], kind, worst)[0] for kind in kinds if kind in ALL_KINDS}
    size = tiles_size(len(pictures), COLUMNS, WIDTH, dataset.image_shape)
    told = PICTURES.format(severity=worst, kinds=", ".join(kind.replace("_", " ") for kind in pictures))
    return [
        Panel("Corrupted accuracy", matrix, caption),
        Panel("Corruptions", render(examples, pictures, size=size), told),
    ]


def _table(form: PerturbForm) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for kind, row in form["accuracy"].items():
        means = (float(np.mean(list(told.values()))) for told in (row, form["baseline"]["accuracy"][kind]))
        ratio = form["corruption_errors"].get(kind)
        rows.append((form["names"][kind], *(f"{mean:.4f}" for mean in means), "-" if ratio is None else f"{ratio:.3f}"))
    baseline = form["baseline"]["name"]
    severities = ", ".join(next(iter(form["accuracy"].values())))
    note = " ".join((NOTE.format(severities=severities, baseline=baseline), *(f"{told}." for told in form["notes"])))
    return Table(tuple(header.format(baseline=baseline) for header in HEADERS), rows, note.strip())
