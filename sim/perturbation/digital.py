"""Contrast, brightness, saturation, compression, coarse pixels, elastic shapes. Pixels in 0..1, shape [B, h, w, c]."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from neuro.base.arrays import Reals, UInt8
from sim.perturbation.draws import Draws
from sim.perturbation.levels import levels_of


def contrast(pixels: Reals, draws: Draws, factor: float) -> Reals:
    """Distances from the mean of each channel, shrunk."""
    means = pixels.mean(axis=(1, 2), keepdims=True)
    shrunk: Reals = (pixels - means) * factor + means
    return shrunk


def brightness(pixels: Reals, draws: Draws, amount: float) -> Reals:
    """The value of HSV, the largest of the channels, raised; hue and saturation stay."""
    value = pixels.max(axis=3, keepdims=True)
    raised = np.clip(value + amount, 0.0, 1.0)
    return np.where(value > 0, pixels * (raised / np.where(value > 0, value, 1.0)), raised)


def saturate(pixels: Reals, draws: Draws, factor: float, offset: float) -> Reals:
    """The saturation of HSV times a factor plus an offset; grey pixels have the hue red. Images of one channel stay."""
    if pixels.shape[3] == 1:
        return pixels
    value, low = pixels.max(axis=3, keepdims=True), pixels.min(axis=3, keepdims=True)
    before = np.where(value > 0, (value - low) / np.where(value > 0, value, 1.0), 0.0)
    after = np.clip(before * factor + offset, 0.0, 1.0)
    red = value * (1.0 - after * np.array([0.0, 1.0, 1.0]))
    return np.where(before > 0, value - (value - pixels) * (after / np.where(before > 0, before, 1.0)), red)


def jpeg_compression(pixels: Reals, draws: Draws, quality: float) -> Reals:
    """JPEG of that quality, and back."""
    from PIL import Image

    def compressed(image: Image.Image) -> Image.Image:
        kept = io.BytesIO()
        image.save(kept, "JPEG", quality=int(quality))
        return Image.open(kept)

    return _by_image(pixels, compressed)


def pixelate(pixels: Reals, draws: Draws, share: float) -> Reals:
    """Fewer pixels, and back to as many."""
    from PIL import Image

    size = pixels.shape[2], pixels.shape[1]
    small = tuple(max(1, int(side * share)) for side in size)
    box = Image.Resampling.BOX
    return _by_image(pixels, lambda image: image.resize(small, box).resize(size, box))


def _by_image(pixels: Reals, change: Callable[..., object]) -> Reals:
    """Images as Pillow has them, changed."""
    from PIL import Image

    def one(levels: UInt8) -> UInt8:
        image = Image.fromarray(levels[:, :, 0] if levels.shape[2] == 1 else levels)
        return np.asarray(change(image), dtype=np.uint8).reshape(levels.shape)

    return np.stack([one(levels) for levels in levels_of(pixels)]) / 255.0


def elastic_transform(pixels: Reals, draws: Draws, size: float, sigma: float, affine: float) -> Reals:
    """A random affine map of three points, then a smooth random shift of every pixel.

    size, sigma, affine: the shift, its smoothness and how far points move at most, in shares of the longer side.
    """
    rows, columns = pixels.shape[1:3]
    side = max(rows, columns)
    matrices = _affine(draws.uniform(3, 2, low=-affine * side, high=affine * side), rows, columns)
    shifts = draws.uniform(2, rows, columns, low=-1.0, high=1.0)
    shifts = gaussian_filter(shifts, (0, 0, sigma * side, sigma * side), mode="reflect", truncate=3.0) * size * side
    down, right = np.meshgrid(np.arange(rows, dtype=np.float64), np.arange(columns, dtype=np.float64), indexing="ij")
    found = np.empty_like(pixels)
    for image, (matrix, shift) in enumerate(zip(matrices, shifts, strict=True)):
        there = np.tensordot(matrix, np.stack([down, right, np.ones_like(down)]), axes=1)
        for channel in range(pixels.shape[3]):
            mapped = map_coordinates(pixels[image, :, :, channel], there, order=1, mode="mirror")
            found[image, :, :, channel] = map_coordinates(
                mapped, [down + shift[0], right + shift[1]], order=1, mode="reflect"
            )
    return found


def _affine(moves: Reals, rows: int, columns: int) -> Reals:
    """Maps of shape [B, 2, 3] from where a pixel comes to be, (row, column, 1), to where it was.

    Three points around the middle go to themselves + moves, of shape [B, 3, 2].
    """
    middle, square = np.array([rows // 2, columns // 2], dtype=np.float64), min(rows, columns) // 3
    points = middle + square * np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    reached = np.concatenate([points + moves, np.ones((len(moves), 3, 1))], axis=2)
    solved: Reals = np.linalg.solve(reached, np.broadcast_to(points, moves.shape))
    return solved.transpose(0, 2, 1)
