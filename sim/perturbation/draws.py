"""Random numbers of corruptions: a function of seed, kind, severity and image alone, whatever the order or the batch.

Image i draws from the stream (kind, severity, i) of Philox under the seed; all images of a batch draw alike.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuro.base.arrays import Int64, Reals
from neuro.base.gaussian import HALVES, quantiles, uniform

IMAGE_BITS, SEVERITY_BITS = 28, 3  # of the number of a stream, below those of the kind


def stream_of(kind: str, severity: int, image: int) -> int:
    """The stream of an image, below 2**63: those from there on are of trainings (`neuro.front_ends.noise`)."""
    name = zlib.crc32(kind.encode())
    return (name << (IMAGE_BITS + SEVERITY_BITS)) | (severity << IMAGE_BITS) | image


@dataclass
class Draws:
    """What a batch of images draws, one after the other. streams: one an image; counter: what was drawn before."""

    seed: int
    streams: Sequence[int]
    counter: int = 0

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Reals:
        """Numbers uniform in (low, high), of shape [B, *shape]."""
        n = math.prod(shape)
        drawn = np.stack([uniform(self.seed, stream, self.counter, n) for stream in self.streams])
        self.counter += -(-n // HALVES)
        return low + (high - low) * drawn.reshape(-1, *shape)

    def normal(self, *shape: int) -> Reals:
        """Standard normal numbers, of shape [B, *shape]."""
        return quantiles(self.uniform(*shape))

    def integers(self, low: int, high: int, *shape: int) -> Int64:
        """Whole numbers from low to high - 1, of shape [B, *shape]."""
        return np.floor(self.uniform(*shape, low=low, high=high)).astype(np.int64)
