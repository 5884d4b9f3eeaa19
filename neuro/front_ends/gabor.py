"""Gabor filters with the parameters of neurons in V1, drawn from published distributions.

    g(x, y) = exp(-(x'^2 / 2 sx^2 + y'^2 / 2 sy^2)) / (2 pi sx sy) cos(2 pi f x' + phase)

with x', y' the position turned by the orientation; the quadrature partner has phase + 90 degrees. Sizes are drawn in
cycles (s = n / f): n_x goes with the spatial frequency f (Gaussian copula of correlation .75), n_y with n_x.

Source: the distributions (De Valois et al. 1982; Ringach 2002; Schiller et al. 1976) as Dapello et al. 2020 use them;
facts from dicarlolab/vonenet @3c3a0b2. Frequencies beyond what the pixels can hold are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro.base.arrays import Reals
from neuro.base.errors import UserError
from neuro.base.gaussian import standard_normal

FIELD_DEGREES = 2.0  # of the visual field that an image spans
NYQUIST = 0.4  # cycles per pixel, the highest frequency drawn
ORIENTATION_EDGES, ORIENTATION_SHARES = (-22.5, 22.5, 67.5, 112.5, 157.5), (66, 49, 77, 54)
FREQUENCY_EDGES = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)  # cycles per degree
FREQUENCY_SHARES = (4, 4, 8, 25, 32, 26, 28, 12)
SIZE_EDGES = (-1.0, -0.76, -0.52, -0.28, -0.04, 0.2)  # log10 of cycles
SIZE_SHARES = ((2, 0, 1, 0, 0), (8, 9, 4, 1, 0), (1, 2, 19, 17, 3), (0, 0, 1, 7, 4), (0, 0, 0, 0, 0))  # n_x by n_y
COUPLING = 0.75
GABORS, CHANNELS, RANDOM = 0x6AB0, 0xC4A2, 0x4A2D  # streams of the seed
NUMBERS = 5  # normal numbers of a filter


@dataclass(frozen=True, eq=False)
class Gabors:
    """Parameters of n filters, each of shape [n].

    orientation, phase: radians; frequency: cycles per pixel; width_x, width_y: standard deviations in pixels.
    """

    orientation: Reals
    phase: Reals
    frequency: Reals
    width_x: Reals
    width_y: Reals

    def kernels(self, extent: int, quadrature: bool = False) -> Reals:
        """The filters on extent x extent pixels, of shape [n, extent, extent]."""
        reach = np.arange(extent) - extent // 2
        y, x = (axis[None] for axis in np.meshgrid(reach, reach, indexing="ij"))
        turn, f, sx, sy = (v[:, None, None] for v in (self.orientation, self.frequency, self.width_x, self.width_y))
        along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        phase = self.phase[:, None, None] + (np.pi / 2 if quadrature else 0.0)
        envelope = np.exp(-(along**2 / (2 * sx**2) + across**2 / (2 * sy**2))) / (2 * np.pi * sx * sy)
        return np.asarray(envelope * np.cos(2 * np.pi * f * along + phase))


def draw_gabors(n: int, pixels_per_degree: float, seed: int) -> Gabors:
    """Draw the parameters of n filters; filter i is a function of seed and i.

    Raises: UserError if the pixels are too coarse for every frequency.
    """
    normal = standard_normal(seed, GABORS, 0, n, NUMBERS)
    shares = normal_shares(normal)
    with_frequency = normal_shares(COUPLING * normal[:, 0] + np.sqrt(1 - COUPLING**2) * normal[:, 1])
    highest = NYQUIST * pixels_per_degree * (1 + 1e-9)
    kept = sum(edge <= highest for edge in FREQUENCY_EDGES[1:])
    if kept == 0:
        raise UserError(
            f"front end v1: {pixels_per_degree:g} pixels a degree hold no frequency from {FREQUENCY_EDGES[0]:g} cycles "
            "a degree on; give larger images"
        )
    octaves = np.log2(FREQUENCY_EDGES[: kept + 1])
    frequency = 2.0 ** histogram_quantiles(octaves, FREQUENCY_SHARES[:kept], shares[:, 0])
    joint = np.array(SIZE_SHARES, dtype=np.float64)
    log_x = histogram_quantiles(SIZE_EDGES, joint.sum(axis=1), with_frequency)
    rows = np.minimum(np.searchsorted(SIZE_EDGES, log_x, side="right") - 1, int(np.flatnonzero(joint.sum(axis=1))[-1]))
    log_y = np.empty(n)
    for row in np.unique(rows):
        log_y[rows == row] = histogram_quantiles(SIZE_EDGES, joint[row], shares[rows == row, 2])
    per_pixel = frequency / pixels_per_degree
    turn = histogram_quantiles(ORIENTATION_EDGES, ORIENTATION_SHARES, shares[:, 3]) % 180.0
    return Gabors(
        np.deg2rad(turn), 2 * np.pi * shares[:, 4], per_pixel, 10.0**log_x / per_pixel, 10.0**log_y / per_pixel
    )


def random_kernels(like: Reals, seed: int, stream: int = RANDOM) -> Reals:
    """White noise with the norms of the kernels `like`, of the same shape [n, extent, extent]: a control."""
    flat = like.reshape(len(like), -1)
    noise = standard_normal(seed, stream, 0, *flat.shape)
    noise *= (np.linalg.norm(flat, axis=1) / np.linalg.norm(noise, axis=1))[:, None]
    return noise.reshape(like.shape)


def draw_channels(n: int, n_channels: int, seed: int) -> Any:
    """The one colour channel that each of n filters reads, integers of shape [n]."""
    shares = normal_shares(standard_normal(seed, CHANNELS, 0, n, 1))[:, 0]
    return np.minimum((shares * n_channels).astype(np.int64), n_channels - 1)


def histogram_quantiles(edges: Any, weights: Any, shares: Any) -> Reals:
    """The quantiles, at shares in (0, 1), of a density that is constant between edges."""
    heights = np.asarray(weights, dtype=np.float64)
    total = np.concatenate([[0.0], np.cumsum(heights / heights.sum())])
    bins = np.clip(np.searchsorted(total, shares, side="right") - 1, 0, len(heights) - 1)
    inside = (shares - total[bins]) / np.maximum(total[bins + 1] - total[bins], 1e-300)
    limits = np.asarray(edges, dtype=np.float64)
    return np.asarray(limits[bins] + np.clip(inside, 0.0, 1.0) * (limits[bins + 1] - limits[bins]))


def normal_shares(z: Reals) -> Reals:
    """The distribution function of standard normal numbers (Abramowitz & Stegun 7.1.26, to 2e-7)."""
    t = 1.0 / (1.0 + 0.3275911 * np.abs(z) / np.sqrt(2.0))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    upper = 0.5 * series * np.exp(-(z**2) / 2.0)
    return np.asarray(np.where(z > 0, 1.0 - upper, upper))
