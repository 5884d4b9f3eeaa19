"""The smallest change of every image that turns the deployed label: all of accuracy against size from one run.

Both walk on the gradient of a twin; whether an iterate counts is asked of the deployed model, at every step, so that
what is kept is the best one there (libraries keep what is best on the twin, which may be nothing to the other).

    FMN    d <- project(d + step g / |g|, eps), then 0..1;  eps shrinks by gamma where the label turned, else grows;
           before it turned for the first time eps is |d| + |margin| / |g|*, the distance of the linearised boundary,
           and with every step more (the source goes by that distance alone: it comes near and need not cross)
    DDN    d <- eps (d + step g / |g|) / |..|, then 0..1;   l2 alone

Step and gamma fall along a cosine. In l0 eps is a number of pixels. What was found is then drawn towards the clean
image as long as the label stays turned. Sources: Pintor et al. 2021 (FMN), Rony et al. 2019 (DDN).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from neuro.base.checks import Range, require_choice
from sim.robustness.attacks.losses import margin
from sim.robustness.attacks.search import Model, require_images
from sim.robustness.attacks.threats import per_image

SIZES = {"linf": "largest change of a pixel", "l2": "Euclidean", "l1": "sum of all changes", "l0": "pixels changed"}
DUAL = {"linf": 1.0, "l2": 2.0, "l1": math.inf}
Turned = Callable[[Tensor], Tensor]  # images [B, *shape] -> whether the deployed label is wrong [B]
GAMMA, LAST_GAMMA = 0.05, 0.001
LARGEST_STEP, LAST_STEP = 1.0, 0.01
HALVINGS = 8


def size_of(changes: Tensor, norm: str) -> Tensor:
    """The size of every image of `changes` [B, *shape], of shape [B]; norm: one of SIZES."""
    flat = changes.flatten(1)
    if norm == "l0":
        return (flat != 0).sum(1).to(flat)
    order = math.inf if norm == "linf" else float(norm[1:])
    sizes: Tensor = torch.linalg.vector_norm(flat, order, dim=1)
    return sizes


def within(changes: Tensor, norm: str, eps: Tensor) -> Tensor:
    """The nearest changes [B, *shape] of a size of at most eps [B] (l0: the largest entries are kept)."""
    flat, limit = changes.flatten(1), eps[:, None]
    if norm == "linf":
        kept = flat.clamp(-limit, limit)
    elif norm == "l2":
        kept = flat * (limit / torch.linalg.vector_norm(flat, dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1.0)
    elif norm == "l0":
        rank = flat.abs().argsort(1, descending=True).argsort(1)
        kept = torch.where(rank < limit, flat, torch.zeros_like(flat))
    else:
        kept = _within_l1(flat, limit)
    return kept.reshape(changes.shape)


def _within_l1(flat: Tensor, limit: Tensor) -> Tensor:
    """Soft thresholding at the level that leaves the sum `limit`. Source: Duchi et al. 2008."""
    sizes = flat.abs().sort(1, descending=True).values
    excess = sizes.cumsum(1) - limit
    count = torch.arange(1, flat.shape[1] + 1, device=flat.device)
    n_kept = (sizes * count > excess).sum(1, keepdim=True).clamp(min=1)
    level = (excess.gather(1, n_kept - 1) / n_kept).clamp(min=0.0)
    return flat.sign() * (flat.abs() - level).clamp(min=0.0)


@dataclass(eq=False)
class Smallest:
    """The smallest changes so far. sizes [B]: infinite where the label never turned, 0 where it was wrong already.

    images [B, *shape]: clean where it never turned.
    """

    norm: str
    clean: Tensor
    images: Tensor
    sizes: Tensor

    @staticmethod
    def start(images: Tensor, turned: Turned, norm: str) -> Smallest:
        """Nothing is changed yet."""
        sizes = torch.full((len(images),), torch.inf, device=images.device)
        return Smallest(norm, images, images.clone(), sizes.masked_fill(turned(images), 0.0))

    def offer(self, images: Tensor, turned: Tensor) -> None:
        """Keep those that turned [B] and are nearer."""
        sizes = size_of(images - self.clean, self.norm)
        better = turned & (sizes < self.sizes)
        self.sizes = torch.where(better, sizes, self.sizes)
        self.images = torch.where(per_image(better, images), images, self.images)

    def draw_nearer(self, turned: Turned) -> None:
        """Halve the way to the clean image again and again, as long as the label stays turned."""
        if self.norm == "l0":
            return
        change, low = self.images - self.clean, torch.zeros_like(self.sizes)
        high = torch.ones_like(low)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            images = self.clean + per_image(middle, change) * change
            found = turned(images)
            self.offer(images, found)
            low, high = torch.where(found, low, middle), torch.where(found, middle, high)


def fast_minimum_norm(
    model: Model, images: Tensor, labels: Tensor, smallest: Smallest, turned: Turned, steps: int = 100
) -> None:
    """FMN, see the module docstring.

    Args:   model: its gradient is followed; images of shape [B, *shape]; labels [B]; smallest: is added to; turned:
            the deployed model's word.
    Raises: UserError if steps are below 1 or images are none.
    """
    norm = smallest.norm
    _check(images, labels, steps, norm)
    change, ever = torch.zeros_like(images), torch.zeros_like(smallest.sizes, dtype=torch.bool)
    widest = size_of(torch.maximum(images, 1.0 - images), norm)
    eps = torch.ones_like(widest) if norm == "l0" else torch.full_like(widest, torch.inf)
    for step in range(steps):
        size, gamma = _annealed(LARGEST_STEP, LAST_STEP, step, steps), _annealed(GAMMA, LAST_GAMMA, step, steps)
        moved = images + change
        gradient, value = _gradient(model, moved, labels)
        found = turned(moved)
        smallest.offer(moved, found)
        ever |= found
        if norm == "l0":
            eps = torch.where(found, torch.minimum(eps - 1, (eps * (1 - gamma)).floor()).minimum(smallest.sizes),
                              torch.maximum(eps + 1, (eps * (1 + gamma)).floor())).clamp(min=1.0)  # fmt: skip
        else:
            slope = torch.linalg.vector_norm(gradient.flatten(1), DUAL[norm], dim=1).clamp(min=1e-12)
            far = size_of(change, norm) + value.abs() / slope
            outside = torch.where(ever, eps * (1 + gamma), far * (1 + GAMMA) ** (step + 1))
            eps = torch.where(found, torch.minimum(eps * (1 - gamma), smallest.sizes), outside)
        eps = torch.minimum(eps, widest)
        change = within(change + size * _of_length_one(gradient), norm, eps)
        change = (images + change).clamp(0.0, 1.0) - images
    smallest.offer(images + change, turned(images + change))


def decoupled_direction_norm(
    model: Model, images: Tensor, labels: Tensor, smallest: Smallest, turned: Turned, steps: int = 100
) -> None:
    """DDN, in l2; arguments and errors as `fast_minimum_norm`."""
    _check(images, labels, steps, smallest.norm, ("l2",))
    change, eps = torch.zeros_like(images), torch.ones_like(smallest.sizes)
    widest = size_of(torch.maximum(images, 1.0 - images), "l2")
    for step in range(steps):
        moved = images + change
        gradient, _ = _gradient(model, moved, labels)
        found = turned(moved)
        smallest.offer(moved, found)
        eps = torch.minimum(eps * torch.where(found, 1.0 - GAMMA, 1.0 + GAMMA), widest)
        change = change + _annealed(LARGEST_STEP, LAST_STEP, step, steps) * _of_length_one(gradient)
        change = change * per_image(eps / size_of(change, "l2").clamp(min=1e-12), change)
        change = (images + change).clamp(0.0, 1.0) - images
    smallest.offer(images + change, turned(images + change))


def _check(images: Tensor, labels: Tensor, steps: int, norm: str, norms: tuple[str, ...] = tuple(SIZES)) -> None:
    require_images(images, labels)
    Range(1).require("attack of minimal norm", steps=steps)
    require_choice("attack of minimal norm: norm", norm, norms)


def _annealed(first: float, last: float, step: int, steps: int) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * step / steps)) / 2


def _gradient(model: Model, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of the margin, of the shape of the images, zero where there is none; and the margin [B]."""
    leaf = images.detach().requires_grad_(True)
    with torch.enable_grad():
        value = margin(model(leaf), labels)
    found = torch.autograd.grad(value.sum(), leaf, allow_unused=True)[0] if value.requires_grad else None
    gradient = torch.zeros_like(images) if found is None else found.nan_to_num(0.0, 0.0, 0.0)
    return gradient, value.detach()


def _of_length_one(gradient: Tensor) -> Tensor:
    scaled = gradient / per_image(gradient.abs().flatten(1).amax(1).clamp(min=1e-38), gradient)
    return scaled / per_image(size_of(scaled, "l2").clamp(min=1e-12), scaled)
