"""What an attacker may do: the size of a change and its norm, of one size or of several at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from neuro.base.checks import require_choice
from neuro.base.errors import UserError

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

    @property
    def copies(self) -> int:
        """How many times the images of a batch stand in it: once for each of several sizes."""
        return 1

    def sizes(self, like: Tensor) -> Tensor:
        """The eps of every image of `like` [B, *shape], to be broadcast against it."""
        return torch.full((1,) * like.dim(), self.eps, device=like.device)

    def scaled(self, share: float) -> Threat:
        """The threat of `share` times the size, which may leave the limits of one that is asked for."""
        return Threat(self.norm, share * self.eps)

    def among(self, chosen: Tensor) -> Threat:
        """The same for some images of the batch, an index of shape [A]."""
        return self

    def drawn(self, draw: Callable[[int], Tensor], n_images: int) -> Tensor:
        """What `draw` gives for n images, of shape [n, ...]; the same for all copies of an image."""
        values = draw(n_images // self.copies)
        return values.repeat(self.copies, *[1] * (values.dim() - 1)) if self.copies > 1 else values

    def project(self, images: Tensor, clean: Tensor) -> Tensor:
        """The images moved into the allowed set around `clean` (both of shape [B, *shape])."""
        eps = self.sizes(clean)
        if self.norm == "linf":
            return images.clamp(clean - eps, clean + eps).clamp(0.0, 1.0)
        change = images - clean
        factor = (eps / per_image(norm_of(change, "l2").clamp(min=1e-12), change)).clamp(max=1.0)
        return (clean + change * factor).clamp(0.0, 1.0)  # the box holds clean: nothing grows

    def steepest(self, gradient: Tensor) -> Tensor:
        """The change of norm 1 along which a linear loss rises fastest, per image; zero where there is none."""
        if self.norm == "linf":
            return gradient.sign()
        scaled = gradient / per_image(norm_of(gradient, "linf").clamp(min=1e-38), gradient)  # squares must not vanish
        return scaled / per_image(norm_of(scaled, "l2").clamp(min=1e-12), scaled)

    def random_start(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """A random image of the allowed set: uniform in the linf ball, or in the l2 ball, clipped to 0..1."""
        shape = clean.shape[1:]
        if self.norm == "linf":
            change = self.drawn(lambda n: torch.rand((n, *shape), generator=generator) * 2 - 1, len(clean))
        else:
            normal = self.drawn(lambda n: torch.randn((n, *shape), generator=generator), len(clean))
            radius = self.drawn(lambda n: torch.rand(n, generator=generator), len(clean)) ** (1.0 / clean[0].numel())
            change = self.steepest(normal) * per_image(radius, normal)
        return self.project(clean + self.sizes(clean) * change.to(clean), clean)


@dataclass(frozen=True, eq=False)
class Threats(Threat):
    """Several sizes of one norm at once: the batch holds its images once for each, in the order of the sizes.

    eps: the largest one. of_images [B]: the eps of every image of the batch. Small networks cost hardly more for a
    larger batch, and every image is attacked as it would be alone.
    """

    of_images: Tensor
    n_sizes: int

    @staticmethod
    def of(threats: Sequence[Threat], n_images: int, device: torch.device) -> Threats:
        """Those of one norm, for n images each."""
        sizes = torch.tensor([threat.eps for threat in threats], device=device).repeat_interleave(n_images)
        return Threats(threats[0].norm, max(threat.eps for threat in threats), sizes, len(threats))

    @property
    def copies(self) -> int:
        """See `Threat.copies`."""
        return self.n_sizes

    def sizes(self, like: Tensor) -> Tensor:
        """See `Threat.sizes`."""
        return per_image(self.of_images, like)

    def scaled(self, share: float) -> Threat:
        """See `Threat.scaled`."""
        return replace(self, eps=share * self.eps, of_images=share * self.of_images)

    def among(self, chosen: Tensor) -> Threat:
        """See `Threat.among`."""
        return replace(self, of_images=self.of_images[chosen])
