"""Hidden layers of a network as a user writes them: "conv:32x5,pool:2,conv:64x5:valid,pool:2,dense:128".

dense:N          N neurons, all-to-all; a bare N is the same
conv:FxE         F features of an E x E kernel shared by all positions, padded so that none is lost
conv:FxE/S       the same at positions S apart
conv:FxE:valid   without padding
pool:P           averages P x P neighbouring positions of the convolution before it
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise

from neuro.base.checks import Range, require_ranges
from neuro.base.convolution import Convolution, square
from neuro.base.errors import UserError

MAX_LAYER = 65_536
MAX_POOL = 16
CONVOLUTION = re.compile(r"conv:(\d+)x(\d+)(?:/(\d+))?(:valid)?")


@dataclass(frozen=True)
class ConvolutionalLayer:
    """Maps of `features` neurons at positions `stride` apart, windows of pool x pool of them averaged into one."""

    features: int
    extent: int
    stride: int = 1
    same: bool = True
    pool: int = 1

    def __post_init__(self) -> None:
        require_ranges(f"layer {self}", vars(self), features=Range(1, MAX_LAYER), pool=Range(1, MAX_POOL))
        if self.extent < 1 or not 1 <= self.stride <= self.extent:
            raise UserError(f"layer {self}: a kernel has an extent of at least 1 and a stride in 1..extent")

    def __str__(self) -> str:
        stride = f"/{self.stride}" if self.stride > 1 else ""
        pool = f",pool:{self.pool}" if self.pool > 1 else ""
        return f"conv:{self.features}x{self.extent}{stride}{'' if self.same else ':valid'}{pool}"

    def on(self, shape: tuple[int, ...]) -> Convolution:
        """The convolution that this layer is on a layer of `shape`."""
        return square(shape, self.extent, self.stride, self.same, self.pool)


Layer = int | ConvolutionalLayer  # an integer: so many neurons, all-to-all


def parse_layers(text: str) -> tuple[Layer, ...]:
    """The layers that `text` lists, from input to output. Raises: UserError naming the part that is wrong."""
    layers: list[Layer] = []
    for part in text.split(","):
        word = part.strip()
        before = layers[-1] if layers else None
        found = CONVOLUTION.fullmatch(word)
        if found is not None:
            features, extent, stride, valid = found.groups()
            layers.append(ConvolutionalLayer(int(features), int(extent), int(stride or 1), valid is None))
        elif re.fullmatch(r"pool:\d+", word):
            if not isinstance(before, ConvolutionalLayer) or before.pool > 1:
                raise UserError(f"layers: {word!r} follows no convolution; write it once after a conv:...")
            layers[-1] = replace(before, pool=int(word[5:]))
        elif re.fullmatch(r"(dense:)?\d+", word):
            layers.append(int(word.removeprefix("dense:")))
        else:
            raise UserError(
                f"layers: {word!r} is none; write e.g. conv:32x5,pool:2,conv:64x5/2:valid,dense:128 (features x extent "
                "/ stride)"
            )
    check_layers(tuple(layers))
    return tuple(layers)


def check_layers(layers: tuple[Layer, ...]) -> None:
    """Raise UserError unless there is a layer, all have a size, and no convolution follows an all-to-all layer."""
    dense = [layer for layer in layers if isinstance(layer, int)]
    if not layers or not all(1 <= n <= MAX_LAYER for n in dense):
        raise UserError(f"hidden layers {layers}: give at least one layer, of 1 to {MAX_LAYER} neurons each")
    for before, layer in pairwise(layers):
        if isinstance(before, int) and not isinstance(layer, int):
            raise UserError(f"layers: {layer} follows {before} neurons without positions; convolutions come first")


def describe(layers: tuple[Layer, ...]) -> str:
    """The text that `parse_layers` reads."""
    return ",".join(str(layer) for layer in layers)


def shapes_of(input_shape: tuple[int, ...], layers: tuple[Layer, ...]) -> list[tuple[int, ...]]:
    """The shape of every layer on images of `input_shape`. Raises: UserError if a layer does not fit."""
    shapes, shape = [], input_shape
    for layer in layers:
        if isinstance(layer, int):
            shape = (layer,)
        else:
            try:
                shape = layer.on(shape).output_shape(shape, layer.features)
            except UserError as error:
                raise UserError(f"layer {layer} on maps of shape {shape}: {error}") from error
        shapes.append(shape)
    return shapes
