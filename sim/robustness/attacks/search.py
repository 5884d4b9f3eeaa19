"""What an attack is: what it hands back (`Adversarial`), and the search they all share.

Libraries return the CLEAN image wherever the attacked model was not fooled. That is fatal when another model is
scored (here: the deployed integers), so every attack of this package hands back, for each image, the iterate with the
largest margin, fooled or not; the clean image only where nothing raised the margin at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from neuro.base.checks import Range
from neuro.base.errors import UserError
from sim.robustness.attacks.losses import Loss, margin
from sim.robustness.attacks.threats import Threat, per_image

Model = Callable[[Tensor], Tensor]  # images [B, *shape] in 0..1 -> scores [B, K], differentiable
GradientFunction = Callable[[Tensor, Tensor], Tensor]  # images, labels [B] -> direction of rising loss [B, *shape]
Kind = Literal["noise", "single-step", "iterative", "minimal-norm", "query", "transfer", "ensemble", "decision"]
WHITE_BOX: tuple[Kind, ...] = ("single-step", "iterative", "minimal-norm")


@dataclass(frozen=True)
class ZeroGradient:
    """Share of exactly zero input gradients: of single entries, and of images whose gradient is zero everywhere.

    clean_*: at the clean images; iterate_*: over all iterates of the attack, of images while they were not yet fooled.
    """

    clean_entries: float
    clean_images: float
    iterate_entries: float
    iterate_images: float


@dataclass(frozen=True, eq=False)
class Adversarial:
    """What an attack found.

    images of shape [B, *shape], float32 in 0..1, within the threat. margin [B]: the largest margin (`losses.margin`)
    over all iterates on the attacked model, > 0 where it is fooled. returned_clean [B]: nothing raised the margin.
    zero_gradients: one for each size of the threat; none for attacks that use no gradient.
    """

    images: Tensor
    margin: Tensor
    returned_clean: Tensor
    zero_gradients: tuple[ZeroGradient, ...] = ()

    @property
    def zero_gradient(self) -> ZeroGradient | None:
        """That of the first size; None for attacks that use no gradient."""
        return self.zero_gradients[0] if self.zero_gradients else None

    @property
    def zero_gradient_share(self) -> float:
        """Share of exactly zero entries of the input gradient at the clean images; NaN if none was taken."""
        return self.zero_gradient.clean_entries if self.zero_gradient else math.nan

    def by_size(self, copies: int) -> list[Adversarial]:
        """What was found under each of so many sizes that were attacked at once (`threats.Threats`)."""
        parts = (values.chunk(copies) for values in (self.images, self.margin, self.returned_clean))
        return [
            Adversarial(images, margins, clean, self.zero_gradients[size : size + 1])
            for size, (images, margins, clean) in enumerate(zip(*parts, strict=True))
        ]


class Attack(Protocol):
    """An attack. family and steps name its strength: two members of a family differ in steps alone.

    Those with a true `several_sizes` take `threats.Threats`, too.
    """

    @property
    def family(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> Kind: ...  # noqa: D102
    @property
    def steps(self) -> int: ...  # noqa: D102
    def __call__(self, model: Model, images: Tensor, labels: Tensor, threat: Threat, seed: int) -> Adversarial:
        """Attack `model` on images [B, *shape] with true labels [B]; a function of the seed and of the batch."""


def require_images(images: Tensor, labels: Tensor) -> None:
    """Raise UserError unless images are float32 in 0..1 and there is one label for each."""
    if not images.dtype == torch.float32 or images.dim() < 2:
        raise UserError(f"attack: images {images.dtype} of shape {tuple(images.shape)}; give float32 [B, *shape]")
    if not len(images) or len(images) != len(labels):
        raise UserError(f"attack: {len(images)} images and {len(labels)} labels; give one label for each image")
    low, high = float(images.min()), float(images.max())
    if not 0.0 <= low <= high <= 1.0:
        raise UserError(f"attack: pixels lie in {low:g}..{high:g}; scale the images to 0..1")


class Search:
    """The state of an attack on one batch: best iterate of every image, and how many gradients were exactly zero."""

    def __init__(self, model: Model, images: Tensor, labels: Tensor, threat: Threat, loss: Loss = margin,
                 gradient_fn: GradientFunction | None = None) -> None:  # fmt: skip
        require_images(images, labels)
        self.model, self.threat, self.loss, self.gradient_fn = model, threat, loss, gradient_fn
        self.clean, self.labels = images.detach(), labels.to(images.device, torch.int64)
        self.best_images = self.clean.clone()
        self.clean_scores = self.scores(self.clean)
        self.best_margin = self.clean_margin = margin(self.clean_scores, self.labels)
        self._took_gradient = False
        self._zero: dict[bool, list[list[tuple[float, float]]]] = {
            clean: [[] for _ in range(threat.copies)] for clean in (True, False)
        }

    @property
    def first(self) -> Tensor:
        """The clean images, once."""
        return self.clean[: len(self.clean) // self.threat.copies]

    def scores(self, images: Tensor) -> Tensor:
        """The scores [B, K] without gradient."""
        with torch.no_grad():
            return self.model(images)

    def offer(self, images: Tensor, scores: Tensor | None = None) -> Tensor:
        """Keep those images whose margin is larger than any before (NaN never is); return their margins [B]."""
        margins = margin(self.scores(images) if scores is None else scores, self.labels)
        better = margins > self.best_margin
        self.best_margin = torch.where(better, margins, self.best_margin)
        self.best_images = torch.where(per_image(better, images), images.detach(), self.best_images)
        return margins

    def gradient(self, images: Tensor, clean: bool = False) -> tuple[Tensor, Tensor]:
        """Offer the images; return the gradient of the loss [B, *shape] and the loss [B]."""
        images = images.detach().requires_grad_(self.gradient_fn is None)
        with torch.set_grad_enabled(self.gradient_fn is None):
            scores = self.model(images)
            loss = self.loss(scores, self.labels)
        if self.gradient_fn is not None:
            gradient = self.gradient_fn(images, self.labels)
        elif loss.requires_grad:
            found = torch.autograd.grad(loss.sum(), images, allow_unused=True)[0]
            gradient = torch.zeros_like(images) if found is None else found
        else:  # something on the way has no gradient at all
            gradient = torch.zeros_like(images)
        gradient, self._took_gradient = gradient.detach().nan_to_num(0.0, 0.0, 0.0), True
        self._count_zeros(gradient, clean)
        self.offer(images.detach(), scores.detach())
        return gradient, loss.detach()

    def result(self) -> Adversarial:
        """The best iterates, once more projected; gradients at the clean images are measured if not yet."""
        if self._took_gradient and not self._zero[True][0]:
            self.gradient(self.clean, clean=True)
        images = self.threat.project(self.best_images, self.clean)
        zeros = tuple(self._zero_gradient(size) for size in range(self.threat.copies if self._zero[True][0] else 0))
        return Adversarial(images, self.best_margin, self.best_margin <= self.clean_margin, zeros)

    def _count_zeros(self, gradient: Tensor, clean: bool) -> None:
        """Add the shares of zeros, by size: of all images if they are clean, else of those not yet fooled."""
        zero = (gradient == 0).flatten(1)
        entries, whole = zero.float().mean(1), zero.all(1).float()
        counted = torch.ones_like(whole) if clean else (self.best_margin <= 0).to(whole)
        stacked = (torch.stack([entries, whole, torch.ones_like(whole)]) * counted).reshape(3, self.threat.copies, -1)
        for size, (of_entries, of_images, n) in enumerate(stacked.sum(2).T.tolist()):
            if n:
                self._zero[clean][size].append((of_entries / n, of_images / n))

    def _zero_gradient(self, size: int) -> ZeroGradient:
        clean = self._zero[True][size][0]
        iterates = self._zero[False][size] or [clean]
        entries, images = (sum(share[part] for share in iterates) / len(iterates) for part in (0, 1))
        return ZeroGradient(*clean, entries, images)


def expectation(model: Model, n_passes: int) -> Model:
    """The model with scores averaged over `n_passes` passes: expectation over transformation (EoT).

    The gradient of a loss on it is the average gradient of a stochastic model. Source: Athalye et al. 2018.
    """
    Range(1).require("expectation", passes=n_passes)
    return lambda images: torch.stack([model(images) for _ in range(n_passes)]).mean(0)


def generator_of(*words: int) -> torch.Generator:
    """A generator on the CPU (equal on all devices) that is a function of the given non-negative integers."""
    state = 0
    for word in words:
        state = (state * 0x9E3779B1 + word + 0x7F4A7C15) % 2**63
    return torch.Generator().manual_seed(state)
