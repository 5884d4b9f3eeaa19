"""Nineteen corruptions in five severities, of images of any size from 8 pixels on, grey or in colour.

    x' = floor(255 clip(kind(x / 255, severity, draws of the image), 0, 1))

What an image becomes is a function of seed, table, kind, severity and its number alone.
Source: Hendrycks & Dietterich 2019. Deviations: frost (`sim.perturbation.frost`), glass blur (`blur`).
Checked: tests/sim/perturbation/test_corruptions.py, against the package imagecorruptions where it is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from neuro.base.arrays import Array, Reals, UInt8
from neuro.base.checks import Range, require_choice
from neuro.base.errors import UserError
from sim.perturbation import blur, digital, mnist_c, noise, weather
from sim.perturbation.draws import Draws, stream_of
from sim.perturbation.frost import SHRUNK, frost, photographed
from sim.perturbation.levels import levels_of, nearest_levels
from sim.perturbation.tables import ALL_TABLES

Corruption = Callable[..., Reals]  # (pixels, draws, *constants) -> pixels

KINDS: dict[str, Corruption] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "speckle_noise": noise.speckle_noise,
    "gaussian_blur": blur.gaussian_blur,
    "glass_blur": blur.glass_blur,
    "defocus_blur": blur.defocus_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "fog": weather.fog,
    "frost": frost,
    "snow": weather.snow,
    "spatter": weather.spatter,
    "contrast": digital.contrast,
    "brightness": digital.brightness,
    "saturate": digital.saturate,
    "jpeg_compression": digital.jpeg_compression,
    "pixelate": digital.pixelate,
    "elastic_transform": digital.elastic_transform,
}
OF_MNIST_C: dict[str, Corruption] = {
    "glass_by_half": mnist_c.glass_by_half,
    "shear": mnist_c.shear,
    "scale": mnist_c.scale,
    "rotate": mnist_c.rotate,
    "translate": mnist_c.translate,
    "stripe": mnist_c.stripe,
    "mud": mnist_c.mud,
    "dotted_line": mnist_c.dotted_line,
    "zigzag": mnist_c.zigzag,
    "canny_edges": mnist_c.canny_edges,
}
ALL_KINDS = {**KINDS, **OF_MNIST_C}
NAMES = {"glass_by_half": "glass blur", "mud": "spatter"}  # as MNIST-C calls them
SMALLEST, BATCH = 8, 100
UNTOUCHED = ("saturate",)  # kinds that images of one channel do not feel, by definition


@dataclass(frozen=True)
class Corruptor:
    """How a data set is corrupted. table: see `sim.perturbation.tables`; frost: a folder of photographs, or None."""

    table: str = "cifar"
    seed: int = 0
    frost: Path | None = None

    def __post_init__(self) -> None:
        require_choice("table", self.table, ALL_TABLES)

    def __call__(self, images: Array, kind: str, severity: int, first: int = 0) -> UInt8:
        """Images of shape [n, h, w] or [n, h, w, c], uint8 or float in 0..1, corrupted; of the same shape.

        first: number of the first image.  Raises: UserError if kind, severity or shape cannot be.
        """
        require_choice("corruption", kind, ALL_TABLES[self.table])
        Range(1, len(ALL_TABLES[self.table][kind])).require(severity=severity)
        require_pictures(images.shape[1:])
        if kind in OF_MNIST_C and images.ndim == 4 and images.shape[3] != 1:
            raise UserError(f"{kind}: of images of one channel, these have {images.shape[3]}; take --set corruptions")
        levels = nearest_levels(images).reshape(*images.shape[:3], images.shape[3] if images.ndim == 4 else 1)
        parts = self._parts(levels, kind, severity, first)
        corrupted: UInt8 = np.concatenate([levels[:0], *parts]).reshape(images.shape)
        return corrupted

    def _parts(self, levels: UInt8, kind: str, severity: int, first: int) -> Iterator[UInt8]:
        constants, change = ALL_TABLES[self.table][kind][severity - 1], ALL_KINDS[kind]
        if kind == "frost" and self.frost is not None:
            change = partial(photographed, folder=self.frost, shrunk=SHRUNK[self.table])
        for start in range(0, len(levels), BATCH):
            part = levels[start : start + BATCH]
            draws = Draws(self.seed, [stream_of(kind, severity, first + start + k) for k in range(len(part))])
            yield levels_of(change(part / 255.0, draws, *constants))

    def name_of(self, kind: str) -> str:
        """The kind as a table names it."""
        words = NAMES.get(kind, kind.replace("_", " "))
        return f"{words} (procedural)" if kind == "frost" and self.frost is None else words


def require_pictures(shape: tuple[int, ...]) -> None:
    """Raise UserError unless images of this shape can be corrupted."""
    if len(shape) not in (2, 3) or min(shape[:2]) < SMALLEST or (len(shape) == 3 and shape[2] not in (1, 3)):
        raise UserError(
            f"corruptions: images of shape {shape}; they are defined for pictures of at least {SMALLEST} pixels a "
            "side with one channel or three"
        )


def meaningful(kinds: tuple[str, ...], shape: tuple[int, ...]) -> tuple[str, ...]:
    """Those of the kinds that change images of this shape at all."""
    grey = len(shape) == 2 or shape[2] == 1
    return tuple(kind for kind in kinds if not (grey and kind in UNTOUCHED))
