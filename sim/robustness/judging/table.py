"""The outcomes of all attacks on one deployed model, image by image: the table every verdict is read from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from neuro.base.arrays import Bools, Float32, Int64, Integers
from neuro.base.metrics import Accuracy
from sim.robustness.attacks.search import WHITE_BOX, Kind, ZeroGradient
from sim.robustness.attacks.threats import Threat

Scorer = Callable[[Float32], Integers]  # images [B, *shape] -> labels [B]


@dataclass(frozen=True, eq=False)
class Outcome:
    """One attack on one model under one threat and seed, over all n images; all arrays of shape [n].

    correct: the deployed model still right on the adversarial image, and on the iterates that were kept; model_correct:
    the attacked one, on the former; agree: both give the same label there; returned_clean, margin, zero_gradient: see
    `attack.Adversarial`; conflict, jump, rose: see `watched.Path`. cpu_s: CPU seconds of the process.
    """

    model: str
    attack: str
    family: str
    kind: Kind
    steps: int
    threat: Threat
    seed: int
    correct: Bools
    model_correct: Bools
    agree: Bools
    returned_clean: Bools
    margin: Float32
    conflict: Float32
    jump: Float32
    rose: Float32
    zero_gradient: ZeroGradient | None
    cpu_s: float

    @property
    def accuracy(self) -> Accuracy:
        """Of the deployed model."""
        return Accuracy(int(self.correct.sum()), len(self.correct))

    def to_json(self) -> dict[str, Any]:
        """The figures, without the single images."""
        return {
            "model": self.model, "attack": self.attack, "kind": self.kind, "steps": self.steps, "seed": self.seed,
            "norm": self.threat.norm, "eps": self.threat.eps, "accuracy": self.accuracy.value,
            "interval": list(self.accuracy.interval), "model_accuracy": float(self.model_correct.mean()),
            "agreement": float(self.agree.mean()), "returned_clean": float(self.returned_clean.mean()),
            "transfer_gap": float((self.correct & ~self.model_correct).mean()), "cpu_s": self.cpu_s,
            "zero_gradient": asdict(self.zero_gradient) if self.zero_gradient else None,
            "conflict": _of_measured(np.mean, self.conflict), "jump": _of_measured(np.median, self.jump),
            "rose": _of_measured(np.mean, self.rose),
        }  # fmt: skip


def measured(values: Float32) -> Float32:
    """Those that are no NaN."""
    found: Float32 = values[~np.isnan(values)]
    return found


def _of_measured(summary: Callable[[Float32], Any], values: Float32) -> float | None:
    found = measured(values)
    return float(summary(found)) if len(found) else None


def worst_case(outcomes: Iterable[Outcome]) -> Bools | None:
    """Whether the deployed model withstood all the attacks, per image; None if there are none."""
    flags = [outcome.correct for outcome in outcomes]
    return np.logical_and.reduce(flags) if flags else None


@dataclass(frozen=True, eq=False)
class RobustnessTable:
    """All outcomes on one deployed model and one set of images.

    labels [n]; clean [n]: right on the clean image. clean_agreement: per attacked model, share of clean images with the
    deployed label. unrepeatable: share of images on which two equal calls differ (labels of the deployed model, scores
    of an attacked one). n_passes: scores were averaged over so many (EoT). n_inputs: pixels of an image.
    smallest [n], by norm: the size of the smallest change found that turns the deployed label, infinite where none was.
    """

    labels: Int64
    clean: Bools
    clean_agreement: dict[str, float]
    unrepeatable: float
    n_passes: int
    n_classes: int
    n_inputs: int
    outcomes: list[Outcome] = field(default_factory=list)
    smallest: dict[str, Float32] = field(default_factory=dict)

    @property
    def threats(self) -> list[Threat]:
        """All threats, in order of norm and eps."""
        return sorted({outcome.threat for outcome in self.outcomes}, key=lambda threat: (threat.norm, threat.eps))

    def select(self, threat: Threat, *kinds: Kind) -> list[Outcome]:
        """The outcomes under a threat, of the given kinds (default: all)."""
        return [o for o in self.outcomes if o.threat == threat and (not kinds or o.kind in kinds)]

    def white_box(self, threat: Threat) -> list[Outcome]:
        """The outcomes of attacks that use the gradient of the attacked model."""
        return self.select(threat, *WHITE_BOX)

    def robust(self, threat: Threat) -> Accuracy:
        """The accuracy of the deployed model under the worst of all attacks, image by image."""
        flags = worst_case(self.select(threat))
        return Accuracy(0, 0) if flags is None else Accuracy(int(flags.sum()), len(flags))

    def by_attack(self, threat: Threat) -> dict[str, Accuracy]:
        """The accuracy under each attack (the worst, image by image, over models and seeds)."""
        names = dict.fromkeys(outcome.attack for outcome in self.select(threat))
        flags = {name: worst_case(o for o in self.select(threat) if o.attack == name) for name in names}
        return {name: Accuracy(int(f.sum()), len(f)) for name, f in flags.items() if f is not None}

    def to_json(self) -> dict[str, Any]:
        """The figures of the report; eps as text are the keys within each norm."""
        clean = Accuracy(int(self.clean.sum()), len(self.clean))
        return {
            "n": clean.n, "clean": clean.value, "clean_interval": list(clean.interval), "n_passes": self.n_passes,
            "clean_agreement": self.clean_agreement, "unrepeatable": self.unrepeatable,
            "robust": {str(t): self.robust(t).value for t in self.threats},
            "robust_interval": {str(t): list(self.robust(t).interval) for t in self.threats},
            "by_attack": {str(t): {name: a.value for name, a in self.by_attack(t).items()} for t in self.threats},
            "outcomes": [outcome.to_json() for outcome in self.outcomes],
        }  # fmt: skip
