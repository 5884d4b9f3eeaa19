"""Where the colours of images are: [n, h, w, channels] is what networks take, [n, channels, h, w] what torch keeps."""

from __future__ import annotations

import numpy as np

from neuro.base.arrays import Array
from neuro.base.errors import UserError

FIRST, LAST = "first", "last"
COLOURS = (1, 3)
OTHERS = (2, 4)  # polarity of events, transparency
SMALLEST = 5  # pixels: a side that is no number of channels


def order_of(shape: tuple[int, ...], wanted: str, where: str) -> str:
    """Where channels are, "first" or "last", in images of this shape, without their number.

    Args:   wanted: "first", "last", or "auto": from the shape; where: named in errors.
    Raises: UserError if the shape could be either, or has no channels to come first.
    """
    if len(shape) != 3:
        if wanted == FIRST:
            raise UserError(f"{where}: images of shape {shape} have no channels that come first; drop --channels first")
        return LAST
    if wanted != "auto":
        return wanted
    first, middle, last = shape
    if first in COLOURS and (last in COLOURS or (last in OTHERS and middle != last)):
        raise UserError(
            f"{where}: images of shape {shape} could have channels first or last; give --channels first|last"
        )
    if first in COLOURS or (first in OTHERS and min(middle, last) >= SMALLEST):
        return FIRST
    return LAST


def channels_last(images: Array, order: str) -> Array:
    """Images of shape [n, h, w, channels]; of one channel that came first: [n, h, w]."""
    if order == LAST:
        return images
    return images[:, 0] if images.shape[1] == 1 else np.moveaxis(images, 1, -1)


def fitted(images: Array, shape: tuple[int, ...], order: str) -> Array:
    """Later images in the shape of those learned from, whichever order they are in; as they are if neither fits.

    order: of the images learned from, which decides where both orders have the shape.
    """
    if images.ndim != 4 or (images.shape[1:] == shape and order == LAST):
        return images
    moved = channels_last(images, FIRST)
    return moved if moved.shape[1:] == shape else images
