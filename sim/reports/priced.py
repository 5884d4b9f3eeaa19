"""What an image would cost on a chip, modelled, as `settle compile --report` left it in the folder of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from neuro.artifact.run_folder import Artifact
from neuro.base.errors import UserError
from neuro.base.files import parse_json, read_bytes, shown
from neuro.base.quantities import Modelled
from neuro.base.schema import Amount, Positive, parsed

PRICES = "energy.json"
REMEDY = "delete it, or compile the run again with --report"
WORKS = {"inference": "an inference", "learning": "a learned image"}


class BandForm(TypedDict):
    """A modelled value."""

    low: Amount
    high: Amount
    unit: str


class PriceForm(TypedDict):
    """What an image costs."""

    energy: BandForm
    latency: BandForm
    parts: dict[str, BandForm]
    n_images: Positive


class PricesForm(TypedDict):
    """What energy.json holds."""

    weights_sha256: str
    inference: PriceForm
    learning: PriceForm | None


@dataclass(frozen=True)
class Price:
    """What an image costs: energy and latency as bands, and the energy by what it is spent on."""

    energy: Modelled
    latency: Modelled
    parts: Mapping[str, Modelled]
    n_images: int


def prices_in(folder: Path, artifact: Artifact) -> dict[str, Price]:
    """By work, what an image costs; empty if the present weights of the run were not priced.

    Raises: UserError if the file cannot be read.
    """
    path = folder / PRICES
    if not path.is_file():
        return {}
    content = parsed(parse_json(read_bytes(path), path), PricesForm, shown(path), REMEDY)
    if content["weights_sha256"] != artifact.manifest["files"]["weights.npz"]:
        return {}
    priced = {"inference": content["inference"], "learning": content["learning"]}
    try:
        return {work: _price(form) for work, form in priced.items() if form is not None}
    except ValueError as error:  # a band upside down
        raise UserError(f"{shown(path)}: {error}; {REMEDY}") from error


def _price(form: PriceForm) -> Price:
    parts = {name: Modelled(**band) for name, band in form["parts"].items()}
    return Price(Modelled(**form["energy"]), Modelled(**form["latency"]), parts, form["n_images"])
