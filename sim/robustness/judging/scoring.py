"""Attack differentiable models, score what was found on the deployed one: how a table is filled."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuro.base.arrays import Bools, Float32, Int64, Integers
from neuro.base.errors import UserError
from sim.robustness.attacks.search import Adversarial, Attack, Kind, Model, ZeroGradient, expectation
from sim.robustness.attacks.threats import Threat, Threats
from sim.robustness.judging.table import Outcome, RobustnessTable, Scorer
from sim.robustness.judging.watched import Path, Watched

ROUNDING = 1e-5  # relative: sums in another order (CUDA) are not randomness
# Need no gradient: run on the first model only.
FORWARD_ONLY: tuple[Kind, ...] = ("noise", "query", "transfer", "decision")
ITERATES = 8  # of an attack that are scored besides the best one, at least
OnImages = Callable[[str, str, Threat, int, int, Tensor], None]  # model, attack, threat, seed, first index, images


def evaluate_robustness(
    models: Mapping[str, Model], scorer: Scorer, attacks: Mapping[str, Attack],
    images: Float32 | Tensor, labels: Integers | Tensor,
    threats: Sequence[Threat], seeds: Sequence[int] = (0,), *, n_passes: int = 1, batch_size: int = 250,
    first_index: int = 0, device: str = "cpu", progress: Callable[[str], None] | None = None,
    on_images: OnImages | None = None, iterates: int = ITERATES, sizes_at_once: int = 8,
) -> RobustnessTable:  # fmt: skip
    """Attack every model with every attack; score the adversarial images on the deployed model.

    Args:    models: differentiable twins by name; the first one is the twin whose fidelity is judged, the others
             (other surrogate gradients) add attacks; attacks that need no gradient run on the first alone. scorer: the
             deployed model. attacks: from `suites.build_attacks`. images [n, *shape], float32 in 0..1; labels [n].
             n_passes: average the scores of the attacked models over so many passes. first_index: of the first image,
             part of the seed of every batch, so that shards of whole batches repeat the whole. progress, on_images:
             told of every attack before, and of its images after. iterates: so many images of the path of every
             attack, spread over it, are scored too (up to twice as many); the worst counts. sizes_at_once: threats of
             one norm that share a batch, where an attack can do that; what is found is the same but for rounding.
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
    for name, attack in attacks.items():
        for group in _grouped(threats, sizes_at_once if getattr(attack, "several_sizes", False) else 1):
            for twin, model in list(attacked.items())[: 1 if runs_once(attack) else None]:
                for seed in seeds:
                    if progress:
                        progress(f"{', '.join(map(str, group))}: {name} on {twin}, seed {seed}")
                    run = _Run(twin, model, name, attack, group, seed, scorer, first_index, on_images, iterates)
                    table.outcomes.extend(run.over(x, y, batch_size))
    return table


def _grouped(threats: Sequence[Threat], at_once: int) -> list[tuple[Threat, ...]]:
    """The threats in groups of one norm, of at most so many."""
    norms = dict.fromkeys(threat.norm for threat in threats)
    same = [[threat for threat in threats if threat.norm == norm] for norm in norms]
    return [tuple(of[start : start + at_once]) for of in same for start in range(0, len(of), at_once)]


def runs_once(attack: Attack) -> bool:
    """Whether an attack is run on the first model alone.

    It takes nothing from a model but its scores, so that models that differ in gradient are one; or it costs too much.
    """
    own = getattr(attack, "gradient_fn", None) is not None or getattr(attack, "neighbours", 0) > 0
    return attack.kind in FORWARD_ONLY or own


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


class _Batch(NamedTuple):
    """What one threat did to one batch, see `table.Outcome`."""

    found: Adversarial
    path: Path
    correct: Bools
    model_correct: Bools
    agree: Bools


@dataclass(frozen=True)
class _Run:
    """One attack on one model under threats of one norm, over batches."""

    twin: str
    model: Model
    name: str
    attack: Attack
    threats: tuple[Threat, ...]
    seed: int
    scorer: Scorer
    first_index: int
    on_images: OnImages | None
    iterates: int

    def over(self, images: Tensor, labels: Tensor, batch_size: int) -> list[Outcome]:
        """The outcomes over all images, one for each threat; they share the time."""
        began = time.process_time()
        batches = [
            self._batch(
                images[start : start + batch_size], labels[start : start + batch_size], self.first_index + start
            )
            for start in range(0, len(images), batch_size)
        ]
        cpu_s = (time.process_time() - began) / len(self.threats)
        return [self._outcome(threat, list(of), cpu_s)
                for threat, of in zip(self.threats, zip(*batches, strict=True), strict=True)]  # fmt: skip

    def _outcome(self, threat: Threat, batches: list[_Batch], cpu_s: float) -> Outcome:
        found = [batch.found for batch in batches]
        joined = {name: np.concatenate([getattr(b, name) for b in batches]) for name in _Batch._fields[2:]}
        of_paths = {name: np.concatenate([getattr(b.path, name) for b in batches]) for name in Path._fields[1:]}
        return Outcome(
            self.twin, self.name, self.attack.family, self.attack.kind, self.attack.steps, threat, self.seed,
            **joined, **of_paths, returned_clean=torch.cat([f.returned_clean for f in found]).cpu().numpy(),
            margin=torch.cat([f.margin for f in found]).float().cpu().numpy(),
            zero_gradient=_mean_zero(found), cpu_s=cpu_s,
        )  # fmt: skip

    def _batch(self, images: Tensor, labels: Tensor, index: int) -> list[_Batch]:
        """Attack one batch: for each threat its adversarial images, the path to them, and the flags of an outcome."""
        copies, n = len(self.threats), len(images)
        threat = self.threats[0] if copies == 1 else Threats.of(self.threats, n, images.device)
        images, labels = images.repeat(copies, *[1] * (images.dim() - 1)), labels.repeat(copies)
        once = self.attack.kind == "minimal-norm"
        watched = Watched(self.model, images, labels, self.iterates, copies, once)
        adversarial = self.attack(watched, images, labels, threat, self.seed * 1_000_003 + index)
        found = adversarial.by_size(copies)
        if self.on_images:
            for single, part in zip(self.threats, found, strict=True):
                self.on_images(self.twin, self.name, single, self.seed, index, part.images)
        with torch.no_grad():
            guessed = self.model(adversarial.images).argmax(1).cpu().numpy()
        deployed, truth = self._deployed(adversarial.images), labels.cpu().numpy()
        paths = watched.paths(threat, lambda kept: self._deployed(kept) == np.tile(truth, len(kept) // len(truth)))
        flags = (np.split(values, copies) for values in (deployed == truth, guessed == truth, guessed == deployed))
        return [_Batch(part, path, correct & path.correct, model_correct, agree)
                for part, path, correct, model_correct, agree in zip(found, paths, *flags, strict=True)]  # fmt: skip

    def _deployed(self, images: Tensor) -> Int64:
        return np.asarray(self.scorer(images.cpu().numpy()), np.int64)


def _mean_zero(found: list[Adversarial]) -> ZeroGradient | None:
    """Mean of the shares over batches, weighted by their images; None if no batch took a gradient."""
    measured = [(len(f.margin), f.zero_gradient) for f in found if f.zero_gradient]
    total = sum(n for n, _ in measured)
    if not total:
        return None
    names = ("clean_entries", "clean_images", "iterate_entries", "iterate_images")
    return ZeroGradient(*(sum(n * getattr(zero, name) for n, zero in measured) / total for name in names))
