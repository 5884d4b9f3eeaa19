"""Divisive normalisation in floats: the quotient that the units of `neuro.front_ends.normalisation` settle to."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

from neuro.base.arrays import Reals


def normalised(images: Reals, pool: int, sigma: float) -> Reals:
    """The quotients x / (sigma + pool), of the shape of images [B, h, w, channels] in 0..1; pools of all channels."""
    mean = images.mean(axis=3, keepdims=True)
    means = np.stack([uniform_filter(plane[..., 0], size=pool, mode="constant") for plane in mean])
    return np.asarray(images / (sigma + means[..., None]))
