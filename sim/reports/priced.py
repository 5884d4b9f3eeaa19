"""What an image would cost on a chip, modelled, as `settle compile --report` left it in the folder of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuro.artifact.run_folder import Artifact
from neuro.base.errors import UserError
from neuro.base.files import parse_json, read_bytes
from neuro.base.quantities import Modelled

PRICES = "energy.json"
WORKS = {"inference": "one image classified", "learning": "one image learned"}


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
    content = parse_json(read_bytes(path), path)
    try:
        if content["weights_sha256"] != artifact.manifest["files"]["weights.npz"]:
            return {}
        return {work: _price(content[work]) for work in WORKS if content[work] is not None}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: damaged ({error}); delete it, or compile the run again with --report") from error


def _price(told: Mapping[str, Any]) -> Price:
    parts = {str(name): _band(part) for name, part in told["parts"].items()}
    return Price(_band(told["energy"]), _band(told["latency"]), parts, int(told["n_images"]))


def _band(told: Mapping[str, Any]) -> Modelled:
    return Modelled(float(told["low"]), float(told["high"]), str(told["unit"]))
