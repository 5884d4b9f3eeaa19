"""Fixed front ends: what a first stage without learning makes of an image, in integers. They belong to the encoder.

Pixels come in as bytes, floor(255 x + 1/2). What goes out are the payloads of an input population, one map of integers
for each image: values that are sent once, or, with a `window`, chances of spikes (`neuro.spec.neurons.Generator`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from neuro.base.arrays import Array, Int16, Int32, Integers, NamedArrays, Reals
from neuro.base.errors import UserError
from neuro.base.fixed_point import CHANCE_BITS

BYTE = 255


class FixedFront(ABC):
    """A fixed front end.

    kind:            its name in files.
    text:            how it is asked for, every choice stated.
    image_shape:     of what it takes, (h, w) or (h, w, channels).
    shape:           of the maps that it gives.
    window:          steps for which the input population draws spikes from these chances; 0: payloads, sent once.
    activation_bits: the real value 1 is 2**activation_bits payload units, or spikes.
    limit:           the largest payload or chance.
    """

    kind: ClassVar[str]
    text: str
    image_shape: tuple[int, ...]
    window: int
    activation_bits: int

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of the maps."""

    @property
    @abstractmethod
    def limit(self) -> int:
        """The largest payload, or chance."""

    @abstractmethod
    def apply(self, pixels: Int32) -> Int16:
        """Payloads of shape [B, N] of pixels of shape [B, h, w, channels], in 0..255."""

    @property
    @abstractmethod
    def fields(self) -> Reals:
        """What each unit reads of the image, linear part only, of shape [pixels, N]: for pictures."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """All but the arrays."""

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """The arrays by name."""

    @classmethod
    @abstractmethod
    def from_json(cls, content: Mapping[str, Any], arrays: NamedArrays) -> FixedFront:
        """Rebuild one from `to_json` and `arrays`."""

    @property
    def planes(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, *more = self.image_shape
        return height, width, math.prod(more)

    def squares(self, payloads: Integers) -> Reals:
        """The mean squares, in real units, of what a receiver is given; of drawn spikes their variance is part."""
        real = payloads.astype(np.float64)
        if self.window:
            share = real * 2.0**-CHANCE_BITS
            mean = self.window * share
            real = np.sqrt(np.square(mean) + mean * (1.0 - share))
        return np.asarray(np.square(real * 2.0**-self.activation_bits))

    def encode(self, images: Array) -> Int16:
        """Payloads of shape [B, N] for images of shape [B, ...], uint8 or float in [0, 1].

        Raises: UserError if they hold another number of values.
        """
        n_values = math.prod(images.shape[1:])
        if n_values != math.prod(self.image_shape):
            raise UserError(
                f"front end {self.kind}: images hold {n_values} values, it takes {self.image_shape}; use the data set "
                "it was made for, or resize the images"
            )
        return self.apply(bytes_of(images).reshape(len(images), *self.planes))


def bytes_of(images: Array) -> Int32:
    """Pixels in 0..255: bytes as they are, floats in [0, 1] rounded to nearest."""
    if images.dtype == np.uint8:
        return images.astype(np.int32)
    rounded: Int32 = np.floor(images.astype(np.float64) * BYTE + 0.5).astype(np.int32)
    return rounded


def planes_of(kind: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of images of `shape`. Raises: UserError if they are no planes of pixels."""
    if len(shape) not in (2, 3):
        raise UserError(f"front end {kind}: takes images with rows and columns, not values of shape {shape}")
    return shape[0], shape[1]
