"""Features of any scale as images in [0, 1], which encoders take; the range is learned from training samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro.base.arrays import Bools, Float32, Floats, Integers, Reals
from neuro.base.checks import require_choice
from neuro.base.errors import UserError

SCALINGS = ("feature", "global")
CHUNK = 4096  # samples converted at a time
ROUNDING = 1e-6  # of the width: what a float is off by is not outside


@dataclass(frozen=True, eq=False)
class FeatureRange:
    """Where features lie, and of which shape an image of them is.

    low, high:   of shape [d], or [] for all alike, in the units of the features; equal for a constant feature, which
                 tells nothing.
    image_shape: of prod(image_shape) = d values.
    """

    low: Reals
    high: Reals
    image_shape: tuple[int, ...]

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> FeatureRange:
        """The range that `to_json` wrote. Raises: UserError if it is none."""
        try:
            low, high = (np.asarray(fields[key], dtype=np.float64) for key in ("low", "high"))
            shape = tuple(int(side) for side in fields["image_shape"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"range of features: {error}; needs numbers low and high, and image_shape") from error
        if low.shape != high.shape or low.shape not in ((), (math.prod(shape),)):
            raise UserError(f"range of features: low {low.shape}, high {high.shape} for images of shape {shape}")
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= high).all()):
            raise UserError("range of features: low and high must be finite, low at most high")
        return FeatureRange(low, high, shape)

    @staticmethod
    def of(features: Reals, image_shape: tuple[int, ...], scaling: str = "feature") -> FeatureRange:
        """Learn the range of features of shape [n, d]: of each feature, or ("global") of all together.

        Raises: UserError if the scaling is unknown or the shape holds another number of values.
        """
        require_choice("scaling", scaling, SCALINGS)
        n_features = features.shape[1]
        if math.prod(image_shape) != n_features:
            raise UserError(
                f"image_shape {image_shape} holds {math.prod(image_shape)} values, samples have {n_features} features; "
                "make them equal"
            )
        axis = 0 if scaling == "feature" else None
        low, high = (np.broadcast_to(end(axis=axis), n_features).copy() for end in (features.min, features.max))
        return FeatureRange(low, high, image_shape)

    @property
    def width(self) -> Reals:
        """Width of the range, of shape [d]: the feature that the pixel 1 is, less the one that 0 is."""
        return np.asarray(self.high - self.low)

    def to_images(self, features: Floats | Integers | Bools) -> Float32:
        """Images in [0, 1], of shape [n, *image_shape], of features [n, d]; what lies outside the range is clipped."""
        half = self.high / 2 - self.low / 2  # the whole may be beyond all floats
        images = np.empty((len(features), *self.image_shape), dtype=np.float32)
        flat = images.reshape(features.shape)
        for first in range(0, len(features), CHUNK):
            part = features[first : first + CHUNK].astype(np.float64)
            pixels = np.where(half > 0, (part / 2 - self.low / 2) / np.where(half > 0, half, 1.0), 0.0)
            flat[first : first + CHUNK] = np.clip(pixels, 0.0, 1.0)
        return images

    def outside(self, features: Floats | Integers | Bools) -> int:
        """How many values of features [n, d] lie outside the range, rounding aside."""
        slack = ROUNDING * np.abs(self.width)
        return int(((features < self.low - slack) | (features > self.high + slack)).sum())

    def to_json(self) -> dict[str, Any]:
        """Plain objects, for a manifest: low and high are numbers where they are alike for all features."""
        return {"low": self.low.tolist(), "high": self.high.tolist(), "image_shape": list(self.image_shape)}
