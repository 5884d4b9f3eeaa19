"""Gaussian noise on training images, fresh each time they are learned: networks that randomised smoothing can certify.

The noise of a presentation is a function of seed, epoch and place in the epoch, so it does not depend on chunks,
workers or interruptions. What is chosen is chosen for such images: mean and length of the input, and the validation,
are those of noisy ones, drawn once. Test images stay as they are. The rule stays local: it sees other payloads.
Source: Lecuyer et al. 2019; Cohen, Rosenfeld and Kolter 2019 (training for smoothing).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuro.base.arrays import Array, Int64, Payloads
from neuro.front_ends.noise import TRAINING, noisy_payloads, noisy_pixels
from neuro.front_ends.pixels import PixelEncoder

CHUNK = 2048  # images at a time
ONCE = TRAINING | (1 << 32)  # the stream of images that are no presentation


@dataclass(frozen=True, eq=False)
class TrainingNoise:
    """Noise on the images of a training. sigma: its standard deviation, of pixels in 0..1; images of shape [n, ...]."""

    sigma: float
    images: Array
    encoder: PixelEncoder

    def payloads(self, chosen: Int64, seed: int, epoch: int, position: int) -> Payloads:
        """The payloads of the `chosen` images, of shape [B, N], learned from place `position` of an epoch on."""
        return noisy_payloads(
            self.encoder, self.images[chosen], self.sigma,
            seed=seed, stream=TRAINING | epoch, first=position, count=len(chosen),
        )  # fmt: skip


def noise_of(sigma: float, images: Array, encoder: PixelEncoder) -> TrainingNoise | None:
    """The noise on images of shape [n, ...]; None for sigma 0."""
    return TrainingNoise(sigma, images, encoder) if sigma else None


def drawn_once(images: Array, sigma: float, seed: int, first: int = 0) -> Array:
    """Images of shape [n, ...] as they are for sigma 0; else a noisy copy of each, in [0, 1], from row `first`."""
    if not sigma:
        return images
    noisy = noisy_pixels(images, sigma, seed=seed, stream=ONCE, first=first, count=len(images))
    return noisy.reshape(images.shape)


def payloads_once(encoder: PixelEncoder, images: Array, sigma: float, seed: int) -> Payloads:
    """What an encoder makes of images of shape [n, ...], `drawn_once`."""
    if not sigma:
        return encoder.encode(images)
    starts = range(0, len(images), CHUNK)
    return np.concatenate([encoder.encode(drawn_once(images[i : i + CHUNK], sigma, seed, i)) for i in starts])
