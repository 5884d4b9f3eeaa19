"""Images that no small change can move: the encoder gives them the same payloads. Exact, free, of the plain network.

    payload = floor(min(pixel * gain, 1) * one + 1/2) - offset

rises with its pixel and steps where pixel * gain * one is k + 1/2. If every pixel of an image is farther than eps from
the steps beside it (below the first and above the last there are none), every image within eps in linf is the same
integers to the network: its answer is constant. Rarely more than half a payload unit; what stands behind "robust at
4/255" of an encoder of 32 steps.
"""

from __future__ import annotations

import math

import numpy as np

from neuro.base.arrays import AnyArray, Array, Bools, Reals
from neuro.base.errors import UserError
from neuro.front_ends.pixels import PixelEncoder

STEP = 2.0**-40  # by which a radius is told smaller, so that rounding cannot make it false


def payload_unit(encoder: PixelEncoder) -> float:
    """How far apart, in pixels of 0..1, the steps of an encoder lie."""
    return 2.0 ** -(encoder.activation_bits + encoder.gain_bits)


def constancy_radii(encoder: PixelEncoder, images: Array) -> Reals:
    """Of each image, the largest eps below which no change of its pixels within 0..1 changes a payload; shape [B].

    Args:   images of shape [B, ...], uint8 or float in [0, 1].
    Raises: UserError if the encoder filters, normalises or whitens: every payload then depends on many pixels.
    """
    if not encoder.by_pixel:
        raise UserError(
            "constancy: the encoder filters, normalises or whitens, so that no payload belongs to one pixel"
        )
    pixels, unit = _pixels(images), payload_unit(encoder)
    payloads = np.floor(np.minimum(pixels / unit, float(1 << encoder.activation_bits)) + 0.5)
    below = np.where(payloads > 0, pixels - (payloads - 0.5) * unit, np.inf)
    above = np.where(payloads < 1 << encoder.activation_bits, (payloads + 0.5) * unit - pixels, np.inf)
    above = np.where((payloads + 0.5) * unit > 1.0, np.inf, above)  # a pixel cannot be brighter than 1
    nearest: Reals = np.minimum(below, above).min(axis=1, initial=np.inf)
    return np.maximum(nearest - STEP, 0.0)


def constant(encoder: PixelEncoder, images: Array, eps: float) -> Bools:
    """Whether the payloads of each image cannot change within eps in linf, by encoding both ends; of shape [B].

    Raises: UserError as `constancy_radii`.
    """
    if not encoder.by_pixel:
        constancy_radii(encoder, images)
    pixels = _pixels(images)
    low, high = (encoder.encode(np.clip(pixels + change, 0.0, 1.0)) for change in (-eps, eps))
    equal: Bools = (low == high).all(axis=1)
    return equal


def _pixels(images: Array) -> Reals:
    """The pixels in 0..1, of shape [B, N]."""
    flat: AnyArray = images.reshape(len(images), math.prod(images.shape[1:]))
    return (flat / 255.0 if flat.dtype == np.uint8 else flat).astype(np.float64)
