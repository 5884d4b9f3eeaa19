"""An attack written for one network, which knows how it is built: what a trusted figure must withstand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from neuro.spec.network import Network
from sim.robustness.attacks.losses import margin
from sim.robustness.attacks.search import Model
from sim.robustness.attacks.threats import Threat, per_image
from sim.twins.make import make_twin
from sim.twins.surrogates import Surrogate

MOMENTUM, STEP = 0.75, 0.1  # the step in units of eps
LONGEST = 64  # steps of an inference that are unrolled


def withstood(
    smooth: Model, right: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor, threat: Threat, seed: int,
    steps: int = 50, every: int = 2,
) -> Tensor:  # fmt: skip
    """Whether images stay `right` on a momentum ascent on a stand-in, every so many iterates scored; of shape [B].

    Args: smooth, the stand-in; right: images [B, *shape] -> whether the network is still right [B]; labels [B].
    """
    moved, velocity = threat.random_start(images, torch.Generator().manual_seed(seed)), torch.zeros_like(images)
    flags = torch.ones(len(images), dtype=torch.bool)
    for step in range(1, steps + 1):
        moved = moved.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(margin(smooth(moved), labels).sum(), moved)
        length = gradient.abs().flatten(1).sum(1).clamp(min=1e-30)
        velocity = MOMENTUM * velocity + gradient / per_image(length, gradient)
        moved = threat.project(moved + STEP * threat.eps * threat.steepest(velocity), images)
        if step % every == 0:
            flags &= right(moved.detach())
    return flags


def stand_ins(spec: Network) -> Mapping[str, Model]:
    """Twins of a network that see past what hides its gradient: saturated neurons, rounding, boxes, thresholds."""
    steps = min(spec.free_steps, LONGEST)
    exact = make_twin(spec)
    leaky, wide = exact.second[1], Surrogate(exact.surrogate.name, box_slope=1.0)
    twins: dict[str, Model] = {
        "leaky": make_twin(spec, leaky, steps=steps),
        "relaxed, leaking": make_twin(spec, wide, "relaxed", steps=steps),
        "near the box": make_twin(spec, exact.surrogate.near_the_box, steps=steps),
    }
    if exact.has_thresholds:
        twins["below thresholds"] = make_twin(spec, exact.surrogate.below_thresholds, steps=steps)
    return twins
