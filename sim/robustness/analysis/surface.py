"""How smooth the output is along lines from an image: the margin of the true class, step by step.

A surface that falls in steps, or goes up and down, misleads an attacker who follows its gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sim.robustness.attacks.losses import margin
from sim.robustness.attacks.search import Model, generator_of
from sim.robustness.attacks.threats import Threat

POINTS = 41
AT_ONCE = 512  # images of a pass, so that few images at many points are few passes


@dataclass(frozen=True)
class Line:
    """Score of the true class minus the largest other one, along x + t d, over n images; in units of the scores.

    sizes of shape [P]: t, from 0 to eps; mean, low, high of shape [P]: mean, 10th and 90th percentile over the images.
    roughness: way up and down over the distance between the largest and the smallest margin of a line, 1 if it only
    falls or only rises, mean over the images whose margin moves at all (None: none does). flat: share of steps in which
    the margin does not move.
    """

    sizes: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    roughness: float | None
    flat: float
    n: int


def random_images(threat: Threat, clean: Tensor, seed: int) -> Tensor:
    """Move clean [B, *shape] by eps in a random direction (linf: random signs), clipped to 0..1."""
    drawn = torch.randn(clean.shape, generator=generator_of(seed)).to(clean)
    return threat.project(clean + threat.eps * threat.steepest(drawn), clean)


def walk(model: Model, clean: Tensor, end: Tensor, labels: Tensor, eps: float, points: int = POINTS) -> Line:
    """Walk from clean to end (both [B, *shape]), an image of size `eps` away; labels [B].

    The lines stay in 0..1 as their ends do.
    """
    shares = torch.linspace(0.0, 1.0, points)
    with torch.no_grad():
        margins = torch.cat([_margins(model, clean, end, labels, part) for part in
                             shares.to(clean.device).split(max(AT_ONCE // len(clean), 1))])  # fmt: skip
    values = margins.cpu().double().numpy()  # [P, B]
    steps = np.abs(np.diff(values, axis=0))
    reach = np.ptp(values, axis=0)
    moving = reach > 0
    low, high = np.percentile(values, [10, 90], axis=1)
    return Line(
        sizes=tuple((eps * shares.double()).tolist()),
        mean=tuple(values.mean(axis=1).tolist()),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
        roughness=float((steps.sum(axis=0)[moving] / reach[moving]).mean()) if moving.any() else None,
        flat=float((steps == 0).mean()),
        n=values.shape[1],
    )


def _margins(model: Model, clean: Tensor, end: Tensor, labels: Tensor, shares: Tensor) -> Tensor:
    """The margins of the true class at P shares of the way, of shape [P, B]."""
    away = shares.reshape(-1, *[1] * clean.dim()).to(clean)
    images = (clean + away * (end - clean)).clamp(0.0, 1.0)  # rounding may leave 0..1
    return -margin(model(images.flatten(0, 1)), labels.repeat(len(shares))).reshape(len(shares), -1)
