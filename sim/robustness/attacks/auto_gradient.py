"""Auto-PGD: gradient ascent that halves its own steps; on cross-entropy, DLR and targeted DLR."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neuro.base.checks import Range
from sim.robustness.attacks.losses import dlr_targeted, get_loss
from sim.robustness.attacks.search import Adversarial, Kind, Model, Search, generator_of
from sim.robustness.attacks.threats import Threat, per_image

MOMENTUM = 0.75  # alpha of eq. 4
RISING_SHARE = 0.75  # rho of condition 1
TARGETED = "dlr-targeted"


def checkpoints(steps: int) -> list[int]:
    """The steps after which the size may be halved: w_j = ceil(p_j steps) (Croce, Hein 2020, section 3.2)."""
    shares = [0.0, 0.22]
    while shares[-1] < 1.0:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return [math.ceil(round(share * steps, 6)) for share in shares[1:] if share <= 1.0]


@dataclass(frozen=True)
class AutoGradient:
    """APGD. steps; restarts (one for each of so many rival classes if targeted); loss: a name, or "dlr-targeted".

    z = project(x_k + size d(gradient)); x_{k+1} = project(x_k + .75 (z - x_k) + .25 (x_k - x_{k-1})). Size starts at
    2 eps and is halved, per image, at a checkpoint if the loss rose in fewer than 75 % of the steps since the last one,
    or if neither size nor best loss changed between two; the search then goes on from the best image.
    Source: Croce and Hein 2020, algorithm 1.
    """

    steps: int = 100
    restarts: int = 1
    loss: str = "cross-entropy"
    kind: Kind = "iterative"
    several_sizes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        Range(1).require("attack apgd", steps=self.steps, restarts=self.restarts)
        if self.loss != TARGETED:
            get_loss(self.loss)

    @property
    def family(self) -> str:
        """One for each loss."""
        return f"apgd {self.loss}"

    def __call__(self, model: Model, images: Tensor, labels: Tensor, threat: Threat, seed: int) -> Adversarial:
        """Attack; see `attack.Attack`."""
        search = Search(model, images, labels, threat)
        rivals = search.clean_scores.scatter(1, search.labels[:, None], -torch.inf).argsort(1, descending=True)
        restarts = min(self.restarts, rivals.shape[1] - 1) if self.loss == TARGETED else self.restarts
        for restart in range(restarts):
            search.loss = dlr_targeted(rivals[:, restart]) if self.loss == TARGETED else get_loss(self.loss)
            _Ascent(search, self.steps).run(threat.random_start(search.clean, generator_of(seed, restart)))
        return search.result()


class _Ascent:
    """One run of algorithm 1 on a batch. Per image: size, best loss and image, and what they were at the checkpoint."""

    def __init__(self, search: Search, steps: int) -> None:
        self.search, self.steps = search, steps

    def run(self, start: Tensor) -> None:
        """Climb from `start`; the search keeps the images of the largest margin."""
        threat, clean = self.search.threat, self.search.clean
        gradient, loss = self.search.gradient(start)
        self.best, self.best_gradient, self.best_loss = start, gradient, loss
        self.size = torch.full_like(loss, 2.0) * threat.sizes(loss)
        self.rises, last = torch.zeros_like(loss), 0
        self.loss_before, self.size_before = self.best_loss.clone(), torch.full_like(loss, torch.inf)
        images = before = start
        marks = checkpoints(self.steps)
        for step in range(1, self.steps + 1):
            target = threat.project(images + per_image(self.size, images) * threat.steepest(gradient), clean)
            if step > 1:
                target = images + MOMENTUM * (target - images) + (1 - MOMENTUM) * (images - before)
            before, images = images, threat.project(target, clean)
            loss_before = loss
            gradient, loss = self.search.gradient(images)
            self.rises += (loss > loss_before).to(loss)
            self._keep(images, gradient, loss)
            if step in marks:
                halved = self._halve(step - last)
                mask = per_image(halved, images)
                images, gradient = torch.where(mask, self.best, images), torch.where(mask, self.best_gradient, gradient)
                loss, before, last = torch.where(halved, self.best_loss, loss), torch.where(mask, images, before), step

    def _keep(self, images: Tensor, gradient: Tensor, loss: Tensor) -> None:
        """Remember the image of the largest loss and its gradient."""
        better = loss > self.best_loss
        mask = per_image(better, images)
        self.best, self.best_gradient = (
            torch.where(mask, images, self.best),
            torch.where(mask, gradient, self.best_gradient),
        )
        self.best_loss = torch.where(better, loss, self.best_loss)

    def _halve(self, n_steps: int) -> Tensor:
        """Halve the sizes that the two conditions of section 3.2 name; return which, of shape [B]."""
        seldom = self.rises < RISING_SHARE * n_steps
        stuck = (self.size_before == self.size) & (self.loss_before == self.best_loss)
        halved = seldom | stuck
        self.size_before, self.loss_before = self.size, self.best_loss.clone()
        self.size = torch.where(halved, self.size / 2, self.size)
        self.rises = torch.zeros_like(self.rises)
        return halved
