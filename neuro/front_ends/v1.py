"""A front end like primary visual cortex: fixed Gabor filters, simple and complex cells, spikes that are drawn.

    a    = sum w p                                 w: int8 kernel, p: pixel in 0..255, positions `stride` apart
    m    = max(a, 0)                                                                      simple cell
    m    = (max(M, M - (M >> 3) + (L >> 1)) 181) >> 8,  M, L = larger, smaller of |a0|, |a90|      complex cell
    c    = min(((m >> 4) GAIN >> (shift - 1)) + BASELINE, 2**15 - 1)                 chance of a spike in each step

shift, of the channel, makes the kernel real: w 2**-shift. The root of a0^2 + a90^2 is within 3 % of what stands for it.
BASELINE and GAIN are the published ones: .35 (25 m) + .07 spikes in a window of 25 ms, which is STEPS steps here. The
variance of such counts is .93 of their mean at a mean of 1 (theory 1 - mean/STEPS); of the published noise it is 1.
Without a window the bank is free of noise: payload round((m >> 4) GAIN >> (shift + 6)), no baseline.

Source: Dapello et al. 2020 (VOneBlock), facts of which in `neuro.front_ends.gabor`; pixels, 2 degrees of visual field
and integers: ours. float: `sim.oracles.v1`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from neuro.base.arrays import AnyArray, Array, Int8, Int16, Int32, Int64, NamedArrays, Reals
from neuro.base.checks import Range, require_choice
from neuro.base.errors import UserError
from neuro.base.fixed_point import CHANCE_BITS, round_shift, weight_limit
from neuro.front_ends.fixed import BYTE, FixedFront, planes_of
from neuro.front_ends.gabor import FIELD_DEGREES, draw_channels, draw_gabors, random_kernels

STEPS = 16  # of a window of 25 ms
EXCITATION, SPIKES_PER_UNIT, SPONTANEOUS = 25.0, 0.35, 0.07  # published: gain; mean spikes of a window
GAIN_BITS, DROPPED = 3, 4
CHANCE_OF_ONE = (1 << CHANCE_BITS) // STEPS  # of a mean of one spike in a window
GAIN = round(CHANCE_OF_ONE * SPIKES_PER_UNIT * EXCITATION / BYTE * 2**GAIN_BITS)
BASELINE = round(CHANCE_OF_ONE * SPONTANEOUS)
ROOT_HALF, ROOT_HALF_BITS = 181, 8  # 181/256 = .707
QUIET_BITS = 7  # of payloads without noise; 2**QUIET_BITS is a mean of 8 spikes in a window, as 8 spikes a window are
SPIKES_BITS = 3
GABOR, RANDOM = "gabor", "random"
FILTERS = {GABOR: "drawn from the published distributions", RANDOM: "white noise of the same norms: a control"}
MOST_EXACT = 22  # extent of kernels whose sums float32 holds exactly: 127 * 255 * 22**2 < 2**24
CHUNK = 256  # images at a time
LARGEST_SHIFT = 24


@dataclass(frozen=True, eq=False)
class GaborBank(FixedFront):
    """Simple and complex cells. Units of a position: simple cells, then complex ones.

    kernels: int8 of shape [simple + 2 complex, extent, extent]: simple cells, complex ones, their quadrature partners.
    shifts:  of shape [simple + complex]; a pair shares one.    planes_read: the colour channel of each unit.
    """

    kind: ClassVar[str] = "v1"
    text: str
    image_shape: tuple[int, ...]
    window: int
    activation_bits: int
    stride: int
    n_simple: int
    kernels: Int8
    shifts: Int8
    planes_read: Int8

    @property
    def extent(self) -> int:
        """Pixels along a kernel."""
        return int(self.kernels.shape[1])

    @property
    def n_channels(self) -> int:
        """Units at a position."""
        return len(self.shifts)

    @property
    def shape(self) -> tuple[int, ...]:
        """See `FixedFront.shape`."""
        pad = 2 * (self.extent // 2)
        rows, columns = ((n + pad - self.extent) // self.stride + 1 for n in self.image_shape[:2])
        return rows, columns, self.n_channels

    @property
    def limit(self) -> int:
        """See `FixedFront.limit`: a mean of STEPS spikes in a window; of 8 without noise."""
        return (1 << CHANCE_BITS) - 1 if self.window else (1 << QUIET_BITS) - 1

    @property
    def all_planes(self) -> Int8:
        """The colour channel that each kernel reads."""
        return np.concatenate([self.planes_read, self.planes_read[self.n_simple :]])

    def apply(self, pixels: Int32) -> Int16:
        """See `FixedFront.apply`."""
        parts = [self._applied(pixels[i : i + CHUNK]) for i in range(0, len(pixels), CHUNK)]
        return np.concatenate([np.zeros((0, math.prod(self.shape)), dtype=np.int16), *parts])

    def _applied(self, pixels: Int32) -> Int16:
        cells = self.cells(self.drives(pixels))
        shift = self.shifts.astype(np.int64) - 1
        scaled = (cells >> DROPPED) * GAIN
        given = (scaled >> shift) + BASELINE if self.window else round_shift(scaled, shift + QUIET_BITS)
        payloads: Int16 = np.minimum(given, self.limit).astype(np.int16).reshape(len(pixels), -1)
        return payloads

    def drives(self, pixels: Int32) -> Int64:
        """The sums a of all kernels, of shape [B, rows, columns, simple + 2 complex]."""
        kind = np.float32 if self.extent <= MOST_EXACT else np.float64
        pad, (rows, columns, _) = self.extent // 2, self.shape
        padded: AnyArray = np.pad(pixels.astype(kind), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        lines = sliding_window_view(padded, self.extent, axis=1)
        windows = sliding_window_view(lines, self.extent, axis=2)  # [B, rows, columns, planes, extent, extent]
        patches = windows[:, :: self.stride, :: self.stride][:, :rows, :columns]
        found = np.empty((len(pixels), rows, columns, len(self.kernels)), dtype=np.int64)
        for plane in np.unique(self.all_planes):
            chosen = np.flatnonzero(self.all_planes == plane)
            flat = np.ascontiguousarray(patches[:, :, :, plane]).reshape(-1, self.extent**2)
            sums = flat @ self.kernels[chosen].reshape(len(chosen), -1).T.astype(kind)
            found[..., chosen] = sums.reshape(len(pixels), rows, columns, -1)
        return found

    def cells(self, drives: Int64) -> Int64:
        """The magnitudes m of all units, of shape [B, rows, columns, simple + complex]."""
        simple = np.maximum(drives[..., : self.n_simple], 0)
        first, partner = np.split(np.abs(drives[..., self.n_simple :]), 2, axis=-1)
        larger, smaller = np.maximum(first, partner), np.minimum(first, partner)
        bent = np.maximum(larger, larger - (larger >> 3) + (smaller >> 1))
        return np.concatenate([simple, bent * ROOT_HALF >> ROOT_HALF_BITS], axis=-1)

    @property
    def fields(self) -> Reals:
        """See `FixedFront.fields`: the kernels in their places; of complex cells the first of the pair."""
        height, width, channels = self.planes
        rows, columns, n = self.shape
        pad, extent = self.extent // 2, self.extent
        canvas = np.zeros((height + 2 * pad, width + 2 * pad, channels, rows, columns, n), dtype=np.float32)
        real = self.kernels[:n] * 2.0 ** -self.shifts.astype(np.float64)[:, None, None]
        for row in range(rows):
            for column in range(columns):
                top, left = row * self.stride, column * self.stride
                for unit, plane in enumerate(self.planes_read):
                    canvas[top : top + extent, left : left + extent, plane, row, column, unit] = real[unit]
        inner = canvas[pad : pad + height, pad : pad + width]
        return inner.reshape(height * width * channels, -1).astype(np.float64)

    def to_json(self) -> dict[str, Any]:
        """See `FixedFront.to_json`."""
        names = ("text", "window", "activation_bits", "stride", "n_simple")
        return {"image_shape": list(self.image_shape), **{name: getattr(self, name) for name in names}}

    def arrays(self) -> dict[str, Array]:
        """See `FixedFront.arrays`."""
        return {"kernels": self.kernels, "shifts": self.shifts, "planes_read": self.planes_read}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], arrays: NamedArrays) -> GaborBank:
        """See `FixedFront.from_json`."""
        fields: dict[str, Any] = {**content, "image_shape": tuple(int(n) for n in content["image_shape"])}
        for name in ("kernels", "shifts", "planes_read"):
            fields[name] = np.asarray(arrays[name]).astype(np.int8)
        return cls(**fields)


@dataclass(frozen=True, kw_only=True)
class V1Choices:
    """What may be asked for: `v1:channels=32+32,stride=4,window=4`; channels: simple + complex ones.

    window: windows of 25 ms, STEPS steps each; 0: no noise. kernel: pixels along a filter. seed: of the filters, -1 for
    that of the training.
    """

    channels: tuple[int, int] = (32, 32)
    stride: int = 4
    window: int = 4
    kernel: int = 13
    filters: str = GABOR
    seed: int = -1

    def __post_init__(self) -> None:
        owner = "front end v1"
        for n in self.channels:
            Range(0, 512).require(owner, channels=n)
        if not sum(self.channels):
            raise UserError(f"{owner}: channels 0+0; give simple + complex ones, e.g. 32+32")
        Range(1, 64).require(owner, stride=self.stride)
        Range(0, 16).require(owner, window=self.window)
        Range(3, 63).require(owner, kernel=self.kernel)
        if self.kernel % 2 == 0:
            raise UserError(f"{owner}: kernel {self.kernel} has no middle; give an odd one")
        require_choice(f"{owner}: filters", self.filters, FILTERS)

    @property
    def text(self) -> str:
        """As asked for, every choice stated."""
        simple, complex_ones = self.channels
        names = ("stride", "window", "kernel", "filters", *(("seed",) if self.seed >= 0 else ()))
        return f"v1:channels={simple}+{complex_ones},{','.join(f'{name}={getattr(self, name)}' for name in names)}"


def gabor_bank(choices: V1Choices, image_shape: tuple[int, ...]) -> GaborBank:
    """The bank for images of a shape. Raises: UserError if they are smaller than a kernel, or no planes."""
    height, width = planes_of("v1", image_shape)
    if min(height, width) < choices.kernel:
        side = min(height, width)
        raise UserError(
            f"front end v1: images of {height} x {width} pixels are smaller than its kernels of {choices.kernel}; give "
            f"larger images, or smaller kernels, e.g. v1:kernel={max(side - (side % 2 == 0), 3)}"
        )
    simple, n = choices.channels[0], sum(choices.channels)
    real = real_kernels(choices, (height, width))
    largest = np.abs(real).max(axis=(1, 2))
    pairs = np.concatenate([largest[:simple], np.maximum(largest[simple:n], largest[n:])])
    shifts = np.clip(np.floor(np.log2(weight_limit(8) / pairs)), 1, LARGEST_SHIFT).astype(np.int8)
    each = np.concatenate([shifts, shifts[simple:]]).astype(np.float64)
    kernels = np.clip(np.round(real * 2.0 ** each[:, None, None]), -weight_limit(8), weight_limit(8)).astype(np.int8)
    bits = SPIKES_BITS + math.ceil(math.log2(choices.window)) if choices.window else QUIET_BITS
    planes: AnyArray = draw_channels(n, math.prod(image_shape[2:]), choices.seed)
    return GaborBank(
        choices.text, tuple(image_shape), STEPS * choices.window, bits, choices.stride, simple, kernels, shifts,
        planes.astype(np.int8),
    )  # fmt: skip


def real_kernels(choices: V1Choices, size: tuple[int, int]) -> Reals:
    """The filters as real numbers: simple cells, complex cells, their quadrature partners; for images of a size."""
    gabors = draw_gabors(sum(choices.channels), min(size) / FIELD_DEGREES, choices.seed)
    first, partners = gabors.kernels(choices.kernel), gabors.kernels(choices.kernel, quadrature=True)
    kernels = np.concatenate([first, partners[choices.channels[0] :]])
    return random_kernels(kernels, choices.seed) if choices.filters == RANDOM else kernels
