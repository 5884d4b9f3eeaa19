"""What a report shows of one run, whatever its family."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from neuro.artifact.run_folder import Artifact
from sim.evaluate import Evaluation
from sim.reports.probes.sigma_delta import TestResult

HELD_OUT = (
    "The validation images are held out of the training set; hyper-parameters and the best epoch (dotted) are chosen "
    "on them. The test set was never used for a choice."
)
FIELDS = "Input weights of the hidden neurons with the largest weights (red positive, blue negative)."
FIELDS_BEHIND = (
    "Weights of the hidden neurons with the largest ones, drawn in the image: each code they read as its atom, times "
    "the weight (red positive, blue negative)."
)
OPERATIONS = "Synaptic operations: synapses that spikes reached, mean per test image."


@dataclass(frozen=True)
class Panel:
    """A figure, as SVG, with its title and a caption that says how it was obtained.

    picture, notes: a small figure at its left, and lines below that.
    """

    title: str
    figure: str
    caption: str
    wide: bool = False
    picture: str = ""
    notes: tuple[str, ...] = ()

    @property
    def svg(self) -> Markup:
        """The figure as markup."""
        return Markup(self.figure)

    @property
    def small_svg(self) -> Markup:
        """The picture as markup."""
        return Markup(self.picture)


@dataclass(frozen=True)
class Table:
    """Rows of text under their headers; `note` says what they mean."""

    headers: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str = ""


@dataclass(frozen=True)
class Section:
    """All that the page shows of one run. check: the backend to compare others with."""

    name: str
    intro: str
    facts: list[tuple[str, str]]
    panels: list[Panel]
    tables: list[Table]
    evaluations: list[tuple[Evaluation, str]]
    provenance: list[tuple[str, str]]
    check: str


def accuracy_fact(test: TestResult) -> tuple[str, str]:
    """Return the test accuracy and how it was obtained."""
    low, high = test.accuracy.interval
    meaning = f"test accuracy, measured; 95 % interval {low:.4f} to {high:.4f}, n = {test.n_images}"
    return f"{test.accuracy.value:.4f}", meaning


def speed_fact(artifact: Artifact) -> tuple[str, str]:
    """Return the training speed and how it was obtained."""
    speed = artifact.manifest["results"]["images_per_s"]
    return f"{speed:,.0f}", "images per second while training, measured on the machine that trained"


def latest(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Return the newest evaluation of each kind."""
    newest = {(e.backend, e.check, e.n): e for e in evaluations}
    return list(newest.values())


def provenance(artifact: Artifact) -> list[tuple[str, str]]:
    """Return all that is needed to replay the run."""
    manifest = artifact.manifest
    data = manifest["data"]
    rows = [
        ("data", f"{data['name']}: {data['n_train']} training images, {data['n_validation']} of them held out for "
                 f"validation, and {data['n_test']} test images"),
        ("data SHA-256", data["sha256"]),
        ("weights SHA-256", manifest["files"]["weights.npz"]),
        ("seed", str(manifest["seed"])),
        ("asked for", json.dumps(manifest["config"])),
        ("chosen", json.dumps(manifest["chosen"])),
        ("versions", json.dumps(manifest["versions"])),
    ]  # fmt: skip
    return rows
