"""Frost: crystals before the image, made by a procedure, or photographs of them from a folder of the user's.

The six photographs of the published set have no licence of their own and are not shipped; `--frost FOLDER` takes them,
or any others. The procedure draws ridges of smooth noise at three sizes, whitish blue; its mean and its spreads are
those of the photographs, its shapes are not: figures with it are named "frost (procedural)".
"""

from __future__ import annotations

import functools
import math
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from neuro.base.arrays import Reals
from neuro.base.errors import UserError
from sim.perturbation.draws import Draws
from sim.perturbation.weather import LUMINANCE

SIZES, SHARES = (0.3, 0.1, 0.03), (0.5, 0.3, 0.2)  # of ridges, of the longer side; how much each counts
MEAN, BETWEEN, WITHIN = 0.58, 0.18, 0.07  # luminance of parts of 32 pixels of the photographs
TINT = np.array([0.89, 1.03, 1.12])
SHRUNK = {"cifar": 0.2, "imagenet": 1.0}  # photographs, before a part of them is cut out
ENDINGS = (".png", ".jpg", ".jpeg")


def frost(pixels: Reals, draws: Draws, image: float, amount: float) -> Reals:
    """By the procedure: image * x + amount * crystals."""
    rows, columns = pixels.shape[1:3]
    ridges = np.zeros((len(pixels), rows, columns))
    for size, share in zip(SIZES, SHARES, strict=True):
        sigma = max(size * max(rows, columns), 0.5)
        smooth = gaussian_filter(draws.normal(rows, columns), (0, sigma, sigma / 2), mode="wrap", truncate=4.0)
        ridges -= share * np.abs(smooth) / np.sqrt((smooth**2).mean(axis=(1, 2), keepdims=True))
    ridges -= ridges.mean(axis=(1, 2), keepdims=True)
    ridges /= ridges.std(axis=(1, 2), keepdims=True)
    level = MEAN + BETWEEN * draws.normal()[:, None, None]
    crystals = np.clip(level + WITHIN * ridges, 0.0, 1.0)
    return image * pixels + amount * _in_channels(crystals[..., None] * TINT, pixels.shape[3])


def photographed(pixels: Reals, draws: Draws, image: float, amount: float, folder: Path, shrunk: float) -> Reals:
    """By photographs: image * x + amount * a part of one. Raises: UserError if the folder has none that can be read."""
    pictures, (rows, columns) = photographs(folder, shrunk, pixels.shape[1], pixels.shape[2]), pixels.shape[1:3]
    chosen, places = draws.integers(0, len(pictures), 1)[:, 0], draws.uniform(2)
    parts = []
    for which, place in zip(chosen, places, strict=True):
        picture = pictures[which]
        top, left = (int(share * (side - part + 1)) for share, side, part in
                     zip(place, picture.shape, (rows, columns), strict=False))  # fmt: skip
        parts.append(picture[top : top + rows, left : left + columns])
    return image * pixels + amount * _in_channels(np.stack(parts), pixels.shape[3])


def _in_channels(crystals: Reals, channels: int) -> Reals:
    return crystals if channels == 3 else (crystals @ LUMINANCE)[..., None]


@functools.cache
def photographs(folder: Path, shrunk: float, rows: int, columns: int) -> tuple[Reals, ...]:
    """The pictures in a folder, in order of their names, as large as an image at least, of shape [h, w, 3] in 0..1."""
    from PIL import Image, UnidentifiedImageError

    found = []
    for path in sorted(folder.glob("*")) if folder.is_dir() else []:
        if path.suffix.lower() not in ENDINGS:
            continue
        try:
            with Image.open(path) as picture:
                colour = picture.convert("RGB")
        except (OSError, UnidentifiedImageError) as error:
            raise UserError(f"frost {path}: no picture that can be read; take it out of the folder") from error
        scale = max(shrunk, rows / colour.height, columns / colour.width)
        size = math.ceil(colour.width * scale), math.ceil(colour.height * scale)
        found.append(np.asarray(colour.resize(size, Image.Resampling.BILINEAR), dtype=np.float64) / 255.0)
    if not found:
        raise UserError(f"frost {folder}: no .png or .jpg in it; give a folder of photographs of frost")
    return tuple(found)
