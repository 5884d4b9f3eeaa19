"""An attack on the smoothed classifier itself: what a certificate must withstand.

Projected gradients in l2, each image within a radius of its own. The loss is that of the smoothed scores, averaged over
noisy copies (Salman et al. 2019, eq. 6): - log mean over z of softmax(twin(x + sigma z))[label]. The twin stands for
the deployed integers, which decide afterwards, by votes. An attack says nothing where it fails: it can only refute.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sim.robustness.attacks.search import Model
from sim.robustness.attacks.threats import norm_of, per_image

STEPS, COPIES, STEP_SHARE = 20, 8, 0.2  # a step is this share of the radius


def smoothed_pgd(
    model: Model, images: Tensor, labels: Tensor, radii: Tensor, sigma: float, *, steps: int = STEPS,
    copies: int = COPIES, seed: int = 0,
) -> Tensor:  # fmt: skip
    """Images of shape [B, *shape] within `radii` [B] in l2 of `images`, that raise the loss of the smoothed scores.

    Args: model: differentiable, scores [B, K] for images in 0..1; labels [B]; copies: noisy ones a step and image.
    """
    generator = torch.Generator().manual_seed(seed)
    moved = images.clone()
    for _ in range(steps):
        gradient = _gradient(model, moved, labels, sigma, copies, generator)
        length = norm_of(gradient, "l2").clamp(min=1e-12)
        moved = moved + gradient * per_image(STEP_SHARE * radii / length, gradient)
        change = moved - images
        shrink = (radii / norm_of(change, "l2").clamp(min=1e-12)).clamp(max=1.0)
        moved = (images + change * per_image(shrink, change)).clamp(0.0, 1.0)  # the box holds the images
    return moved


def _gradient(
    model: Model, images: Tensor, labels: Tensor, sigma: float, copies: int, generator: torch.Generator
) -> Tensor:
    leaf = images.detach().requires_grad_(True)
    noise = torch.randn((copies, *images.shape), generator=generator) * sigma
    noisy = (leaf + noise).clamp(0.0, 1.0).flatten(0, 1)
    right = torch.log_softmax(model(noisy), dim=1).gather(1, labels.repeat(copies)[:, None]).reshape(copies, -1)
    loss = -torch.logsumexp(right, dim=0).sum()
    return torch.autograd.grad(loss, leaf)[0]
