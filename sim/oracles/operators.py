"""What a sparse coder needs of its dictionary, dense or convolutional: D^T x, D a, D^T D a, and the gradient of D.

Images and maps lie flat and channel last ([B, N] and [B, M]), as in `neuro.base.convolution`; torch's convolutions want
channels first, so this is the only file that knows of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad

from neuro.base.arrays import AnyArray
from neuro.base.convolution import Convolution
from neuro.base.errors import UserError


class Operator(Protocol):
    """A linear dictionary. N values in a signal, M units in a code."""

    n_values: int
    n_units: int

    def analyse(self, signals: Tensor) -> Tensor:
        """D^T x of shape [B, M] for signals of shape [B, N]."""

    def synthesise(self, codes: Tensor) -> Tensor:
        """D a of shape [B, N] for codes of shape [B, M]."""

    def overlap(self, codes: Tensor) -> Tensor:
        """D^T D a of shape [B, M] for codes of shape [B, M]."""

    def gradient(self, residuals: Tensor, codes: Tensor) -> Tensor:
        """The product residual x activity, mean over B, of the shape of the dictionary."""


class DenseOperator:
    """A dictionary of shape [N, K]. D^T D is stored if that costs fewer operations: K < 2 N."""

    def __init__(self, dictionary: AnyArray | Tensor, dtype: torch.dtype = torch.float64) -> None:
        self.dictionary = torch.as_tensor(dictionary, dtype=dtype)
        if self.dictionary.ndim != 2:
            raise UserError(f"dense dictionary: shape {tuple(self.dictionary.shape)}; needs [N, K]")
        self.n_values, self.n_units = self.dictionary.shape
        self.gram = self.dictionary.T @ self.dictionary if self.n_units < 2 * self.n_values else None

    def analyse(self, signals: Tensor) -> Tensor:
        """D^T x."""
        return signals @ self.dictionary

    def synthesise(self, codes: Tensor) -> Tensor:
        """D a."""
        return codes @ self.dictionary.T

    def overlap(self, codes: Tensor) -> Tensor:
        """D^T D a, through D^T D or through D a, whichever is cheaper."""
        return self.analyse(self.synthesise(codes)) if self.gram is None else codes @ self.gram

    def gradient(self, residuals: Tensor, codes: Tensor) -> Tensor:
        """The product (x - D a) a^T, mean over B, of shape [N, K]."""
        return residuals.T @ codes / len(codes)


@dataclass(frozen=True)
class _Frame:
    """Geometry in torch's terms; one axis counts as a second one of extent 1."""

    height: int
    width: int
    channels: int
    padding: tuple[int, int, int, int]  # left, right, top, bottom
    stride: tuple[int, int]
    positions: tuple[int, int]


def _frame(convolution: Convolution, shape: tuple[int, ...]) -> _Frame:
    lost = 2 - len(convolution.kernel)  # leading axes of extent 1
    height, width = (*(1,) * lost, *shape[: len(convolution.kernel)])
    top_bottom, left_right = [*[(0, 0)] * lost, *convolution.padding]
    stride = (*(1,) * lost, *convolution.stride)
    rows, columns = (*(1,) * lost, *convolution.positions(shape))
    channels = convolution.channels(shape)
    return _Frame(height, width, channels, (*left_right, *top_bottom), (stride[0], stride[1]), (rows, columns))


class ConvolutionalOperator:
    """Kernels of shape (extent..., channels, K) read at every position of images of `shape`.

    Equal to the dense dictionary `convolution.matrix(kernel, shape)`. D^T D a is a transposed convolution followed by a
    convolution: for 64 kernels of 7 x 7 x 3 with stride 2 a tenth of the operations of the explicit lateral kernel.
    """

    def __init__(
        self, kernel: AnyArray | Tensor, convolution: Convolution, shape: tuple[int, ...],
        dtype: torch.dtype = torch.float64,
    ) -> None:  # fmt: skip
        wanted = convolution.kernel_shape(shape, kernel.shape[-1])
        if tuple(kernel.shape) != wanted:
            raise UserError(f"convolutional dictionary: kernels of shape {tuple(kernel.shape)}, needs {wanted}")
        self.convolution, self.shape = convolution, shape
        self.kernel = torch.as_tensor(kernel, dtype=dtype)
        self.n_features = kernel.shape[-1]
        self.frame = _frame(convolution, shape)
        extents = (*(1,) * (2 - len(convolution.kernel)), *convolution.kernel)
        self.weight = self.kernel.reshape(*extents, self.frame.channels, -1).permute(3, 2, 0, 1).contiguous()
        self.n_values = int(np.prod(shape))
        self.n_units = self.frame.positions[0] * self.frame.positions[1] * self.n_features

    def analyse(self, signals: Tensor) -> Tensor:
        """D^T x."""
        maps = conv2d(self._padded(signals), self.weight, stride=self.frame.stride)
        return maps.permute(0, 2, 3, 1).reshape(len(signals), self.n_units)

    def synthesise(self, codes: Tensor) -> Tensor:
        """D a, without what falls on the padding."""
        frame = self.frame
        maps = codes.reshape(len(codes), *frame.positions, self.n_features).permute(0, 3, 1, 2)
        images = conv_transpose2d(maps, self.weight, stride=frame.stride)
        left, _, top, _ = frame.padding
        images = images[:, :, top : top + frame.height, left : left + frame.width]
        return images.permute(0, 2, 3, 1).reshape(len(codes), self.n_values)

    def overlap(self, codes: Tensor) -> Tensor:
        """D^T D a."""
        return self.analyse(self.synthesise(codes))

    def gradient(self, residuals: Tensor, codes: Tensor) -> Tensor:
        """The sum over positions of (what a position reads of the residual) x (its codes), mean over B."""
        taps = torch.as_tensor(self.convolution.taps(self.shape))
        padded = torch.cat([residuals, residuals.new_zeros(len(residuals), 1)], dim=1)
        patches = padded[:, taps].reshape(-1, taps.shape[1])  # OUTSIDE = -1 is the last value
        return (patches.T @ codes.reshape(len(patches), -1) / len(codes)).reshape(self.kernel.shape)

    def _padded(self, signals: Tensor) -> Tensor:
        frame = self.frame
        images = signals.reshape(len(signals), frame.height, frame.width, frame.channels).permute(0, 3, 1, 2)
        return pad(images, frame.padding)
