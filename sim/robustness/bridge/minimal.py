"""How little turns the deployed label: the smallest changes in four norms, and the accuracy against size they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from neuro.base.arrays import Float32
from sim.robustness.attacks.libraries import finish
from sim.robustness.attacks.minimal import (
    SIZES,
    Smallest,
    decoupled_direction_norm,
    fast_minimum_norm,
)
from sim.robustness.attacks.search import Adversarial, Kind, Model, Search
from sim.robustness.attacks.threats import Threat
from sim.robustness.bridge.stages import Stage
from sim.robustness.judging.table import Scorer

STEPS, FEW_STEPS = 100, 40
POINTS = 41  # of a curve

Curve = list[tuple[float, float]]  # size, accuracy


@dataclass(frozen=True, eq=False)
class Given:
    """Images that were found before, cut to the size of the threat. images [B, *shape]: of the same batch."""

    images: Tensor
    steps: int = STEPS
    several_sizes: ClassVar[bool] = True
    kind: Kind = "ensemble"  # several twins, and the deployed labels: no witness that one gradient is sound
    family: str = "min-norm"

    def __call__(self, model: Model, images: Tensor, labels: Tensor, threat: Threat, seed: int) -> Adversarial:
        """Attack; see `attack.Attack`."""
        return finish(Search(model, images, labels, threat), self.images)


def smallest_changes(
    twins: Mapping[str, Model], scorer: Scorer, images: Tensor, labels: Tensor, steps: int,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Smallest]:  # fmt: skip
    """The smallest change of every image, by norm: FMN on every twin, in l2 DDN, too.

    Args: twins by name, on the device of the images; images [B, *shape]; labels [B].
    """

    def turned(moved: Tensor) -> Tensor:
        return torch.as_tensor(scorer(moved.cpu().numpy()), dtype=torch.int64, device=labels.device) != labels

    found = {}
    for norm in SIZES:
        smallest = Smallest.start(images, turned, norm)
        for name, twin in twins.items():
            if progress:
                progress(f"smallest change, {norm}, on {name}")
            fast_minimum_norm(twin, images, labels, smallest, turned, steps)
            if norm == "l2":
                decoupled_direction_norm(twin, images, labels, smallest, turned, steps)
        smallest.draw_nearer(turned)
        found[norm] = smallest
    return found


def stage_of(smallest: Smallest, model: tuple[str, Model], threats: tuple[Threat, ...]) -> Stage:
    """The stage in which what was found counts under every threat."""
    return Stage(dict([model]), {"min-norm": Given(smallest.images)}, threats)


def curve_of(sizes: Float32) -> Curve:
    """Accuracy against size, of at most POINTS points: the share of images whose smallest change is larger.

    sizes [n]: infinite where nothing was found, 0 of images that were wrong already.
    """
    ends = np.unique(sizes[np.isfinite(sizes)])
    chosen = ends[np.unique(np.linspace(0, len(ends) - 1, POINTS).round().astype(int))] if len(ends) else ends
    return [(float(end), float((sizes > end).mean())) for end in chosen]
