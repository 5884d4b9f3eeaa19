"""Fog, frost, snow, spatter. Pixels in 0..1, of shape [B, h, w, c]."""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import correlate, distance_transform_edt, gaussian_filter, uniform_filter

from neuro.base.arrays import Reals, UInt8
from sim.perturbation.blur import moved, zoomed
from sim.perturbation.draws import Draws
from sim.perturbation.edges import edges_of

LUMINANCE = np.array([0.299, 0.587, 0.114])
WATER, MUD = np.array([175.0, 238.0, 238.0]) / 255.0, np.array([63.0, 42.0, 20.0]) / 255.0
FAR = 20.0  # pixels from an edge, beyond which water is as deep
RELIEF = np.array([[-2.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [0.0, 1.0, 2.0]])
WIBBLE = 100.0


def coloured(amount: Reals, colour: Reals, channels: int) -> Reals:
    """An amount of shape [B, h, w] in a colour, or its luminance for other images than those of three channels."""
    tint = colour if channels == 3 else np.full(channels, colour @ LUMINANCE)
    shown: Reals = amount[..., None] * tint
    return shown


def plasma(draws: Draws, side: int, decay: float) -> Reals:
    """Cloud-like maps in 0..1 of shape [B, side, side], side a power of 2; smoother for a larger decay.

    Source: the diamond-square algorithm on a torus (Fournier, Fussell & Carpenter 1982), as fog of ImageNet-C uses it.
    """
    heights, step, wibble = np.zeros((len(draws.streams), side, side)), side, WIBBLE
    while step >= 2:
        half, noise = step // 2, wibble * wibble

        corners = heights[:, ::step, ::step]
        sums = corners + np.roll(corners, -1, 1)
        heights[:, half::step, half::step] = _wibbled(draws, noise, sums, np.roll(sums, -1, 2))
        centres = heights[:, half::step, half::step]
        across = corners + np.roll(corners, -1, 2)
        heights[:, ::step, half::step] = _wibbled(draws, noise, centres, np.roll(centres, 1, 1), across)
        down = corners + np.roll(corners, -1, 1)
        heights[:, half::step, ::step] = _wibbled(draws, noise, centres, np.roll(centres, 1, 2), down)
        step, wibble = half, wibble / decay
    heights -= heights.min(axis=(1, 2), keepdims=True)
    heights /= heights.max(axis=(1, 2), keepdims=True)
    return heights


def _wibbled(draws: Draws, noise: float, *parts: Reals) -> Reals:
    """A quarter of a sum, moved at random by up to `noise`."""
    total: Reals = np.sum(parts, axis=0)
    return total / 4 + draws.uniform(*total.shape[1:], low=-noise, high=noise)


def fog(pixels: Reals, draws: Draws, amount: float, decay: float) -> Reals:
    """A cloud before the image, which keeps its largest value."""
    rows, columns = pixels.shape[1:3]
    cloud = plasma(draws, 1 << math.ceil(math.log2(max(rows, columns))), decay)[:, :rows, :columns, None]
    brightest = pixels.max(axis=(1, 2, 3), keepdims=True)
    fogged: Reals = (pixels + amount * cloud) * brightest / (brightest + amount)
    return fogged


def snow(
    pixels: Reals, draws: Draws, mean: float, deviation: float, size: float, floor: float, radius: float, sigma: float,
    kept: float,
) -> Reals:  # fmt: skip
    """Flakes, enlarged and moved, before an image that is whitened a little."""
    flakes = zoomed(mean + deviation * draws.normal(*pixels.shape[1:3], 1), size)
    flakes = np.clip(np.where(flakes < floor, 0.0, flakes), 0.0, 1.0)
    flakes = moved(flakes, radius, sigma, draws.uniform(low=-135.0, high=-45.0))
    flakes = np.round(flakes * 255.0) / 255.0
    grey = pixels if pixels.shape[3] != 3 else (pixels @ LUMINANCE)[..., None]
    white = kept * pixels + (1.0 - kept) * np.maximum(pixels, grey * 1.5 + 0.5)
    snowed: Reals = white + flakes + np.rot90(flakes, 2, (1, 2))
    return snowed


def spatter(
    pixels: Reals, draws: Draws, mean: float, deviation: float, sigma: float, floor: float, amount: float, mud: float
) -> Reals:
    """Drops of water, or of mud, on the lens."""
    liquid = mean + deviation * draws.normal(*pixels.shape[1:3])
    liquid = gaussian_filter(liquid, (0, sigma, sigma), mode="nearest", truncate=4.0)
    liquid[liquid < floor] = 0.0
    channels = pixels.shape[3]
    if not mud:
        water = amount * np.stack([_depth(np.floor(np.round(layer * 255.0, 6))) for layer in liquid])
        watered: Reals = pixels + coloured(water, WATER, channels)
        return watered
    covered = gaussian_filter((liquid > floor).astype(np.float64), (0, amount, amount), mode="nearest", truncate=4.0)
    covered[covered < 0.8] = 0.0
    muddy: Reals = pixels * (1.0 - covered[..., None]) + coloured(covered, MUD, channels)
    return muddy


def _depth(liquid: Reals) -> Reals:
    """How much water there is, at most 1, of levels of shape [h, w]: drops that catch the light on one side."""
    edges = edges_of(liquid, 50, 150)
    away = np.minimum(distance_transform_edt(~edges), FAR) if edges.any() else np.full(liquid.shape, FAR)
    flat = equalised(np.floor(np.round(uniform_filter(away, 3, mode="mirror"), 6)).astype(np.uint8))
    relief = np.clip(correlate(flat.astype(np.float64), RELIEF, mode="mirror"), 0.0, 255.0)
    water = liquid * np.floor(uniform_filter(relief, 3, mode="mirror") + 0.5)
    depth: Reals = water / max(float(water.max()), 1.0)
    return depth


def equalised(levels: UInt8) -> UInt8:
    """Levels whose histogram is as even as can be; an image of one level stays."""
    counts = np.bincount(levels.ravel(), minlength=256)
    below = np.cumsum(counts)
    first = int(np.flatnonzero(counts)[0])
    rest = levels.size - counts[first]
    if rest == 0:
        return levels
    even: UInt8 = np.floor((below - counts[first]).clip(0) * (255.0 / rest) + 0.5).astype(np.uint8)
    return even[levels]
