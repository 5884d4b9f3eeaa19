"""Finished attacks in the folder of a run, as `settle attack` left them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from neuro.artifact.run_folder import Artifact
from neuro.base.errors import UserError
from neuro.base.files import parse_json, read_bytes, shown
from neuro.base.metrics import Accuracy
from neuro.base.schema import Positive, Share, require_form
from sim.reports.section import Cell, marked
from sim.robustness.analysis.subject import ADVERSARIAL, RANDOM
from sim.robustness.bridge.run import ATTACKS, RESULT, attack_key

DAMAGED = (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError)
Ratios = Mapping[str, Mapping[float, Mapping[str, float | None]]]  # by kind of change, eps and layer


class AsAsked(TypedDict):
    """What an attack was asked for."""

    attacks: str
    norm: str


class AttackForm(TypedDict):
    """What attack.json holds."""

    config: AsAsked
    n: Positive
    clean: Share
    robust: dict[str, Share]
    robust_interval: dict[str, tuple[Share, Share]]
    verdict: str
    reasons: list[str]


class Attack:
    """A result of `settle attack`, as its file holds it.

    robust, intervals: accuracy and its 95 % interval, by eps; eps 0 of intervals is the clean accuracy's.
    ratios: perturbation-to-signal ratio, mean over images, adversarial and random, by eps and layer from input to
    output; empty if it was not measured.
    """

    def __init__(self, folder: Path, content: Mapping[str, Any]) -> None:
        self.folder, self.name, self.norm = folder, str(content["config"]["attacks"]), str(content["config"]["norm"])
        self.n, self.clean = int(content["n"]), float(content["clean"])
        self.robust = {float(eps): float(value) for eps, value in content["robust"].items()}
        told = content["robust_interval"]
        self.intervals = {float(eps): (float(low), float(high)) for eps, (low, high) in told.items()}
        if not self.robust or self.robust.keys() - self.intervals.keys():
            raise ValueError("no size, or one without an interval")
        self.intervals[0.0] = Accuracy(round(self.clean * self.n), self.n).interval
        self.verdict, self.reasons = str(content["verdict"]), list(content["reasons"])
        self.ratios = _ratios((content.get("analysis") or {}).get("ratios") or {})

    @property
    def trust(self) -> Cell:
        """The verdict, in its colour."""
        return marked(self.verdict, not self.reasons)


def _ratios(told: Mapping[str, Any]) -> Ratios:
    return {
        kind: {
            float(threat.split()[-1]): {layer: ratio["mean"] for layer, ratio in layers.items()}
            for threat, layers in told[kind].items()
        }
        for kind in (ADVERSARIAL, RANDOM)
        if kind in told
    }


def attacks_in(folder: Path, artifact: Artifact) -> list[Attack]:
    """The finished attacks on the present weights of a run. Raises: UserError if a result cannot be read."""
    attacks = []
    weights = artifact.manifest["files"]["weights.npz"]
    for path in sorted((folder / ATTACKS).glob(f"*/{RESULT}")):
        content = parse_json(read_bytes(path), path)
        require_form(content, AttackForm, shown(path), "delete the file and attack again")
        try:
            if path.parent.name == attack_key(content["config"], weights):
                attacks.append(Attack(path.parent, content))
        except DAMAGED as error:
            raise UserError(f"{path}: holds a damaged attack ({error}); delete the file and attack again") from error
    return attacks
