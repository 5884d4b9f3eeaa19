"""Values in any units as pixels in [0, 1]: by their type, or by a range that is learned from training images.

What stays as it is: uint8 (0..255), booleans, and real numbers in [0, 1]. "auto" divides 8-bit pixels of another type
by 255 and learns the range of all else: of images one for all pixels, of tables one for each feature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuro.base.arrays import AnyArray, Floats, Images, Integers, Reals
from neuro.base.errors import UserError
from neuro.data.features import FeatureRange

ROUNDING = 1e-6  # what a float is off by: 1.0000001 is 1
NEAR = 0.5  # later values so far outside [0, 1] are clipped; beyond, they are of other units
BYTE, BRIGHT = 255, 128  # whole pixels up to 255 of which one reaches 128 are 8-bit ones
PIXEL_COLUMNS = 64  # of a table: so many whole numbers from 0 to 255 are the pixels of an image
DEVIATIONS = 3.0  # "standard": what becomes 0..1 is the mean -+ so many standard deviations
BYTES = "divided by 255"
LEARNED = {"minmax": "learned on training images", "standard": "mean -+ 3 deviations of training images"}


@dataclass(frozen=True, eq=False)
class Rescaling:
    """How values become pixels. rule: in words, for screens and manifests."""

    range: FeatureRange
    rule: str

    @property
    def by_feature(self) -> bool:
        """Whether every feature has a range of its own."""
        return self.range.low.ndim == 1


def numbers(images: AnyArray, where: str) -> AnyArray:
    """Images as finite numbers or booleans. Raises: UserError, naming `where`, if they are none."""
    if not 2 <= images.ndim <= 4 or 0 in images.shape:
        raise UserError(f"{where} has shape {images.shape}; needs [n, d] or [n, h, w(, c)] with n >= 1")
    if images.dtype.kind == "O":
        try:
            images = images.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise UserError(f"{where} holds objects that are no numbers; give an array of numbers") from error
    if images.dtype.kind not in "biuf":
        raise UserError(f"{where} is {images.dtype}; use numbers, e.g. uint8 (0..255) or float in [0, 1]")
    if images.dtype.kind == "f" and not np.all(np.isfinite(images)):
        raise UserError(f"{where} holds NaN or infinity; remove or replace those values")
    return images


def learned(images: AnyArray, rescale: str) -> Rescaling | None:
    """How training images of shape [n, ...] are rescaled; None if they stay as they are.

    Args: rescale: as `DataOptions` names it; "none" and what needs none give None.
    """
    if rescale == "none" or (rescale == "auto" and stays(images)):
        return None
    shape = images.shape[1:]
    by_feature = images.ndim == 2 and not _are_pixels(images)
    if rescale == "standard":
        return Rescaling(_deviations(images, by_feature), LEARNED[rescale])
    low, high = float(images.min()), float(images.max())
    if rescale == "auto" and not by_feature and low >= 0 and BRIGHT <= high <= BYTE:
        return Rescaling(_alike(0.0, BYTE, shape), BYTES)
    if by_feature:
        return Rescaling(FeatureRange.of(images.astype(np.float64), shape), LEARNED["minmax"])
    return Rescaling(_alike(low, high, shape), LEARNED["minmax"])


def stays(images: AnyArray) -> bool:
    """Whether images are pixels already: uint8, booleans, or numbers in [0, 1]."""
    if images.dtype == np.uint8 or images.dtype.kind == "b":
        return True
    return bool(images.min() >= -ROUNDING and images.max() <= 1 + ROUNDING)


def as_they_are(images: AnyArray, where: str, strict: bool, binary: bool = False) -> tuple[Images, int]:
    """Images that are pixels already, as uint8 or float32 in [0, 1], and how many of their values were clipped.

    Args:   strict: whether nothing is taken but uint8 and floats in [0, 1]: nothing is clipped or converted then;
            binary: whether whole numbers are the pixels 0 and 1 themselves, and no bytes.
    Raises: UserError, naming `where`, if they are in other units.
    """
    kind = images.dtype.kind
    if images.dtype == np.uint8 and not binary:
        return np.ascontiguousarray(images), 0
    if kind != "f" and strict:
        raise UserError(f"{where} is {images.dtype}; use uint8 (0..255) or float in [0, 1], or give --rescale minmax")
    low, high = images.min(), images.max()
    if kind in "iu" and low >= 0 and 1 < high <= BYTE and not binary:
        return np.ascontiguousarray(images, dtype=np.uint8), 0
    slack = ROUNDING if strict else NEAR
    if low < -slack or high > 1 + slack:
        raise UserError(f"{where} spans [{low:g}, {high:g}], outside [0, 1]; rescale it: give --rescale minmax")
    clipped = int(((images < -ROUNDING) | (images > 1 + ROUNDING)).sum())
    return np.ascontiguousarray(np.clip(images, 0, 1), dtype=np.float32), clipped


def _are_pixels(table: Floats | Integers) -> bool:
    """Whether a table holds flattened images: many columns of whole numbers in one range from 0."""
    return (
        table.shape[1] >= PIXEL_COLUMNS
        and bool(table.min() >= 0 and table.max() <= BYTE)
        and (table.dtype.kind != "f" or bool((table == np.floor(table)).all()))
    )


def _alike(low: float, high: float, shape: tuple[int, ...]) -> FeatureRange:
    return FeatureRange(np.asarray(low), np.asarray(high, dtype=np.float64), shape)


def _deviations(images: AnyArray, by_feature: bool) -> FeatureRange:
    """The mean -+ DEVIATIONS standard deviations, of each feature or of all together."""
    flat = images.reshape(len(images), -1)
    axis = 0 if by_feature else None
    mean: Reals = np.asarray(flat.mean(axis=axis, dtype=np.float64))
    reach = DEVIATIONS * np.asarray(flat.std(axis=axis, dtype=np.float64))
    return FeatureRange(mean - reach, mean + reach, images.shape[1:])
