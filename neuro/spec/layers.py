"""Hidden layers of a network as a user writes them: "conv:32x5,pool:2,conv:64x5:valid,pool:2,dense:128".

dense:N          N neurons, all-to-all; a bare N is the same
conv:FxE         F features of an E x E kernel shared by all positions, padded so that none is lost
conv:FxE/S       the same at positions S apart
conv:FxE:valid   without padding
pool:P           averages P x P neighbouring positions of the convolution before it, then clips the average
rect,pool:P      clips every position, then averages: maps of full size, of which the next layer reads averages
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise

from neuro.base.checks import Range, require_ranges
from neuro.base.convolution import Convolution, square, whole
from neuro.base.errors import UserError

MAX_LAYER = 65_536
MAX_POOL = 16
CONVOLUTION = re.compile(r"conv:(\d+)x(\d+)(?:/(\d+))?(:valid)?")


@dataclass(frozen=True)
class ConvolutionalLayer:
    """Maps of `features` neurons at positions `stride` apart, windows of pool x pool of them averaged into one.

    averaged: the next layer reads averages of averaged x averaged neurons; 1: every neuron.
    """

    features: int
    extent: int
    stride: int = 1
    same: bool = True
    pool: int = 1
    averaged: int = 1

    def __post_init__(self) -> None:
        window = Range(1, MAX_POOL)
        require_ranges(f"layer {self}", vars(self), features=Range(1, MAX_LAYER), pool=window, averaged=window)
        if self.extent < 1 or not 1 <= self.stride <= self.extent:
            raise UserError(f"layer {self}: a kernel has an extent of at least 1 and a stride in 1..extent")

    def __str__(self) -> str:
        stride = f"/{self.stride}" if self.stride > 1 else ""
        pool = f",pool:{self.pool}" if self.pool > 1 else ""
        averaged = f",rect,pool:{self.averaged}" if self.averaged > 1 else ""
        return f"conv:{self.features}x{self.extent}{stride}{'' if self.same else ':valid'}{pool}{averaged}"


Layer = int | ConvolutionalLayer  # an integer: so many neurons, all-to-all


def parse_layers(text: str) -> tuple[Layer, ...]:
    """The layers that `text` lists, from input to output. Raises: UserError naming the part that is wrong."""
    layers: list[Layer] = []
    rectified = False  # by the word before
    for part in text.split(","):
        word = part.strip()
        before = layers[-1] if layers else None
        if rectified and not re.fullmatch(r"pool:\d+", word):
            break
        found = CONVOLUTION.fullmatch(word)
        if found is not None:
            features, extent, stride, valid = found.groups()
            layers.append(ConvolutionalLayer(int(features), int(extent), int(stride or 1), valid is None))
        elif word == "rect" and isinstance(before, ConvolutionalLayer) and before.averaged == 1:
            rectified = True
        elif re.fullmatch(r"pool:\d+", word):
            size = int(word[5:])
            if not isinstance(before, ConvolutionalLayer) or before.averaged > 1 or (before.pool > 1 and not rectified):
                raise UserError(f"layers: {word!r} follows no convolution; write it once after a conv:...")
            layers[-1] = replace(before, averaged=size) if rectified else replace(before, pool=size)
            rectified = False
        elif re.fullmatch(r"(dense:)?\d+", word):
            layers.append(int(word.removeprefix("dense:")))
        else:
            raise UserError(
                f"layers: {word!r} is none; write e.g. conv:32x5,pool:2,conv:64x5/2:valid,dense:128 (features x extent "
                "/ stride), conv:16x5,rect,pool:2"
            )
    if rectified:
        raise UserError("layers: 'rect' without the pool that it stands before; write conv:16x5,rect,pool:2")
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


def convolution_of(layer: Layer, before: Layer | None, shape: tuple[int, ...]) -> Convolution | None:
    """The convolution that `layer` is on the layer `before` of `shape`, None for all-to-all.

    before: None for the input. Behind averages an all-to-all layer is a convolution with one position.
    Raises: UserError if it does not fit.
    """
    averaged = before.averaged if isinstance(before, ConvolutionalLayer) else 1
    if isinstance(layer, ConvolutionalLayer):
        return square(shape, layer.extent, layer.stride, layer.same, layer.pool, averaged)
    return whole(shape, averaged) if averaged > 1 else None


def shapes_of(input_shape: tuple[int, ...], layers: tuple[Layer, ...]) -> list[tuple[int, ...]]:
    """The shape of every layer on images of `input_shape`. Raises: UserError if a layer does not fit."""
    shapes, shape = [], input_shape
    for before, layer in zip((None, *layers), layers, strict=False):
        try:
            convolution = convolution_of(layer, before, shape)
            size = layer.features if isinstance(layer, ConvolutionalLayer) else layer
            maps = (size,) if convolution is None else convolution.output_shape(shape, size)
        except UserError as error:
            raise UserError(f"layer {layer} on maps of shape {shape}: {error}") from error
        shape = maps if isinstance(layer, ConvolutionalLayer) else (size,)
        shapes.append(shape)
    return shapes
