"""The encoder of a network in torch: the integers of `neuro.front_ends.pixels.PixelEncoder`, differentiable."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from neuro.front_ends.pixels import PixelEncoder
from neuro.front_ends.whitening import FINE_BITS, Transform
from sim.twins.units import clip, straight


def encode(
    images: Tensor,
    encoder: PixelEncoder,
    offset: Tensor | None,
    whitening: Tensor | None,
    rounds: bool,
    outside: float,
) -> Tensor:
    """The payloads of `neuro.front_ends.pixels.PixelEncoder`, of shape [B, N], float64.

    Args: images of shape [B, ...], float in [0, 1]; offset, whitening, those of `encoder`, of shape [N] and [N, N],
    float64, on the device of the images; rounds, whether the forward pass is in integers (the backward one passes
    rounding straight); outside, the slope of a pixel too bright for the gain, and of a payload beyond the limit.
    """
    bright = images.reshape(len(images), math.prod(images.shape[1:])).to(torch.float64) * 2.0**encoder.gain_bits
    if encoder.gain_bits:
        bright = clip(bright, -torch.inf, 1.0, outside)
    bits = encoder.activation_bits if encoder.transform is None else FINE_BITS
    pixels = _rounded(bright * 2.0**bits, rounds)
    if offset is not None:
        pixels = pixels - offset * 2.0 ** (bits - encoder.activation_bits)
    if encoder.transform is None:
        return pixels
    values = _transformed(pixels, encoder.transform, whitening, encoder.activation_bits, rounds)
    return clip(values, -encoder.transform.limit, encoder.transform.limit, outside)


def _transformed(pixels: Tensor, transform: Transform, whitening: Tensor | None, bits: int, rounds: bool) -> Tensor:
    """Do as `neuro.front_ends.whitening.Transform.apply` does before it clips; its operations one by one, for equal
    rounding.
    """
    n_values = pixels.shape[1]
    if transform.contrast_floor:
        radicand = pixels.square().sum(dim=1, keepdim=True) + float(n_values * transform.contrast_floor**2)
        scale = math.sqrt(n_values) * 2.0 ** (bits if whitening is None else FINE_BITS)
        pixels = _rounded(pixels * scale / radicand.sqrt(), rounds)
    if whitening is not None:
        pixels = _rounded(pixels @ whitening * 2.0 ** (bits - FINE_BITS - transform.exponent), rounds)
    return pixels


def _rounded(values: Tensor, rounds: bool) -> Tensor:
    return straight(values, torch.floor(values.detach() + 0.5)) if rounds else values
