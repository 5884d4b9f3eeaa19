"""Geometry of convolutions: which pixel each tap of a kernel reads, at every position. Values lie channel last.

An image of shape (l[, c]) or (h, w[, c]) is read at positions a stride apart; a kernel of F features makes a map of
shape (positions..., F) of it. All backends and float coders take their indices from `taps`, so they agree on borders.

Pooling. With a `pool`, each window of so many neighbouring positions is summed into one; the divisor of an average is
part of the weights' unit. Both steps are linear: the two together are a plain convolution by the `widened` kernel

    wide_t = sum over d in the window of kernel_{t - d stride}          at positions a stride x pool apart

of which only the small kernel is stored and learned: a change of the wide one, `narrowed`, is its change.

Averages of what is read. A layer that reads windows of P neighbouring neurons, each summed into one, is the same with
taps P apart (a `dilation`) and a pool of P: the sum over d of kernel_a x_{P (p + a) + d} has both readings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from neuro.base.arrays import AnyArray, Int64
from neuro.base.checks import require_integers
from neuro.base.errors import UserError

OUTSIDE = -1  # the index of a tap that falls on the padding
MAX_AXES = 2
MAX_WINDOW = 256  # positions of a window; as many int8 weights add up in 16 bits


@dataclass(frozen=True)
class Convolution:
    """A kernel's extent, its stride, and the zero padding (before, after) along each of one or two axes.

    pool: positions along each axis that are summed into one; (): none are.
    dilation: distance of neighbouring taps along each axis; (): 1.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    pool: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        axes = len(self.kernel)
        for name in ("pool", "dilation"):
            if not getattr(self, name):
                object.__setattr__(self, name, (1,) * axes)
        if not 1 <= axes <= MAX_AXES or len(self.stride) != axes or len(self.padding) != axes:
            raise UserError(
                f"convolution: kernel {self.kernel}, stride {self.stride}, padding {self.padding}; give one number "
                "(padding: two) for each of one or two axes"
            )
        if len(self.dilation) != axes or min(self.dilation) < 1:
            raise UserError(f"convolution: dilation {self.dilation}; give a distance of at least 1 for {axes} axes")
        require_integers("convolution", **{f"dilation_{axis}": apart for axis, apart in enumerate(self.dilation)})
        for extent, stride, (before, after) in zip(self.reach, self.stride, self.padding, strict=True):
            require_integers("convolution", kernel=extent, stride=stride, padding_before=before, padding_after=after)
            if not (extent >= 1 and 1 <= stride <= extent and 0 <= min(before, after) and max(before, after) < extent):
                raise UserError(
                    f"convolution: kernel {extent}, stride {stride}, padding {(before, after)}; a stride lies in "
                    "1..kernel, a padding below the kernel"
                )
        if len(self.pool) != axes or min(self.pool) < 1:
            raise UserError(f"convolution: pool {self.pool}; give a window of at least 1 for each of {axes} axes")
        if math.prod(self.pool) > MAX_WINDOW:
            raise UserError(f"convolution: pool {self.pool} sums more than {MAX_WINDOW} positions; take a smaller one")
        require_integers("convolution", **{f"pool_{axis}": window for axis, window in enumerate(self.pool)})

    @property
    def pooled(self) -> bool:
        """Whether positions are summed."""
        return max(self.pool) > 1

    @property
    def reach(self) -> tuple[int, ...]:
        """The extent of the kernel along each axis, from its first tap to its last."""
        return tuple((extent - 1) * apart + 1 for extent, apart in zip(self.kernel, self.dilation, strict=True))

    @property
    def averaged(self) -> int:
        """The number of neurons read that stand for one: of windows as wide as taps are apart, if these are summed."""
        return math.prod(self.dilation)

    @property
    def widens(self) -> bool:
        """Whether the kernel of `plain` is another than the one that is stored."""
        return self.pooled or max(self.dilation) > 1

    @property
    def plain(self) -> Convolution:
        """The same map without pooling and dilation: the geometry of the widened kernel."""
        if not self.widens:
            return self
        each = list(zip(self.reach, self.stride, self.pool, strict=True))
        extents = tuple(extent + (window - 1) * stride for extent, stride, window in each)
        return Convolution(extents, tuple(stride * window for _, stride, window in each), self.padding)

    def behind_sums(self) -> tuple[tuple[int, ...], Convolution]:
        """The windows of neurons that may be summed first, and the convolution that then reads the sums.

        Where taps lie apart and windows as wide are summed; else windows of one neuron, and the convolution itself.
        """
        apart = self.dilation
        each = list(zip(apart, self.pool, self.stride, self.padding, strict=True))
        if not all(pool % d == 0 and before % d == 0 and after % d == 0 and (s == 1 or d == 1)
                   for d, pool, s, (before, after) in each):  # fmt: skip
            return (1,) * len(apart), self
        padding = tuple((before // d, after // d) for d, _, _, (before, after) in each)
        return apart, Convolution(self.kernel, self.stride, padding, tuple(pool // d for d, pool, *_ in each))

    def _windows(self) -> Iterator[tuple[slice, ...]]:
        """Where the kernel lies within the widened one, for each position of the window."""
        for window in product(*(range(count) for count in self.pool)):
            each = zip(window, self.stride, self.reach, self.dilation, strict=True)
            yield tuple(slice(at * stride, at * stride + reach, apart) for at, stride, reach, apart in each)

    def widened(self, kernel: AnyArray) -> AnyArray:
        """The kernel (extent..., channels, features) of `plain` that does what `kernel`, dilation and pooling do.

        Without these the kernel itself; else integers of 16 bits or more: they exceed 8 bits.
        """
        if not self.widens:
            return kernel
        kind = np.int16 if kernel.dtype == np.int8 else kernel.dtype
        return np.asarray(sum(self.copies(kernel.astype(kind))))

    def copies(self, kernel: AnyArray) -> Iterator[AnyArray]:
        """Yield kernels of `plain` that add up to the widened one: `kernel` at one place each, zero elsewhere."""
        for window in self._windows():
            wide = np.zeros((*self.plain.kernel, *kernel.shape[-2:]), dtype=kernel.dtype)
            wide[window] = kernel
            yield wide

    def narrowed(self, wide: AnyArray) -> AnyArray:
        """The transpose of `widened`: sums over the window, of shape (extent..., channels, features)."""
        if not self.widens:
            return wide
        return np.asarray(sum(wide[window] for window in self._windows()))

    def channels(self, shape: tuple[int, ...]) -> int:
        """The number of channels of images of `shape`: its last length, or 1 without a channel axis."""
        axes = len(self.kernel)
        if len(shape) not in (axes, axes + 1):
            raise UserError(f"convolution: images of shape {shape} for a kernel {self.kernel}; needs {axes} axes")
        return shape[axes] if len(shape) > axes else 1

    def positions(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The number of positions along each axis of images of `shape`.

        Raises: UserError if an image is smaller than the kernel, or the strides or windows do not tile it.
        """
        self.channels(shape)
        if self.pooled:
            return self._pooled_positions(shape)
        counts = []
        for length, extent, stride, (before, after) in zip(
            shape[: len(self.kernel)], self.reach, self.stride, self.padding, strict=True
        ):
            if length < extent:
                raise UserError(f"convolution: images of shape {shape} are smaller than the kernel {self.reach}")
            steps, rest = divmod(length + before + after - extent, stride)
            if rest:
                raise UserError(
                    f"convolution: kernel {extent} with stride {stride} and padding {(before, after)} does not tile a "
                    f"length of {length}, {rest} left over; {same_padding(length, extent, stride)} does"
                )
            counts.append(steps + 1)
        return tuple(counts)

    def _pooled_positions(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        counts = replace(self, pool=()).positions(shape)
        if any(count % window for count, window in zip(counts, self.pool, strict=True)):
            raise UserError(
                f"convolution: pool {self.pool} does not tile {counts} positions; take a window that divides them, "
                "or another padding or stride"
            )
        return tuple(count // window for count, window in zip(counts, self.pool, strict=True))

    def output_shape(self, shape: tuple[int, ...], features: int) -> tuple[int, ...]:
        """The shape of the feature maps of images of `shape`."""
        return (*self.positions(shape), features)

    def taps(self, shape: tuple[int, ...]) -> Int64:
        """The index of the value in a flat image that each tap reads, or OUTSIDE, of shape [positions, taps].

        Positions are in row-major order; taps in the order of a kernel of shape (extent..., channels), of the widened
        one if positions are pooled.
        """
        axes, channels, wide = len(self.kernel), self.channels(shape), self.plain
        starts = [
            np.arange(count) * stride - before
            for count, stride, (before, _) in zip(self.positions(shape), wide.stride, wide.padding, strict=True)
        ]
        index = np.empty((*map(len, starts), *wide.kernel, channels), dtype=np.int64)
        for position in product(*(range(len(start)) for start in starts)):
            index[position] = wide._window(shape, tuple(int(s[i]) for s, i in zip(starts, position, strict=True)))
        return index.reshape(int(np.prod(index.shape[:axes])), -1)

    def _window(self, shape: tuple[int, ...], corner: tuple[int, ...]) -> Int64:
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

    def matrix(self, kernel: AnyArray, shape: tuple[int, ...]) -> AnyArray:
        """The convolution as a dense matrix of shape [N_in, N_out], for images of `shape`.

        Args:    kernel of shape (extent..., channels, features).
        Returns: entries of the kernel's type; of that of `widened` if positions are pooled.
        """
        kernel = self.widened(kernel)
        taps, features = self.taps(shape), kernel.shape[-1]
        size = int(np.prod(shape))
        dense = np.zeros((size + 1, len(taps), features), dtype=kernel.dtype)  # one more row for the padding
        dense[taps, np.arange(len(taps))[:, None]] = kernel.reshape(-1, features)
        return dense[:size].reshape(size, -1)

    def kernel_change(self, change: AnyArray, shape: tuple[int, ...]) -> AnyArray:
        """The transpose of `matrix`: sums over the synapses that share a weight.

        Args:    change of shape [N_in, N_out], one number for each pair of neurons, for images of `shape`.
        Returns: of the kernel's shape (extent..., channels, features).
        """
        taps = self.taps(shape)
        padded = np.concatenate([change, np.zeros_like(change[:1])]).reshape(len(change) + 1, len(taps), -1)
        total = sum(padded[taps[position], position] for position in range(len(taps)))  # OUTSIDE is the last row
        return self.narrowed(np.asarray(total).reshape(*self.plain.kernel, self.channels(shape), -1))

    def kernel_shape(self, shape: tuple[int, ...], features: int) -> tuple[int, ...]:
        """The shape of a kernel for images of `shape`: (extent..., channels, features)."""
        return (*self.kernel, self.channels(shape), features)


def same_padding(length: int, extent: int, stride: int) -> tuple[int, int]:
    """The padding with which positions a stride apart tile `length`: ceil(length / stride) of them, centred."""
    total = max((-(-length // stride) - 1) * stride + extent - length, 0)
    return total - total // 2, total // 2


def square(
    shape: tuple[int, ...], extent: int, stride: int, same: bool, pool: int = 1, averaged: int = 1
) -> Convolution:
    """The convolution with a square kernel for images of `shape`, (l, ) or (h, w[, c]); padded, or not.

    averaged: of windows of so many neighbouring values along each axis, which are summed first.
    Raises: UserError if windows do not tile the images, or with a stride.
    """
    axes = min(len(shape), MAX_AXES)
    lengths = _windows_of(shape[:axes], averaged)
    if averaged > 1 and stride > 1:
        raise UserError(f"convolution: stride {stride} behind sums of {averaged} neurons; take stride 1 and a pool")
    padding = tuple(same_padding(length, extent, stride) if same else (0, 0) for length in lengths)
    if averaged > 1:
        padding = tuple((before * averaged, after * averaged) for before, after in padding)
    return Convolution((extent,) * axes, (stride,) * axes, padding, (pool * averaged,) * axes, (averaged,) * axes)


def whole(shape: tuple[int, ...], averaged: int) -> Convolution:
    """The convolution whose one position sees all of images of `shape`, (l, c) or (h, w, c), as sums of windows."""
    axes = len(shape) - 1
    lengths = _windows_of(shape[:axes], averaged)
    return Convolution(lengths, (1,) * axes, ((0, 0),) * axes, (averaged,) * axes, (averaged,) * axes)


def _windows_of(lengths: tuple[int, ...], averaged: int) -> tuple[int, ...]:
    if any(length % averaged for length in lengths):
        raise UserError(f"convolution: windows of {averaged} do not tile maps of {lengths}; take one that divides them")
    return tuple(length // averaged for length in lengths)
