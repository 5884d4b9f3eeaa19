"""Features of any scale as images in [0, 1], which encoders take; the range is learned from training samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro.base.arrays import Float32, Reals
from neuro.base.checks import require_choice
from neuro.base.errors import UserError

SCALINGS = ("feature", "global")


@dataclass(frozen=True, eq=False)
class FeatureRange:
    """Where features lie, and of which shape an image of them is.

    low, high:   of shape [d], in the units of the features; equal for a constant feature, which tells nothing.
    image_shape: of prod(image_shape) = d values.
    """

    low: Reals
    high: Reals
    image_shape: tuple[int, ...]

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

    def to_images(self, features: Reals) -> Float32:
        """Images in [0, 1], of shape [n, *image_shape], of features [n, d]; what lies outside the range is clipped."""
        half = self.high / 2 - self.low / 2  # the whole may be beyond all floats
        pixels = np.where(half > 0, (features / 2 - self.low / 2) / np.where(half > 0, half, 1.0), 0.0)
        return np.clip(pixels, 0.0, 1.0).astype(np.float32).reshape(len(features), *self.image_shape)

    def to_json(self) -> dict[str, Any]:
        """Plain objects, for a manifest."""
        return {"low": self.low.tolist(), "high": self.high.tolist(), "image_shape": list(self.image_shape)}
