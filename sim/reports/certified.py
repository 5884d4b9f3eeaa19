"""Finished certificates in the folder of a run, as `settle certify` left them, and what a page shows of them."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from neuro.artifact.run_folder import Artifact
from neuro.base.files import parse_json, read_bytes, shown
from neuro.base.schema import Amount, Count, Positive, Share, parsed
from sim.reports.attacked import attacks_in
from sim.reports.beside import Beside
from sim.reports.figures.canvas import render
from sim.reports.figures.certified import Lower, Upper, certified_curves
from sim.reports.section import Box, Cell, Fact, Panel, Table
from sim.robustness.certified.result import SMOOTHED
from sim.robustness.certified.run import CERTIFICATES, RESULT

HEADERS = ("noise sigma", "size of the change", "test images", "certified", "95 % interval", "smoothed", "abstained")
CAPTION = (
    "Lines without points: share of test images whose class is proved to stay right under any change of that size, by "
    "randomised smoothing ({samples} noisy copies an image; a certificate is wrong with probability {alpha}). They are "
    + SMOOTHED
    + ". {above}Measured on the deployed integers.{inequality}"
)
ABOVE = (
    "Lines with points: what is left of the plain network under all attacks, an upper bound of its own robustness. "
    "Shaded: what neither decides. "
)
BY_INEQUALITY = " In linf by the inequality of norms only: the radius in l2 divided by the root of the pixels."
NOTE = f"Certified: {SMOOTHED}; measured. Smoothed: its accuracy without any change."
SIZE = (4.95, 4.4)  # inches


class CertificateForm(TypedDict):
    """What a certificate's file holds."""

    n: Positive
    sigma: Amount
    norm: str
    samples: Positive
    alpha: Share
    smoothed_accuracy: Share
    abstained: Count
    certified: dict[str, Share]
    certified_interval: dict[str, tuple[Share, Share]]
    largest_radius: Amount
    right_radii: list[Amount]
    weights_sha256: str


def certificates_in(folder: Path, artifact: Artifact) -> list[CertificateForm]:
    """The certificates of the present weights of a run, by sigma. Raises: UserError if one cannot be read."""
    weights = artifact.manifest["files"]["weights.npz"]
    found = [
        parsed(parse_json(read_bytes(path), path), CertificateForm, shown(path), "delete it and certify again")
        for path in sorted((folder / CERTIFICATES).glob(f"*/*-{RESULT}"))
    ]
    return sorted((form for form in found if form["weights_sha256"] == weights), key=lambda form: form["sigma"])


def certificates_of(folder: Path, artifact: Artifact) -> Beside | None:
    """What a page shows of the certificates of a run; None if there are none.

    Raises: UserError if one cannot be read.
    """
    forms = certificates_in(folder, artifact)
    if not forms:
        return None
    panels = [
        _panel(folder, artifact, norm, [form for form in forms if form["norm"] == norm])
        for norm in dict.fromkeys(form["norm"] for form in forms)
    ]
    rows = [row for form in forms for row in _rows(form)]
    largest = max(forms, key=lambda form: form["n"])
    return Beside(_facts(largest), panels, Box("Certificates", [Table(HEADERS, rows, NOTE)]))


def _facts(form: CertificateForm) -> list[Fact]:
    """The smoothed accuracy, and what is certified at the middle of the radii."""
    radii = [radius for radius in form["certified"] if float(radius) > 0]
    smoothed = f"accuracy of the smoothed classifier, sigma {form['sigma']:g}, measured; n = {form['n']}"
    facts: list[Fact] = [(f"{form['smoothed_accuracy']:.4f}", smoothed)]
    if radii:
        radius = radii[(len(radii) - 1) // 2]
        low, high = form["certified_interval"][radius]
        meaning = (
            f"certified at {form['norm']} {radius}: a lower bound of the smoothed classifier; 95 % interval {low:.4f} "
            f"to {high:.4f}"
        )
        facts.append((f"{form['certified'][radius]:.4f}", meaning))
    return facts


def _rows(form: CertificateForm) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for radius, value in form["certified"].items():
        low, high = form["certified_interval"][radius]
        first = not rows
        rows.append((
            f"{form['sigma']:g}", f"{form['norm']} {radius}", str(form["n"]), f"{value:.4f}",
            f"{low:.4f} to {high:.4f}",
            f"{form['smoothed_accuracy']:.4f}" if first else "", str(form["abstained"]) if first else "",
        ))  # fmt: skip
    return rows


def _panel(folder: Path, artifact: Artifact, norm: str, forms: list[CertificateForm]) -> Panel:
    lowers = [
        Lower(
            f"certified, sigma {form['sigma']:g}, n = {form['n']}", form["right_radii"], form["n"],
            form["largest_radius"],
        )
        for form in forms
    ]  # fmt: skip
    uppers = [
        Upper(f"attacked, {attack.name}, n = {attack.n}", attack.clean, attack.robust, attack.intervals)
        for attack in attacks_in(folder, artifact)
        if attack.norm == norm
    ]
    caption = CAPTION.format(
        samples=" or ".join(dict.fromkeys(f"{form['samples']:,}" for form in forms)),
        alpha=" or ".join(dict.fromkeys(f"{form['alpha']:g}" for form in forms)),
        above=ABOVE if uppers else "",
        inequality=BY_INEQUALITY if norm == "linf" else "",
    )
    return Panel("Certified accuracy", render(certified_curves, norm, lowers, uppers, size=SIZE), caption)
