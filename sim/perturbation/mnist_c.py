"""The kinds of MNIST-C that ImageNet-C has not: maps, stripes, lines, edges. Pixels in 0..1, shape [B, h, w, 1].

Lengths are of images of 28 pixels a side and grow with the image. Source: Mu & Gilmer 2019, google-research/mnist-c.
Deviations: edges are those of `sim.perturbation.edges` on an image blurred by 1 pixel, not of scikit-image.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from neuro.base.arrays import Reals
from sim.perturbation.blur import smoothed
from sim.perturbation.draws import Draws
from sim.perturbation.edges import edges_of

SIDE = 28  # pixels that lengths are of
MUD = 63 / 255
REACH = 2.3  # pixels from the middle of a line, at which it has faded
QUARTER = 7 / SIDE  # of the columns, at both sides, that a stripe covers
LOW, HIGH = 102.0, 204.0  # slopes of edges: .1 and .2 of the range, by the window that is not normalised


def _mapped(pixels: Reals, matrices: Reals, shifts: Reals) -> Reals:
    """Every image as a map of itself: what is at (x, y) from the middle comes from matrix (x, y) + shift; 0 outside.

    matrices of shape [B, 2, 2], shifts of shape [B, 2], in pixels.
    """
    rows, columns = pixels.shape[1:3]
    middle = np.array([(columns - 1) / 2, (rows - 1) / 2])
    across, down = np.meshgrid(np.arange(columns) - middle[0], np.arange(rows) - middle[1])
    found = np.empty_like(pixels)
    for image, (matrix, shift) in enumerate(zip(matrices, shifts, strict=True)):
        x, y = np.tensordot(matrix, np.stack([across, down]), axes=1) + (middle + shift)[:, None, None]
        found[image, :, :, 0] = map_coordinates(pixels[image, :, :, 0], [y, x], order=1, mode="constant")
    return found


def _signs(draws: Draws, *shape: int) -> Reals:
    """-1 or 1."""
    signs: Reals = 2.0 * draws.integers(0, 2, *shape) - 1.0
    return signs


def shear(pixels: Reals, draws: Draws, angle: float) -> Reals:
    """Sheared to one side or the other."""
    angles = angle * _signs(draws)
    matrices = np.stack([[np.ones_like(angles), -np.sin(angles)], [np.zeros_like(angles), np.cos(angles)]])
    return _mapped(pixels, matrices.transpose(2, 0, 1), np.zeros((len(pixels), 2)))


def rotate(pixels: Reals, draws: Draws, angle: float) -> Reals:
    """Turned to one side or the other, by an angle in radians."""
    angles = angle * _signs(draws)
    matrices = np.stack([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]])
    return _mapped(pixels, matrices.transpose(2, 0, 1), np.zeros((len(pixels), 2)))


def scale(pixels: Reals, draws: Draws, factor: float) -> Reals:
    """Shrunk by a factor."""
    return _mapped(pixels, np.repeat(factor * np.eye(2)[None], len(pixels), 0), np.zeros((len(pixels), 2)))


def translate(pixels: Reals, draws: Draws, length: float) -> Reals:
    """Moved along both axes, to one side or the other."""
    shifts = length * max(pixels.shape[1:3]) / SIDE * _signs(draws, 2)
    return _mapped(pixels, np.repeat(np.eye(2)[None], len(pixels), 0), shifts)


def stripe(pixels: Reals, draws: Draws) -> Reals:
    """Inverted at the left and at the right."""
    width, found = round(QUARTER * pixels.shape[2]), pixels.copy()
    for part in (found[:, :, :width], found[:, :, -width:]):
        part[...] = 1.0 - part
    return found


def glass_by_half(pixels: Reals, draws: Draws, sigma: float, reach: float, times: float) -> Reals:
    """Glass blur of which only half of the pixels, drawn, change places."""
    levels, near = np.floor(np.round(smoothed(pixels, sigma) * 255.0, 6)), int(reach)
    rows, columns, each = pixels.shape[1], pixels.shape[2], np.arange(len(pixels))
    for _ in range(int(times)):
        moves = draws.integers(-near, near, rows, columns, 2) * draws.integers(0, 2, rows, columns, 1)
        for row in range(rows - near, near, -1):
            for column in range(columns - near, near, -1):
                there = (each, row + moves[:, row, column, 0], column + moves[:, row, column, 1])
                levels[there], levels[:, row, column] = levels[:, row, column].copy(), levels[there]
    return smoothed(levels / 255.0, sigma)


def mud(pixels: Reals, draws: Draws, mean: float, deviation: float, sigma: float, floor: float, amount: float) -> Reals:
    """Drops of grey mud."""
    liquid = mean + deviation * draws.normal(*pixels.shape[1:3])
    liquid = gaussian_filter(liquid, (0, sigma, sigma), mode="nearest", truncate=4.0)
    covered = gaussian_filter((liquid > floor).astype(np.float64), (0, amount, amount), mode="nearest", truncate=4.0)
    covered[covered < 0.8] = 0.0
    muddy: Reals = pixels * (1.0 - covered[..., None]) + MUD * covered[..., None]
    return muddy


def canny_edges(pixels: Reals, draws: Draws) -> Reals:
    """Nothing but edges."""
    levels = gaussian_filter(pixels[..., 0] * 255.0, (0, 1.0, 1.0), mode="constant")
    return np.stack([edges_of(level, LOW, HIGH) for level in levels]).astype(np.float64)[..., None]


def _line(shape: tuple[int, ...], start: tuple[float, float], end: tuple[float, float]) -> Reals:
    """A line of light between two points (column, row) in pixels of SIDE, of shape [h, w]."""
    (first, top), (last, bottom) = start, end
    columns, rows = np.linspace(0, SIDE - 1, shape[1]), np.linspace(0, SIDE - 1, shape[0])[:, None]
    if last == first:
        return np.zeros(shape[:2])
    away = np.clip(np.abs(rows - (top + (bottom - top) / (last - first) * (columns - first))), 0, REACH - 1e-10)
    within = (columns >= math.floor(first)) & (columns < math.ceil(last))
    line: Reals = np.clip(np.log(1 - away / REACH) + 1, 0, 1) * within
    return line


def dotted_line(pixels: Reals, draws: Draws) -> Reals:
    """A line from left to right, every other two columns of it."""
    ends = draws.integers(0, SIDE - 1, 2)
    dots = np.linspace(0, SIDE - 1, pixels.shape[2]) % 4 >= 2
    lines = [_line(pixels.shape[1:], (0.0, float(top)), (SIDE - 1.0, float(bottom))) * dots for top, bottom in ends]
    drawn: Reals = pixels + np.stack(lines)[..., None]
    return drawn


def zigzag(pixels: Reals, draws: Draws) -> Reals:
    """A zigzag from left to right, of teeth two pixels long and two high."""
    starts, falls = draws.integers(0, SIDE - 1, 1)[:, 0], draws.integers(-5, 5, 1)[:, 0]
    found = pixels.copy()
    for image, (top, fall) in enumerate(zip(starts, falls, strict=True)):
        for start, end in _teeth(float(top), float(fall)):
            found[image, :, :, 0] = np.clip(found[image, :, :, 0] + _line(pixels.shape[1:], start, end), 0.0, 1.0)
    return found


def _teeth(top: float, fall: float) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """The segments of a zigzag, turned into the direction of its ends."""
    left, right, size = 2.0, 25.0, 2.0
    angle = math.atan(fall / (right - left))
    length = (right - left) / math.cos(angle)
    points, height = [(0.0, 0.0)], 0.0
    for tooth in range(int((length - size) // (2 * size)) + 1):
        height = (-1) ** tooth * size
        points.append(((2 * tooth + 1) * size, height))
    rest = length - 2 * size * (length // (2 * size))
    if rest:
        points.append((length, height / (2 * rest)))
    cosine, sine = math.cos(angle), math.sin(angle)
    turned = [(left + cosine * x - sine * y, top + sine * x + cosine * y) for x, y in points]
    return list(itertools.pairwise(turned))
