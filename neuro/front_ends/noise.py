"""Gaussian noise on pixels, before the encoder: what training with noise and randomised smoothing show a network.

    payloads = encode(clip(pixel + sigma z, 0, 1)),    z standard normal, independent in every pixel

The noise is in units of the range of pixels, 0..1, whatever the data came in. Clipping and the encoder's grid come
after it: they belong to what is trained and to what is certified. Row r of a stream is a function of seed, stream and r
(`neuro.base.gaussian`).
"""

from __future__ import annotations

import math

import numpy as np

from neuro.base.arrays import AnyArray, Array, Payloads, Reals
from neuro.base.gaussian import standard_normal
from neuro.front_ends.pixels import PixelEncoder

TRAINING = 1 << 63  # streams from here on are of epochs of a training, those below of images that are certified


def noisy_pixels(images: Array, sigma: float, *, seed: int, stream: int, first: int, count: int) -> Reals:
    """Pixels in [0, 1], of shape [count, N], under rows first .. first + count - 1 of a stream of noise.

    Args: images: of shape [count, ...], or [1, ...]: the same one in every row; uint8 or float in [0, 1].
    """
    flat: AnyArray = images.reshape(len(images), math.prod(images.shape[1:]))
    noisy = standard_normal(seed, stream, first, count, flat.shape[1])
    noisy *= sigma
    noisy += flat / 255.0 if flat.dtype == np.uint8 else flat
    return np.clip(noisy, 0.0, 1.0, out=noisy)


def noisy_payloads(
    encoder: PixelEncoder, images: Array, sigma: float, *, seed: int, stream: int, first: int, count: int
) -> Payloads:
    """What an encoder makes of `noisy_pixels`, of shape [count, N]."""
    return encoder.encode(noisy_pixels(images, sigma, seed=seed, stream=stream, first=first, count=count))
