"""Geometry of convolutions: which pixel each tap of a kernel reads, at every position. Values lie channel last.

An image of shape (l[, c]) or (h, w[, c]) is read at positions a stride apart; a kernel of F features makes a map of
shape (positions..., F) of it. All backends and float coders take their indices from `taps`, so they agree on borders.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from neuro.errors import UserError, require_integers

OUTSIDE = -1  # the index of a tap that falls on the padding
MAX_AXES = 2


@dataclass(frozen=True)
class Convolution:
    """A kernel's extent, its stride, and the zero padding (before, after) along each of one or two axes."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        axes = len(self.kernel)
        if not 1 <= axes <= MAX_AXES or len(self.stride) != axes or len(self.padding) != axes:
            raise UserError(
                f"convolution: kernel {self.kernel}, stride {self.stride}, padding {self.padding}; give one number "
                "(padding: two) for each of one or two axes"
            )
        for extent, stride, (before, after) in zip(self.kernel, self.stride, self.padding, strict=True):
            require_integers("convolution", kernel=extent, stride=stride, padding_before=before, padding_after=after)
            if not (extent >= 1 and 1 <= stride <= extent and 0 <= min(before, after) and max(before, after) < extent):
                raise UserError(
                    f"convolution: kernel {extent}, stride {stride}, padding {(before, after)}; a stride lies in "
                    "1..kernel, a padding below the kernel"
                )

    def channels(self, shape: tuple[int, ...]) -> int:
        """Return the number of channels of images of `shape`: its last length, or 1 without a channel axis."""
        axes = len(self.kernel)
        if len(shape) not in (axes, axes + 1):
            raise UserError(f"convolution: images of shape {shape} for a kernel {self.kernel}; needs {axes} axes")
        return shape[axes] if len(shape) > axes else 1

    def positions(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the number of positions along each axis of images of `shape`.

        Raises: UserError if an image is smaller than the kernel, or the strides do not tile it.
        """
        self.channels(shape)
        counts = []
        for length, extent, stride, (before, after) in zip(
            shape[: len(self.kernel)], self.kernel, self.stride, self.padding, strict=True
        ):
            if length < extent:
                raise UserError(f"convolution: images of shape {shape} are smaller than the kernel {self.kernel}")
            steps, rest = divmod(length + before + after - extent, stride)
            if rest:
                raise UserError(
                    f"convolution: kernel {extent} with stride {stride} and padding {(before, after)} does not tile a "
                    f"length of {length}, {rest} left over; {same_padding(length, extent, stride)} does"
                )
            counts.append(steps + 1)
        return tuple(counts)

    def output_shape(self, shape: tuple[int, ...], features: int) -> tuple[int, ...]:
        """Return the shape of the feature maps of images of `shape`."""
        return (*self.positions(shape), features)

    def taps(self, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
        """Return, of shape [positions, taps], the index of the value in a flat image that each tap reads, or OUTSIDE.

        Positions are in row-major order; taps in the order of a kernel of shape (extent..., channels).
        """
        axes, channels = len(self.kernel), self.channels(shape)
        starts = [
            np.arange(count) * stride - before
            for count, stride, (before, _) in zip(self.positions(shape), self.stride, self.padding, strict=True)
        ]
        index = np.empty((*map(len, starts), *self.kernel, channels), dtype=np.int64)
        for position in product(*(range(len(start)) for start in starts)):
            index[position] = self._window(shape, tuple(int(s[i]) for s, i in zip(starts, position, strict=True)))
        return index.reshape(int(np.prod(index.shape[:axes])), -1)

    def _window(self, shape: tuple[int, ...], corner: tuple[int, ...]) -> npt.NDArray[np.int64]:
        """Indices read by a kernel whose first tap lies at `corner`, of shape (extent..., channels)."""
        axes, channels = len(self.kernel), self.channels(shape)
        flat = np.zeros(self.kernel, dtype=np.int64)
        inside = np.ones(self.kernel, dtype=np.bool_)
        for axis, (extent, first) in enumerate(zip(self.kernel, corner, strict=True)):
            at = np.arange(first, first + extent).reshape([-1 if a == axis else 1 for a in range(axes)])
            flat = flat * shape[axis] + at
            inside = inside & (at >= 0) & (at < shape[axis])
        window = flat[..., None] * channels + np.arange(channels)
        return np.where(inside[..., None], window, OUTSIDE)

    def matrix(self, kernel: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """Return the convolution as a dense matrix of shape [N_in, N_out], for images of `shape`, of the kernel's type.

        Args: kernel of shape (extent..., channels, features).
        """
        taps, features = self.taps(shape), kernel.shape[-1]
        size = int(np.prod(shape))
        dense = np.zeros((size + 1, len(taps), features), dtype=kernel.dtype)  # one more row for the padding
        dense[taps, np.arange(len(taps))[:, None]] = kernel.reshape(-1, features)
        return dense[:size].reshape(size, -1)

    def kernel_shape(self, shape: tuple[int, ...], features: int) -> tuple[int, ...]:
        """Return the shape of a kernel for images of `shape`: (extent..., channels, features)."""
        return (*self.kernel, self.channels(shape), features)


def same_padding(length: int, extent: int, stride: int) -> tuple[int, int]:
    """Return the padding with which positions a stride apart tile `length`: ceil(length / stride) of them, centred."""
    total = max((-(-length // stride) - 1) * stride + extent - length, 0)
    return total - total // 2, total // 2


def square(shape: tuple[int, ...], extent: int, stride: int, same: bool) -> Convolution:
    """Return the convolution with a square kernel for images of `shape`, (l, ) or (h, w[, c]); padded, or not."""
    axes = min(len(shape), MAX_AXES)
    padding = tuple(same_padding(length, extent, stride) if same else (0, 0) for length in shape[:axes])
    return Convolution((extent,) * axes, (stride,) * axes, padding)
