"""Surrogate gradients: what stands in for the derivative of a threshold, of rounding and of a box.

A threshold sends H(x), x > 0; rounding is a staircase of thresholds one unit apart. Their derivative is zero almost
everywhere, so the backward pass takes g(x / width) / width in its place. Every shape has area 1 and peak 1 / width, so
that a sweep compares shapes, not sizes:

    atan           1 / (1 + (pi x)^2)            sigmoid      4 s (1 - s), s = 1 / (1 + exp(-4 x))
    fast-sigmoid   1 / (1 + 2 |x|)^2             triangular   max(0, 1 - |x|)

    straight-through   1 everywhere: the derivative of what is rounded
    rate               the gradient of the float rate model, thresholds left out (BPTR: Ding et al. 2022); the forward
                       pass stays what it is
    assg               a / (2 (1 + (pi a x / 2)^2)),  a = (2 tan(.4 pi) / pi) / (M + 1.5 D + 1e-4), M the running mean
                       of |x| (from 1), D that of ||x| - M| (from 0), decay .9: kept for every neuron and time step and
                       updated at every iteration of an attack (arXiv 2512.22522)
    pdsg               a bell of area 1, exp(-(x - d / 2)^2 / (2 d^2)) / (d sqrt(2 pi)), d the standard deviation of x
                       over the neurons of a population, for every image and time step (Lun et al. 2025, arXiv
                       2503.03272; there over images and earlier steps, too, so that images would depend on each other)

A state beyond its box passes nothing back; `Surrogate.box_slope` lets a gradient through, everywhere or, with
`box_band`, near the box alone: networks whose neurons rest at an end of the box (those settled layer by layer until
silent) have gradients of zero for most images, and the neurons that could leave are those close to it.

A sparsity threshold T is blind below: an atom that is silent has the slope 0, so that no attack sees it come. A slope a
and a band b there (`Surrogate.threshold_slope`, `threshold_band`) let it be seen; p = max(0, 1 - | |u| - T | / (b T)):

    soft   max(1 where |u| > T, a p)      hard   (1 where |u| > T) + (a / b) p, whose area at a = 1 is the jump

The shapes are snnTorch's (`snntorch.surrogate`), except the triangle: snnTorch's is no tent but +-threshold, of the
wrong sign above it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from snntorch import surrogate as library
from torch import Tensor

from neuro.base.checks import Range, require_choice, require_ranges
from neuro.base.errors import UserError

Shape = Callable[[Tensor], Tensor]
SHAPES = ("atan", "sigmoid", "fast-sigmoid", "triangular")
WITHOUT_WIDTH = ("straight-through", "rate", "assg", "pdsg")
DECAY, SPREAD, FLOOR = 0.9, 1.5, 1e-4  # ASSG
REACH = 2.0 * math.tan(0.4 * math.pi) / math.pi  # ASSG: a * (M + 1.5 D)
SIGMOID_REACH = 10.0  # beyond it the slope is below 1e-16; snnTorch's formula gives NaN further out
BANDS = (0.25, 0.5, 1.0, 2.0)
NEAREST = (-1.0, 0.0, 1.0)  # thresholds of a staircase whose surrogates are summed: the nearest and its neighbours


def _tent(x: Tensor, gradient: Tensor, spikes: Tensor) -> Tensor:
    """Backward of the triangular surrogate, as `snntorch.surrogate.custom_surrogate` calls it."""
    result: Tensor = gradient * (1.0 - x.abs()).clamp(min=0.0)
    return result


def _unit_shapes() -> dict[str, Shape]:
    """The step functions H(x), x > 0, by name, with the surrogates of width 1 in the backward pass."""
    sigmoid = library.sigmoid(slope=4.0)
    return {
        "atan": library.atan(alpha=2.0),
        "sigmoid": lambda x: sigmoid(x.clamp(-SIGMOID_REACH, SIGMOID_REACH)),
        "fast-sigmoid": library.fast_sigmoid(slope=2.0),
        "triangular": library.custom_surrogate(_tent),
        "straight-through": library.straight_through_estimator(),
    }


@dataclass(frozen=True)
class Surrogate:
    """How the backward pass treats what has no useful derivative.

    name:      one of SHAPES or WITHOUT_WIDTH, see the module docstring.
    width:     of a shape: for rounding in units of a payload, for a LIF neuron relative to its threshold; else 1.
    box_slope: slope outside the box of a clipped state, in [0, 1]: 0 is the exact one, .2 lets a gradient through
               neurons that are saturated.
    box_band:  distance from the box, in its widths, at which that slope has fallen to 0; 0 for never.
    threshold_slope, threshold_band: slope at a sparsity threshold, in [0, 1], seen from below, falling to 0 over that
               share of the threshold (across a hard one: to both sides); 0 is the exact slope.
    """

    name: str = "straight-through"
    width: float = 1.0
    box_slope: float = 0.0
    box_band: float = 0.0
    threshold_slope: float = 0.0
    threshold_band: float = 0.6

    def __post_init__(self) -> None:
        require_choice("surrogate", self.name, SHAPES + WITHOUT_WIDTH)
        require_ranges(f"surrogate {self.name}", vars(self), width=Range(1e-3, 1e3), box_slope=Range(0.0, 1.0),
                       box_band=Range(0.0, 100.0), threshold_slope=Range(0.0, 1.0),
                       threshold_band=Range(0.01, 1.0))  # fmt: skip
        if self.name in WITHOUT_WIDTH and self.width != 1.0:
            raise UserError(f"surrogate {self.name}: width {self.width}; it has none, leave it at 1")

    @property
    def reach(self) -> float:
        """How far from its box, in its widths, a state passes something back."""
        return self.box_band or math.inf

    @property
    def near_the_box(self) -> Surrogate:
        """The same with a slope near the box: it sees the neurons that could leave it."""
        return replace(self, box_slope=1.0, box_band=1.0)

    @property
    def below_thresholds(self) -> Surrogate:
        """The same with a slope below sparsity thresholds: it sees the neurons that could become active."""
        return replace(self, threshold_slope=0.5)


def surrogate_sweep(widths: Sequence[float] = (0.25, 0.5, 1.0, 2.0), box_slope: float = 0.0) -> list[Surrogate]:
    """Every shape at every width, and the surrogates that have none."""
    shapes = [Surrogate(name, width, box_slope) for name in SHAPES for width in widths]
    return [*shapes, *(Surrogate(name, 1.0, box_slope) for name in WITHOUT_WIDTH)]


def band_sweep(usual: Surrogate) -> dict[str, Surrogate]:
    """Slopes near the box and below thresholds, narrow ones and wide ones, by name."""
    boxes = {f"near the box {band:g}": replace(usual.near_the_box, box_band=band) for band in BANDS}
    below = {f"below thresholds {band:g}": replace(usual.below_thresholds, threshold_band=band) for band in BANDS[:-1]}
    return {**boxes, **below}


class _Bell(torch.autograd.Function):
    """The step H(x) with the slope of PDSG."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, spread: Tensor) -> Tensor:
        ctx.save_for_backward(x, spread)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        x, spread = ctx.saved_tensors
        bell = torch.exp(-(((x - spread / 2) / spread) ** 2) / 2) / (math.sqrt(2 * math.pi) * spread)
        return gradient * bell, None


def _bell(x: Tensor, spread: Tensor) -> Tensor:
    spikes: Tensor = _Bell.apply(x, spread)
    return spikes


def _spread(x: Tensor) -> Tensor:
    """The standard deviation over neurons, of shape [B, 1]; 1 where there is none."""
    found = x.detach().flatten(1).std(1, correction=0, keepdim=True)
    return torch.where(found > 0, found, torch.ones_like(found))


class Firing:
    """A surrogate at work: thresholds and staircases for autograd, with the statistics that ASSG keeps.

    Every threshold is told its `key` (which population, which time step); statistics are those of the last pass in
    which gradients were recorded, of the same batch. Computing a step twice (checkpointing) changes nothing.
    """

    def __init__(self, surrogate: Surrogate) -> None:
        self.surrogate = surrogate
        name = "straight-through" if surrogate.name in WITHOUT_WIDTH else surrogate.name
        self._unit = _unit_shapes()[name]
        self._known: dict[Hashable, tuple[Tensor, Tensor]] = {}
        self._seen: dict[Hashable, tuple[Tensor, Tensor]] = {}

    @property
    def straight(self) -> bool:
        """Whether a staircase is differentiated as the straight line through it."""
        return self.surrogate.name in ("straight-through", "rate")

    def start_pass(self) -> None:
        """Begin a forward pass: what the last one saw becomes what is known."""
        self._known.update(self._seen)
        self._seen.clear()

    def forget(self) -> None:
        """Drop all statistics: to be called when an attack turns to other images."""
        self._known.clear()
        self._seen.clear()

    def spike(self, x: Tensor, key: Hashable = None, scale: float = 1.0) -> Tensor:
        """The step H(x), 1 where x > 0, of the shape of x; backward: g(x / w) / w, w = width * scale."""
        if self.surrogate.name == "assg" and torch.is_grad_enabled():
            x = x / scale
            return self._adaptive(x, self._sharpness(x.detach(), key))
        if self.surrogate.name == "pdsg":
            return _bell(x / scale, _spread(x / scale))
        return self._unit(x * (1.0 / (scale * self.surrogate.width))).to(x.dtype)

    def staircase(self, x: Tensor, key: Hashable = None) -> Tensor:
        """A tensor whose gradient stands for that of round(x); its value is without meaning.

        The distance to the nearest threshold lies in [-.5, .5); its two neighbours are one unit further.
        """
        if self.straight:
            return x
        distance = x - (torch.floor(x) + 0.5).detach()
        if self.surrogate.name == "assg" and torch.is_grad_enabled():
            sharpness = self._sharpness(distance.detach(), key)
            return sum((self._adaptive(distance - k, sharpness) for k in NEAREST), torch.zeros_like(x))
        if self.surrogate.name == "pdsg":
            spread = _spread(distance)
            return sum((_bell(distance - k, spread) for k in NEAREST), torch.zeros_like(x))
        return sum((self.spike(distance - k) for k in NEAREST), torch.zeros_like(x))

    def _adaptive(self, x: Tensor, sharpness: Tensor) -> Tensor:
        """The step H(x) with the slope of ASSG: snnTorch's atan with a sharpness of its own for each neuron."""
        spikes: Tensor = library.ATan.apply(x, sharpness)
        return spikes.to(x.dtype)

    def _sharpness(self, x: Tensor, key: Hashable) -> Tensor:
        size = x.abs()
        known = self._known.get(key)
        if known is None or known[0].shape != x.shape:
            known = (torch.ones_like(x), torch.zeros_like(x))
        mean = DECAY * known[0] + (1.0 - DECAY) * size
        deviation = DECAY * known[1] + (1.0 - DECAY) * (size - mean).abs()
        self._seen[key] = (mean, deviation)
        sharpness: Tensor = REACH / (mean + SPREAD * deviation + FLOOR)
        return sharpness
