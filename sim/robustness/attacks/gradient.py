"""Projected gradient ascent and its kin: FGSM, FGM L2, PGD with restarts, MI-FGSM; autograd or any given gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neuro.base.checks import Range
from sim.robustness.attacks.losses import get_loss
from sim.robustness.attacks.search import Adversarial, GradientFunction, Kind, Model, Search, generator_of
from sim.robustness.attacks.threats import Threat, per_image

RADIUS = 0.5  # of the neighbourhood, in eps


@dataclass(frozen=True)
class ProjectedGradient:
    """PGD: x <- project(x + step eps d(gradient)), d = sign (linf) or the unit vector (l2).

    steps; restarts, each from its own random start; loss, by name; step: size in units of eps, default 2.5 / steps;
    momentum: decay of the accumulated gradients g <- momentum g + gradient / |gradient|_1 (MI-FGSM), 0 for none;
    random_start: False starts from the clean image; gradient_fn: takes the place of autograd (the local EP gradient,
    the implicit gradient), the model is then used forward only. neighbours: the direction is the mean over so many
    random images within RADIUS eps of the iterate, besides its own: sees through steps, shattering and hidden units
    that swap, where the gradient at one point says little.
    Source: Madry et al. 2018; momentum: Dong et al. 2018, eq. 6; neighbours: Athalye et al. 2018, Tramer et al. 2020.
    Checked: tests/sim/robustness/attacks/test_gradient.py, against foolbox.
    """

    steps: int
    restarts: int = 1
    loss: str = "margin"
    step: float | None = None
    momentum: float = 0.0
    random_start: bool = True
    gradient_fn: GradientFunction | None = None
    family: str = "pgd"
    neighbours: int = 0
    several_sizes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        Range(0).require(f"attack {self.family}", neighbours=self.neighbours)
        Range(1).require(f"attack {self.family}", steps=self.steps, restarts=self.restarts)
        get_loss(self.loss)

    @property
    def kind(self) -> Kind:
        """Single-step or iterative."""
        return "single-step" if self.steps == 1 else "iterative"

    def __call__(self, model: Model, images: Tensor, labels: Tensor, threat: Threat, seed: int) -> Adversarial:
        """Attack; see `attack.Attack`."""
        search = Search(model, images, labels, threat, get_loss(self.loss), self.gradient_fn)
        for restart in range(self.restarts):
            start = threat.random_start(search.clean, generator_of(seed, restart)) if self.random_start else images
            self._ascend(search, start, generator_of(seed, restart, 1))
        return search.result()

    def _ascend(self, search: Search, images: Tensor, generator: torch.Generator) -> None:
        """Climb from one start; the search keeps the best iterates."""
        step = (2.5 / self.steps if self.step is None else self.step) * search.threat.sizes(images)
        near = search.threat.scaled(RADIUS)
        velocity = torch.zeros_like(images)
        for i in range(self.steps):
            direction, _ = search.gradient(images, clean=i == 0 and not self.random_start)
            for _ in range(self.neighbours):
                around = near.random_start(images, generator)
                direction = direction + search.gradient(search.threat.project(around, search.clean))[0]
            if self.momentum:
                length = direction.flatten(1).abs().sum(1).clamp(min=1e-38)
                direction = velocity = self.momentum * velocity + direction / per_image(length, direction)
            images = search.threat.project(images + step * search.threat.steepest(direction), search.clean)
        search.offer(images)


def averaged_gradient(steps: int = 20, neighbours: int = 4) -> ProjectedGradient:
    """PGD along the mean gradient of the neighbourhood, with momentum."""
    return ProjectedGradient(steps, momentum=0.75, family="averaged", neighbours=neighbours)


def fast_gradient(loss: str = "margin", gradient_fn: GradientFunction | None = None) -> ProjectedGradient:
    """FGSM (linf; Goodfellow et al. 2015), which is FGM in l2: one step of size eps from the clean image."""
    return ProjectedGradient(1, 1, loss, 1.0, random_start=False, gradient_fn=gradient_fn, family="fgsm")


def momentum_gradient(steps: int = 20, decay: float = 1.0) -> ProjectedGradient:
    """MI-FGSM: `steps` steps of eps / steps with momentum, from the clean image (Dong et al. 2018)."""
    return ProjectedGradient(steps, 1, "margin", 1.0 / steps, decay, random_start=False, family="mi-fgsm")
