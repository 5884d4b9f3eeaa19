"""Divisive normalisation by an input pool, in integers: each pixel is divided by its neighbourhood, by relaxation.

    y = x / (sigma + pool),    pool: mean of x over a window around the pixel, all channels, black beyond the border

A division is what a unit settles to that is driven by x and leaks by its pool:

    u <- min(u + ((2**FRACTION_BITS 2**BITS N x - u D) >> k), limit),   D = N sigma + sum of x,   k = bits of D

N is the number of pixels in the window, sigma and x in bytes. Each step takes at least half of what is left, so that u
rests after STEPS steps, at most two units of state below the quotient. The payload is u, rounded.

Source: Heeger 1992; Carandini & Heeger 2012, eq. 1 with exponent 1 and equal weights of the pool. The relaxation: ours.
float: `sim.oracles.normalisation`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from neuro.base.arrays import Array, Int16, Int32, Int64, NamedArrays, Reals
from neuro.base.checks import Range
from neuro.base.errors import UserError
from neuro.base.fixed_point import round_shift
from neuro.front_ends.fixed import BYTE, FixedFront, planes_of

BITS = 5  # the real value 1, a pixel as bright as sigma + pool, is 2**BITS payload units
FRACTION_BITS = 6  # of the state below a payload unit
LIMIT = 127  # largest payload
STEPS = 16
CHUNK = 1024  # images at a time


@dataclass(frozen=True, eq=False)
class DivisiveNormalisation(FixedFront):
    """Every pixel divided by sigma + its pool. pool: pixels along the window; sigma: in bytes, 1..255."""

    kind: ClassVar[str] = "dn"
    text: str
    image_shape: tuple[int, ...]
    pool: int
    sigma: int
    window: int = 0
    activation_bits: int = BITS

    @property
    def shape(self) -> tuple[int, ...]:
        """See `FixedFront.shape`: that of the image."""
        return self.image_shape

    @property
    def limit(self) -> int:
        """See `FixedFront.limit`."""
        return LIMIT

    @property
    def n_pool(self) -> int:
        """Pixels of a pool."""
        return self.pool**2 * self.planes[2]

    def apply(self, pixels: Int32) -> Int16:
        """See `FixedFront.apply`."""
        parts = [self._applied(pixels[i : i + CHUNK]) for i in range(0, len(pixels), CHUNK)]
        return np.concatenate([np.zeros((0, math.prod(self.shape)), dtype=np.int16), *parts])

    def _applied(self, pixels: Int32) -> Int16:
        drive, leak = self.terms(pixels.astype(np.int64))
        state = np.zeros_like(drive)
        bits = bits_of(leak)
        for _ in range(STEPS):
            state = relaxed(state, drive, leak, bits)
        payloads: Int16 = round_shift(state, FRACTION_BITS).astype(np.int16).reshape(len(pixels), -1)
        return payloads

    def terms(self, pixels: Any) -> tuple[Any, Any]:
        """The drive and the leak D of every unit, of shape [B, h, w, channels]; pixels likewise, whole numbers."""
        reach = self.pool // 2
        summed = pixels.sum(axis=3, keepdims=True)
        for axis in (1, 2):
            wide = [(0, 0)] * 4
            wide[axis] = (reach + 1, reach)
            total = np.pad(summed, wide).cumsum(axis=axis)
            length = summed.shape[axis]
            later, earlier = (np.take(total, range(first, first + length), axis=axis) for first in (self.pool, 0))
            summed = later - earlier
        leak = np.broadcast_to(self.n_pool * self.sigma + summed, pixels.shape)
        return pixels * self.n_pool << (BITS + FRACTION_BITS), leak

    @property
    def fields(self) -> Reals:
        """See `FixedFront.fields`: its own pixel."""
        return np.eye(math.prod(self.image_shape))

    def to_json(self) -> dict[str, Any]:
        """See `FixedFront.to_json`."""
        return {"image_shape": list(self.image_shape), "text": self.text, "pool": self.pool, "sigma": self.sigma}

    def arrays(self) -> dict[str, Array]:
        """See `FixedFront.arrays`: none."""
        return {}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], arrays: NamedArrays) -> DivisiveNormalisation:
        """See `FixedFront.from_json`."""
        return cls(**{**content, "image_shape": tuple(int(n) for n in content["image_shape"])})


def bits_of(leak: Int64) -> Int64:
    """The number of bits of each leak, which are above 0."""
    bits: Int64 = np.frexp(leak.astype(np.float64))[1].astype(np.int64)
    return bits


def relaxed(state: Int64, drive: Int64, leak: Int64, bits: Int64) -> Int64:
    """The states one step on."""
    moved: Int64 = np.minimum(state + ((drive - state * leak) >> bits), LIMIT << FRACTION_BITS)
    return moved


@dataclass(frozen=True, kw_only=True)
class DnChoices:
    """What may be asked for: `dn:pool=5,sigma=26`; sigma in bytes, 26 is .1."""

    pool: int = 5
    sigma: int = 26

    def __post_init__(self) -> None:
        Range(1, 15).require("front end dn", pool=self.pool)
        Range(1, BYTE).require("front end dn", sigma=self.sigma)
        if self.pool % 2 == 0:
            raise UserError(f"front end dn: pool {self.pool} has no middle; give an odd one")

    @property
    def text(self) -> str:
        """As asked for, every choice stated."""
        return f"dn:pool={self.pool},sigma={self.sigma}"


def divisive_normalisation(choices: DnChoices, image_shape: tuple[int, ...]) -> DivisiveNormalisation:
    """The front end for images of a shape. Raises: UserError if they are no planes, or smaller than the pool."""
    height, width = planes_of("dn", image_shape)
    if min(height, width) < choices.pool:
        raise UserError(
            f"front end dn: images of {height} x {width} pixels are smaller than its pool of {choices.pool}; give a "
            "smaller pool, e.g. dn:pool=3"
        )
    return DivisiveNormalisation(choices.text, tuple(image_shape), choices.pool, choices.sigma)
