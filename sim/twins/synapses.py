"""Synapses of a twin: matrices, or shared kernels as torch's convolutions, which need no matrix of all pairs.

Both are linear maps with their transposes; in integers their sums are exact whatever the order, as long as the type
holds them (`sim.twins.sigma_delta.exact_dtype`).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad

from neuro.base.arrays import AnyArray
from neuro.base.convolution import Convolution
from neuro.spec.projection import Projection
from neuro.spec.sigma_delta import NetworkSpec


class Synapses(nn.Module):
    """The weights W of a projection, of shape [N, M]: called with values of shape [B, N] they return values W.

    turned: those of a transpose, W^T of what is held.
    """

    def __init__(self, turned: bool) -> None:
        super().__init__()
        self.turned = turned

    def forward(self, values: Tensor) -> Tensor:
        """The product values W."""
        return self._down(values) if self.turned else self._up(values)

    def back(self, values: Tensor) -> Tensor:
        """The product values W^T, for values of shape [B, M]."""
        return self._up(values) if self.turned else self._down(values)

    def added(self, total: Tensor, values: Tensor) -> Tensor:
        """The sum total + values W; in integers that of `forward`, to the last bit."""
        return total + (self._down(values) if self.turned else self._up(values))

    def _up(self, values: Tensor) -> Tensor:
        raise NotImplementedError

    def _down(self, values: Tensor) -> Tensor:
        raise NotImplementedError


class DenseSynapses(Synapses):
    """A matrix of weights, of shape [N, M]."""

    weights: Tensor

    def __init__(self, weights: AnyArray, turned: bool, dtype: torch.dtype) -> None:
        super().__init__(turned)
        self.register_buffer("weights", torch.tensor(weights, dtype=dtype))

    def _up(self, values: Tensor) -> Tensor:
        return values @ self.weights

    def _down(self, values: Tensor) -> Tensor:
        return values @ self.weights.T

    def added(self, total: Tensor, values: Tensor) -> Tensor:
        """See `Synapses.added`."""
        return torch.addmm(total, values, self.weights.T if self.turned else self.weights)


class KernelSynapses(Synapses):
    """A kernel (extent..., channels, features) on images of `shape`, which may read sums of windows."""

    def __init__(
        self, kernel: AnyArray, convolution: Convolution, shape: tuple[int, ...], turned: bool, dtype: torch.dtype
    ) -> None:
        super().__init__(turned)
        windows, behind = convolution.behind_sums()
        axes, channels = len(convolution.kernel), convolution.channels(shape)
        wide = behind.widened(kernel)
        kernels = wide.reshape((1,) * (2 - axes) + wide.shape).transpose(3, 2, 0, 1)
        self.register_buffer("kernel", torch.tensor(np.ascontiguousarray(kernels), dtype=dtype))
        self.image = (*_two(shape[:axes], 1), channels)
        self.windows = _two(windows, 1)
        self.summed = tuple(n // window for n, window in zip(self.image, self.windows, strict=False))
        self.maps = (*_two(convolution.positions(shape), 1), kernel.shape[-1])
        self.stride = _two(behind.plain.stride, 1)
        padding = [(0, 0)] * (2 - axes) + list(behind.plain.padding)
        self.before = (padding[0][0], padding[1][0])
        self.padding = tuple(chain.from_iterable(reversed(padding)))  # last axis first, as torch has it

    def _up(self, values: Tensor) -> Tensor:
        (rows, columns), (height, width) = self.summed, self.windows
        images = values.view(len(values), rows, height, columns, width, self.image[2])
        summed = images.sum(dim=(2, 4)) if height * width > 1 else images[:, :, 0, :, 0]
        padded = pad(summed.permute(0, 3, 1, 2), self.padding)
        return conv2d(padded, self.get_buffer("kernel"), stride=self.stride).permute(0, 2, 3, 1).flatten(1)

    def _down(self, values: Tensor) -> Tensor:
        maps = values.view(len(values), *self.maps).permute(0, 3, 1, 2)
        padded = conv_transpose2d(maps, self.get_buffer("kernel"), stride=self.stride)
        (top, left), (rows, columns), (height, width) = self.before, self.summed, self.windows
        images = padded[:, :, top : top + rows, left : left + columns].permute(0, 2, 3, 1)
        return images.repeat_interleave(height, dim=1).repeat_interleave(width, dim=2).flatten(1)


def _two(values: Iterable[int], fill: int) -> tuple[int, int]:
    """Numbers along two axes; where there is one, `fill` stands before it."""
    *first, last = values
    return (first[0] if first else fill), last


def synapses_of(spec: NetworkSpec, projection: Projection, scale: float, dtype: torch.dtype) -> Synapses:
    """The synapses of a projection, weights times sign and `scale`."""
    original = spec.original_of(projection)
    assert original.weights is not None  # check_spec
    scaled, turned = original.weights * (scale * projection.sign), original is not projection
    if original.convolution is None:
        return DenseSynapses(scaled, turned, dtype)
    return KernelSynapses(scaled, original.convolution, spec.population(original.source).shape, turned, dtype)


def largest_input(spec: NetworkSpec, projection: Projection) -> AnyArray:
    """The largest |a| that payloads of the source can give each neuron of the target, of shape [M], float64.

    A bound where positions are pooled: weights of a window may cancel, their sizes are added up.
    """
    original = spec.original_of(projection)
    assert original.weights is not None  # check_spec
    sizes = np.abs(original.weights.astype(np.float64))
    limit = float(spec.population(projection.source).neuron.payload_limit << spec.shift_of(projection))
    turned, convolution = original is not projection, original.convolution
    if convolution is None:
        return np.asarray(limit * sizes.sum(axis=1 if turned else 0))
    shape = spec.population(original.source).shape
    every = torch.ones(1, spec.population(projection.source).size, dtype=torch.float64)
    found = KernelSynapses(sizes, convolution, shape, turned, torch.float64)(every)
    return np.asarray(limit * found[0].numpy())
