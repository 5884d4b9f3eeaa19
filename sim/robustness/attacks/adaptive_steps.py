"""SA-PGD: projected gradients whose step is each pixel's own, as large as its gradient is steady.

    m <- .5 m + g / mean |g|,   v <- .8 v + g^2 / mean g^2,   x <- project(x + size clip(m / sqrt(v), -1, 1))

The size starts at eps and is halved for all images at the checkpoints of APGD. Means are over an image, so that the
gradients of spiking networks, whose sizes leap from step to step, count alike. Steps of a pixel's own are for linf; in
l2 the step is along m. Source: arXiv 2512.22522, its code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neuro.base.checks import Range
from sim.robustness.attacks.auto_gradient import checkpoints
from sim.robustness.attacks.losses import get_loss
from sim.robustness.attacks.search import Adversarial, Kind, Model, Search, generator_of
from sim.robustness.attacks.threats import Threat, per_image

KEPT, KEPT_SQUARES = 0.5, 0.8  # of the running sums of gradients and of their squares


@dataclass(frozen=True)
class StableAdaptive:
    """SA-PGD. steps; restarts, each from its own random start; loss, by name."""

    steps: int = 100
    restarts: int = 1
    loss: str = "margin"
    several_sizes: ClassVar[bool] = True
    kind: Kind = "iterative"
    family: str = "sa-pgd"

    def __post_init__(self) -> None:
        Range(1).require(f"attack {self.family}", steps=self.steps, restarts=self.restarts)
        get_loss(self.loss)

    def __call__(self, model: Model, images: Tensor, labels: Tensor, threat: Threat, seed: int) -> Adversarial:
        """Attack; see `attack.Attack`."""
        search = Search(model, images, labels, threat, get_loss(self.loss))
        for restart in range(self.restarts):
            self._climb(search, threat.random_start(search.clean, generator_of(seed, restart)))
        return search.result()

    def _climb(self, search: Search, images: Tensor) -> None:
        threat, marks, size = search.threat, set(checkpoints(self.steps)), 1.0
        steady, squares = torch.zeros_like(images), torch.zeros_like(images)
        for step in range(1, self.steps + 1):
            gradient, _ = search.gradient(images)
            steady = KEPT * steady + over_mean(gradient)
            squares = KEPT_SQUARES * squares + over_mean(over_mean(gradient).square())
            own = (steady / squares.sqrt().clamp(min=1e-12)).clamp(-1.0, 1.0)
            direction = own if threat.norm == "linf" else threat.steepest(steady)
            images = threat.project(images + size * threat.sizes(images) * direction, search.clean)
            size = size / 2 if step in marks else size
        search.offer(images)


def over_mean(values: Tensor) -> Tensor:
    """The values over the mean size of those of their image; zero where all are."""
    return values / per_image(values.abs().flatten(1).mean(1).clamp(min=1e-30), values)
