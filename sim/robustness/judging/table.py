"""Attack differentiable models, score what was found on the deployed one: the table every verdict is read from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuro.base.arrays import Bools, Float32, Int64, Integers
from neuro.base.errors import UserError
from neuro.base.metrics import Accuracy
from sim.robustness.attacks.search import WHITE_BOX, Adversarial, Attack, Kind, Model, Threat, ZeroGradient, expectation

Scorer = Callable[[Float32], Integers]  # images [B, *shape] -> labels [B]
ROUNDING = 1e-5  # relative: sums in another order (CUDA) are not randomness
FORWARD_ONLY: tuple[Kind, ...] = ("noise", "query", "transfer")  # need no gradient: run on the first model only


@dataclass(frozen=True, eq=False)
class Outcome:
    """One attack on one model under one threat and seed, over all n images; all arrays of shape [n].

    correct: the deployed model still right on the adversarial image; model_correct: the attacked one; agree: both give
    the same label; returned_clean, margin, zero_gradient: see `attack.Adversarial`. cpu_s: CPU seconds of the process.
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
        }  # fmt: skip


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
    """

    labels: Int64
    clean: Bools
    clean_agreement: dict[str, float]
    unrepeatable: float
    n_passes: int
    n_classes: int
    n_inputs: int
    outcomes: list[Outcome] = field(default_factory=list)

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


OnImages = Callable[[str, str, Threat, int, int, Tensor], None]  # model, attack, threat, seed, first index, images


def evaluate_robustness(
    models: Mapping[str, Model], scorer: Scorer, attacks: Mapping[str, Attack],
    images: Float32 | Tensor, labels: Integers | Tensor,
    threats: Sequence[Threat], seeds: Sequence[int] = (0,), *, n_passes: int = 1, batch_size: int = 250,
    first_index: int = 0, device: str = "cpu", progress: Callable[[str], None] | None = None,
    on_images: OnImages | None = None,
) -> RobustnessTable:  # fmt: skip
    """Attack every model with every attack; score the adversarial images on the deployed model.

    Args:    models: differentiable twins by name; the first one is the twin whose fidelity is judged, the others
             (other surrogate gradients) add attacks; attacks that need no gradient run on the first alone. scorer: the
             deployed model. attacks: from `suites.build_attacks`. images [n, *shape], float32 in 0..1; labels [n].
             n_passes: average the scores of the attacked models over so many passes. first_index: of the first image,
             part of the seed of every batch, so that shards of whole batches repeat the whole. progress, on_images:
             told of every attack before, and of its images after.
    Raises:  UserError if there are no models, attacks, threats, seeds or images, or images are outside 0..1.
    """
    for name, given in (("models", models), ("attacks", attacks), ("threats", threats), ("seeds", seeds)):
        if not given:
            raise UserError(f"robustness: no {name}; give at least one")
    if not len(images) or len(images) != len(labels):
        raise UserError(f"robustness: {len(images)} images and {len(labels)} labels; give one label for each image")
    x = torch.as_tensor(images, dtype=torch.float32).to(device)
    y = torch.as_tensor(labels, dtype=torch.int64).to(device)
    attacked = {name: expectation(model, n_passes) if n_passes > 1 else model for name, model in models.items()}
    table = _clean_table(attacked, scorer, x, y, n_passes, batch_size)
    for threat in threats:
        for name, attack in attacks.items():
            for twin, model in list(attacked.items())[: 1 if runs_once(attack) else None]:
                for seed in seeds:
                    if progress:
                        progress(f"{threat}: {name} on {twin}, seed {seed}")
                    run = _Run(twin, model, name, attack, threat, seed, scorer, first_index, on_images)
                    table.outcomes.append(run.over(x, y, batch_size))
    return table


def runs_once(attack: Attack) -> bool:
    """Whether an attack takes nothing from a model but its scores, so that models that differ in gradient are one."""
    return attack.kind in FORWARD_ONLY or getattr(attack, "gradient_fn", None) is not None


def _clean_table(
    models: Mapping[str, Model], scorer: Scorer, images: Tensor, labels: Tensor, n_passes: int, batch_size: int
) -> RobustnessTable:
    """Score the clean images, twice: the second time tells whether the models repeat themselves."""
    deployed, again = (_labels(scorer, images, batch_size) for _ in range(2))
    unrepeatable, agreement, n_classes = float((deployed != again).mean()), {}, 0
    for name, model in models.items():
        with torch.no_grad():
            first, second = (
                torch.cat([model(part) for part in torch.split(images, batch_size)]).cpu() for _ in range(2)
            )
        agreement[name] = float((first.argmax(1).numpy() == deployed).mean())
        moved = (first - second).abs().amax(1) > ROUNDING * first.abs().amax(1)
        unrepeatable = max(unrepeatable, float(moved.float().mean()))
        n_classes = first.shape[1]
    truth = labels.cpu().numpy()
    return RobustnessTable(
        truth, deployed == truth, agreement, unrepeatable, n_passes, n_classes, math.prod(images.shape[1:])
    )


def _labels(scorer: Scorer, images: Tensor, batch_size: int) -> Int64:
    return np.concatenate(
        [np.asarray(scorer(part.cpu().numpy()), np.int64) for part in torch.split(images, batch_size)]
    )


@dataclass(frozen=True)
class _Run:
    """One attack on one model, over batches."""

    twin: str
    model: Model
    name: str
    attack: Attack
    threat: Threat
    seed: int
    scorer: Scorer
    first_index: int
    on_images: OnImages | None

    def over(self, images: Tensor, labels: Tensor, batch_size: int) -> Outcome:
        """The outcome over all images."""
        began = time.process_time()
        batches = [
            self._batch(
                images[start : start + batch_size], labels[start : start + batch_size], self.first_index + start
            )
            for start in range(0, len(images), batch_size)
        ]
        correct, model_correct, agree = (np.concatenate([batch[i] for batch in batches]) for i in (1, 2, 3))
        adversarials = [batch[0] for batch in batches]
        return Outcome(
            self.twin, self.name, self.attack.family, self.attack.kind, self.attack.steps, self.threat, self.seed,
            correct, model_correct, agree, torch.cat([f.returned_clean for f in adversarials]).cpu().numpy(),
            torch.cat([f.margin for f in adversarials]).float().cpu().numpy(), _mean_zero(adversarials),
            time.process_time() - began,
        )  # fmt: skip

    def _batch(self, images: Tensor, labels: Tensor, index: int) -> tuple[Adversarial, Bools, Bools, Bools]:
        """Attack one batch; return its adversarial images and the flags of an outcome."""
        adversarial = self.attack(self.model, images, labels, self.threat, self.seed * 1_000_003 + index)
        if self.on_images:
            self.on_images(self.twin, self.name, self.threat, self.seed, index, adversarial.images)
        with torch.no_grad():
            guessed = self.model(adversarial.images).argmax(1).cpu().numpy()
        deployed = np.asarray(self.scorer(adversarial.images.cpu().numpy()), np.int64)
        truth = labels.cpu().numpy()
        return adversarial, deployed == truth, guessed == truth, guessed == deployed


def _mean_zero(found: list[Adversarial]) -> ZeroGradient | None:
    """Mean of the shares over batches, weighted by their images; None if no batch took a gradient."""
    measured = [(len(f.margin), f.zero_gradient) for f in found if f.zero_gradient]
    total = sum(n for n, _ in measured)
    if not total:
        return None
    names = ("clean_entries", "clean_images", "iterate_entries", "iterate_images")
    return ZeroGradient(*(sum(n * getattr(zero, name) for n, zero in measured) / total for name in names))
