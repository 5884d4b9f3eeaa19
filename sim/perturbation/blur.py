"""Five kinds of blur. Pixels in 0..1, of shape [B, h, w, c]."""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import correlate, gaussian_filter, zoom

from neuro.base.arrays import Reals
from sim.perturbation.draws import Draws

SMALL_DISC, RIM, WIDE_RIM = 8, 1, 2  # a disc has 17 pixels a side, and a rim of so many is smoothed; larger ones more


def smoothed(pixels: Reals, sigma: float) -> Reals:
    """A Gaussian blur of every plane, edges continued."""
    blurred: Reals = gaussian_filter(pixels, (0, sigma, sigma, 0), mode="nearest", truncate=4.0)
    return blurred


def gaussian_blur(pixels: Reals, draws: Draws, sigma: float) -> Reals:
    """Blur of that deviation in pixels."""
    return smoothed(pixels, sigma)


def glass_blur(pixels: Reals, draws: Draws, sigma: float, reach: float, times: float) -> Reals:
    """Blur, pixels that change places with one near them, blur.

    The published code copies pixels in place of exchanging them where images have colours; here they change places.
    """
    levels = np.floor(np.round(smoothed(pixels, sigma) * 255.0, 6))
    near, rows, columns = int(reach), pixels.shape[1], pixels.shape[2]
    each = np.arange(len(pixels))
    for _ in range(int(times)):
        moves = draws.integers(-near, near, rows, columns, 2)
        for row in range(rows - near, near, -1):
            for column in range(columns - near, near, -1):
                there = (each, row + moves[:, row, column, 0], column + moves[:, row, column, 1])
                levels[there], levels[:, row, column] = levels[:, row, column].copy(), levels[there]
    return smoothed(levels / 255.0, sigma)


def disc(radius: float, rim: float) -> Reals:
    """A disc of that radius whose edge is smoothed by a Gaussian of deviation `rim`; sums to about 1."""
    size, width = (SMALL_DISC, RIM) if radius <= SMALL_DISC else (int(radius), WIDE_RIM)
    across = np.arange(-size, size + 1)
    inside = (across[:, None] ** 2 + across**2 <= radius**2).astype(np.float64)
    weights = np.exp(-(np.arange(-width, width + 1) ** 2) / (2 * rim**2))
    weights /= weights.sum()
    softened: Reals = correlate(inside / inside.sum(), np.outer(weights, weights), mode="mirror")
    return softened


def defocus_blur(pixels: Reals, draws: Draws, radius: float, rim: float) -> Reals:
    """A lens out of focus."""
    blurred: Reals = correlate(pixels, disc(radius, rim)[None, :, :, None], mode="mirror")
    return blurred


def motion_blur(pixels: Reals, draws: Draws, radius: float, sigma: float) -> Reals:
    """Motion at an angle of -45 to 45 degrees."""
    return moved(pixels, radius, sigma, draws.uniform(low=-45.0, high=45.0))


def moved(pixels: Reals, radius: float, sigma: float, angles: Reals) -> Reals:
    """Every image smeared to one side at its angle, of shape [B] in degrees, by half a Gaussian; edges continued."""
    width = 2 * int(radius) + 1
    weights = np.exp(-(np.arange(width) ** 2) / (2.0 * sigma**2))
    weights /= weights.sum()
    rows, columns = np.arange(pixels.shape[1]), np.arange(pixels.shape[2])
    blurred = np.zeros_like(pixels)
    for image, angle in enumerate(np.deg2rad(angles)):
        for step, weight in enumerate(weights):
            down, right = (math.ceil(step * part - 0.5) for part in (math.sin(angle), math.cos(angle)))
            row = np.clip(rows + down, 0, len(rows) - 1)
            column = np.clip(columns + right, 0, len(columns) - 1)
            blurred[image] += weight * pixels[image][row[:, None], column]
    return blurred


def zoomed(pixels: Reals, factor: float) -> Reals:
    """The middle of every image, enlarged to its size."""
    rows, columns = pixels.shape[1:3]
    seen = [math.ceil(side / factor) for side in (rows, columns)]
    top, left = ((side - part) // 2 for side, part in zip((rows, columns), seen, strict=True))
    part = pixels[:, top : top + seen[0], left : left + seen[1]]
    enlarged: Reals = zoom(part, (1, factor, factor, 1), order=1)
    top, left = (enlarged.shape[1] - rows) // 2, (enlarged.shape[2] - columns) // 2
    return enlarged[:, top : top + rows, left : left + columns]


def zoom_blur(pixels: Reals, draws: Draws, stop: float, step: float) -> Reals:
    """The mean of the image and of itself enlarged by numpy.arange(1, stop, step), which may reach `stop`."""
    factors = np.arange(1.0, stop, step)
    total = pixels + sum(zoomed(pixels, factor) for factor in factors)
    mean: Reals = total / (len(factors) + 1)
    return mean
