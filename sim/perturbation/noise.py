"""Four kinds of noise. Pixels in 0..1, of shape [B, h, w, c]; what leaves 0..1 is clipped later."""

from __future__ import annotations

import functools

import numpy as np

from neuro.base.arrays import Reals
from sim.perturbation.draws import Draws

LEVELS = 256
TAIL = 12.0  # standard deviations of a count that are told apart


def gaussian_noise(pixels: Reals, draws: Draws, deviation: float) -> Reals:
    """Gaussian: x + deviation z, z standard normal."""
    noisy: Reals = pixels + deviation * draws.normal(*pixels.shape[1:])
    return noisy


def speckle_noise(pixels: Reals, draws: Draws, deviation: float) -> Reals:
    """Gaussian in proportion: x + deviation x z, z standard normal."""
    noisy: Reals = pixels + deviation * pixels * draws.normal(*pixels.shape[1:])
    return noisy


def impulse_noise(pixels: Reals, draws: Draws, share: float) -> Reals:
    """So many values are replaced, half of them by 1, the others by 0."""
    drawn = draws.uniform(*pixels.shape[1:])
    salted: Reals = np.where(drawn < share / 2, 1.0, np.where(drawn < share, 0.0, pixels))
    return salted


def shot_noise(pixels: Reals, draws: Draws, photons: float) -> Reals:
    """Poisson(x photons) / photons, by inversion of the distribution of each of the 256 grey levels."""
    table = _poisson(photons)
    level = np.rint(pixels * (LEVELS - 1)).astype(np.int64)
    drawn = draws.uniform(*pixels.shape[1:])
    counts: Reals = np.searchsorted(table, (drawn + level).ravel()).reshape(pixels.shape) % _width(photons)
    return counts / photons


def _width(photons: float) -> int:
    return int(photons + TAIL * photons**0.5 + TAIL)


@functools.cache
def _poisson(photons: float) -> Reals:
    """The distributions of the counts of all levels, one after the other, ascending: row l holds l + P(count <= k)."""
    means = np.arange(LEVELS)[:, None] / (LEVELS - 1) * photons
    counts = np.arange(1, _width(photons))
    chances = np.exp(-means) * np.cumprod(np.concatenate([np.ones((LEVELS, 1)), means / counts], axis=1), axis=1)
    below = np.cumsum(chances, axis=1)
    below[:, -1] = 1.0
    table: Reals = (np.minimum(below, 1.0) + np.arange(LEVELS)[:, None]).ravel()
    return table
