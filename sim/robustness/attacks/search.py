"""What an attack is: what it may change (`Threat`), what it hands back (`Adversarial`), and the search they all share.

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

from neuro.base.checks import Range, require_choice
from neuro.base.errors import UserError
from sim.robustness.attacks.losses import Loss, margin

Model = Callable[[Tensor], Tensor]  # images [B, *shape] in 0..1 -> scores [B, K], differentiable
GradientFunction = Callable[[Tensor, Tensor], Tensor]  # images, labels [B] -> direction of rising loss [B, *shape]
Kind = Literal["noise", "single-step", "iterative", "minimal-norm", "query", "transfer", "ensemble", "decision"]
WHITE_BOX: tuple[Kind, ...] = ("single-step", "iterative", "minimal-norm")
NORMS = ("linf", "l2")
TOLERANCE = 1e-5  # of distances, in 32-bit floats


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """`values` of shape [B] as [B, 1, ...], to be broadcast against `like` of shape [B, *shape]."""
    return values.reshape(-1, *[1] * (like.dim() - 1))


def norm_of(changes: Tensor, norm: str) -> Tensor:
    """The norm ("linf" or "l2") of every image of `changes` [B, *shape], of shape [B]."""
    flat = changes.flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)


@dataclass(frozen=True)
class Threat:
    """What the attacker may do: move an image by at most `eps` in `norm`, within 0..1.

    norm: "linf" (largest change of a pixel) or "l2" (Euclidean). eps: in units of the pixel range 0..1.
    Raises: UserError if the norm is unknown, or eps is not positive, or above 1 for linf.
    """

    norm: str
    eps: float

    def __post_init__(self) -> None:
        require_choice("threat: norm", self.norm, NORMS)
        limit = 1.0 if self.norm == "linf" else math.inf
        if not 0 < self.eps <= limit or math.isinf(self.eps):
            allowed = "0 < eps <= 1, the range of a pixel" if self.norm == "linf" else "a finite eps > 0"
            raise UserError(f"threat: eps {self.eps} is outside the limits of {self.norm}; give {allowed}")

    def __str__(self) -> str:
        return f"{self.norm} {self.eps:g}"

    def project(self, images: Tensor, clean: Tensor) -> Tensor:
        """The images moved into the allowed set around `clean` (both of shape [B, *shape])."""
        if self.norm == "linf":
            return images.clamp(clean - self.eps, clean + self.eps).clamp(0.0, 1.0)
        change = images - clean
        factor = (self.eps / norm_of(change, "l2").clamp(min=1e-12)).clamp(max=1.0)
        return (clean + change * per_image(factor, change)).clamp(0.0, 1.0)  # the box holds clean: nothing grows

    def steepest(self, gradient: Tensor) -> Tensor:
        """The change of norm 1 along which a linear loss rises fastest, per image; zero where there is none."""
        if self.norm == "linf":
            return gradient.sign()
        scaled = gradient / per_image(norm_of(gradient, "linf").clamp(min=1e-38), gradient)  # squares must not vanish
        return scaled / per_image(norm_of(scaled, "l2").clamp(min=1e-12), scaled)

    def random_start(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """A random image of the allowed set: uniform in the linf ball, or in the l2 ball, clipped to 0..1."""
        if self.norm == "linf":
            change = torch.rand(clean.shape, generator=generator) * 2 - 1
        else:
            change = self.steepest(torch.randn(clean.shape, generator=generator))
            radius = torch.rand(len(clean), generator=generator) ** (1.0 / clean[0].numel())
            change = change * per_image(radius, change)
        return self.project(clean + self.eps * change.to(clean), clean)


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
    zero_gradient: None for attacks that use no gradient.
    """

    images: Tensor
    margin: Tensor
    returned_clean: Tensor
    zero_gradient: ZeroGradient | None = None

    @property
    def zero_gradient_share(self) -> float:
        """Share of exactly zero entries of the input gradient at the clean images; NaN if none was taken."""
        return self.zero_gradient.clean_entries if self.zero_gradient else math.nan


class Attack(Protocol):
    """An attack. family and steps name its strength: two members of a family differ in steps alone."""

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
        self._zero: dict[bool, list[tuple[float, float]]] = {True: [], False: []}

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
        zero = (gradient == 0).flatten(1)
        zero = zero if clean else zero[self.best_margin <= 0]
        if len(zero):
            self._zero[clean].append((float(zero.float().mean()), float(zero.all(1).float().mean())))
        self.offer(images.detach(), scores.detach())
        return gradient, loss.detach()

    def result(self) -> Adversarial:
        """The best iterates, once more projected; gradients at the clean images are measured if not yet."""
        if self._took_gradient and not self._zero[True]:
            self.gradient(self.clean, clean=True)
        images = self.threat.project(self.best_images, self.clean)
        return Adversarial(images, self.best_margin, self.best_margin <= self.clean_margin, self._zero_gradient())

    def _zero_gradient(self) -> ZeroGradient | None:
        if not self._zero[True]:
            return None
        clean = self._zero[True][0]
        iterates = self._zero[False] or [clean]
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
