"""Fixed front ends in torch: the integers of `neuro.front_ends.v1` and its kind, differentiable; and drawn spikes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, unfold

from neuro.base.fixed_point import CHANCE_BITS
from neuro.front_ends.fixed import BYTE, FixedFront
from neuro.front_ends.normalisation import DivisiveNormalisation
from neuro.front_ends.sequence import FrontSequence
from neuro.front_ends.v1 import (
    BASELINE,
    DROPPED,
    GAIN,
    MOST_EXACT,
    QUIET_BITS,
    ROOT_HALF,
    ROOT_HALF_BITS,
    GaborBank,
)
from sim.twins.units import clip, straight

SPIKES, GAUSSIAN, MEAN = "spikes", "gaussian", "mean"
NOISES = {
    SPIKES: "counts of drawn spikes, passed straight through",
    GAUSSIAN: "their mean and a normal number times their deviation, differentiated through both",
    MEAN: "their mean, free of noise",
}


class V1Twin(nn.Module):
    """The chances, or payloads, of a `GaborBank`."""

    def __init__(self, bank: GaborBank) -> None:
        super().__init__()
        self.bank = bank
        kind = torch.float32 if bank.extent <= MOST_EXACT else torch.float64
        kernels = torch.zeros(bank.planes[2], bank.extent**2, len(bank.kernels), dtype=kind)
        for index, plane in enumerate(bank.all_planes):
            kernels[int(plane), :, index] = torch.tensor(bank.kernels[index].reshape(-1), dtype=kind)
        self.register_buffer("kernels", kernels.flatten(0, 1))
        self.register_buffer("shifts", torch.tensor(bank.shifts.astype("float64")) - 1.0)

    def forward(self, images: Tensor, rounds: bool, outside: float) -> Tensor:
        """Payloads of shape [B, N], float64, of images of shape [B, ...], float64 in [0, 1].

        rounds: whether the forward pass is in integers; outside: the slope of silent simple cells and beyond the limit.
        """
        bank, n = self.bank, self.bank.n_simple
        drives = self._drives(floored(images * BYTE + 0.5, rounds) if rounds else images * BYTE)
        simple = clip(drives[..., :n], 0.0, torch.inf, outside)
        first, partner = drives[..., n:].abs().chunk(2, dim=-1)
        larger, smaller = torch.maximum(first, partner), torch.minimum(first, partner)
        bent = torch.maximum(larger, larger - floored(larger / 8.0, rounds) + floored(smaller / 2.0, rounds))
        paired = floored(bent * ROOT_HALF * 2.0**-ROOT_HALF_BITS, rounds)
        cells = floored(torch.cat([simple, paired], dim=-1) * 2.0**-DROPPED, rounds) * GAIN
        shifts = self.get_buffer("shifts")
        if bank.window:
            given = floored(cells * 2.0**-shifts, rounds) + BASELINE
        else:
            given = floored(cells * 2.0 ** -(shifts + QUIET_BITS) + (0.5 if rounds else 0.0), rounds)
        return clip(given, -torch.inf, float(bank.limit), outside).flatten(1)

    def _drives(self, pixels: Tensor) -> Tensor:
        """The sums a, of shape [B, positions, kernels]."""
        bank, kernels = self.bank, self.get_buffer("kernels")
        planes = pixels.reshape(len(pixels), *bank.planes).permute(0, 3, 1, 2).to(kernels.dtype)
        patches = unfold(planes, bank.extent, padding=bank.extent // 2, stride=bank.stride)
        return (patches.transpose(1, 2) @ kernels).to(torch.float64)


class NormalisationTwin(nn.Module):
    """The payloads of a `DivisiveNormalisation`: its integers, with the slope of the quotient."""

    def __init__(self, front: DivisiveNormalisation) -> None:
        super().__init__()
        self.front = front

    def forward(self, images: Tensor, rounds: bool, outside: float) -> Tensor:
        """See `V1Twin.forward`; outside: the slope beyond the limit."""
        front = self.front
        scaled = (floored(images * BYTE + 0.5, rounds) if rounds else images * BYTE).reshape(len(images), *front.planes)
        mean = avg_pool2d(scaled.mean(dim=3)[:, None], front.pool, 1, front.pool // 2)[:, 0, :, :, None]
        quotient = (scaled / (front.sigma + mean) * 2.0**front.activation_bits).flatten(1)
        quotient = clip(quotient, -torch.inf, float(front.limit), outside)
        if not rounds:
            return quotient
        exact = front.apply(scaled.detach().cpu().numpy().astype("int32"))
        return straight(quotient, torch.from_numpy(exact.astype("float64")).to(images.device))


class SequenceTwin(nn.Module):
    """Two front ends in a row."""

    def __init__(self, front: FrontSequence) -> None:
        super().__init__()
        self.front = front
        self.first, self.second = (TWINS[part.kind](part) for part in (front.first, front.second))

    def forward(self, images: Tensor, rounds: bool, outside: float) -> Tensor:
        """See `V1Twin.forward`."""
        between = self.first(images, rounds, outside) * (2.0**self.front.shift / BYTE)
        found: Tensor = self.second(clip(between, 0.0, 1.0, outside), rounds, outside)
        return found


TWINS: dict[str, Callable[[Any], nn.Module]] = {"v1": V1Twin, "dn": NormalisationTwin, "sequence": SequenceTwin}


def fixed_twin(front: FixedFront | None) -> nn.Module | None:
    """The differentiable form of a front end, None of none."""
    return None if front is None else TWINS[front.kind](front)


def floored(values: Tensor, rounds: bool) -> Tensor:
    """Whole numbers, rounded down, with the slope of the values; the values themselves if nothing rounds."""
    return straight(values, torch.floor(values.detach())) if rounds else values


def drawn(chances: Tensor, window: int, noise: str, generator: torch.Generator) -> Tensor:
    """Counts of spikes of a window of so many steps, of the shape of the chances, in units of 2**-CHANCE_BITS.

    noise: of NOISES. A count is binomial, as that of the deployed network is; its slope is that of the mean.
    """
    share = chances * 2.0**-CHANCE_BITS
    mean = share * window
    if noise == MEAN:
        return mean
    if noise == GAUSSIAN:
        z = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return mean + torch.sqrt(mean * (1.0 - share) + 1e-4) * z
    steps = torch.full_like(share, float(window))
    return straight(mean, torch.binomial(steps, share.detach().clamp(0.0, 1.0), generator=generator))
