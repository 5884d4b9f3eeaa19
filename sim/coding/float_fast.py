"""The LCA of `sim.oracles.coding` on one CPU core, in float32, with work for active units only. Same steps, same stop
rule.

Codes equal those of `sim.oracles.coding.encode` in float32 but for the order of sums.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from neuro.base.arrays import Float32, Floats, Int64, Reals
from neuro.base.convolution import Convolution
from sim.backends.coding_kernels import LANES, Frame, Settling, lay_out_residual, move, relative_move, settle_dense
from sim.oracles.coding import Dynamics, Solution, check_signals, judged
from sim.oracles.operators import ConvolutionalOperator, DenseOperator

IMAGES_TOGETHER = 2  # of a convolutional coder: what fits into a core's own cache; they stop together

Found = tuple[Float32, Int64, Reals]  # codes [B, M], steps [B], residual [B]


def encode_fast(operator: DenseOperator | ConvolutionalOperator, signals: Tensor, dynamics: Dynamics) -> Solution:
    """Let the codes of a batch settle, from rest; each signal (a few images, if convolutional) stops by itself.

    Args:  signals of shape [B, N]. Computed in float32, whatever the types.
    Warns: NotConverged, with the number of signals.
    """
    check_signals(operator, signals)
    settling = _settling(dynamics)
    if isinstance(operator, DenseOperator):
        outcome = _settle_dense(operator.dictionary.numpy(), signals.numpy(), settling)
    else:
        outcome = ConvolutionalCoder(operator).settle(signals.numpy(), settling)
    codes, n_steps, residual = (torch.from_numpy(part) for part in outcome)
    return judged(operator, signals, codes.to(signals.dtype), n_steps, residual, dynamics)


def _settling(dynamics: Dynamics) -> Settling:
    return Settling(
        np.float32(dynamics.sparsity_threshold),
        np.float32(1 / dynamics.tau_steps),
        bool(dynamics.signed),
        bool(dynamics.hard),
        int(dynamics.max_steps),
        dynamics.window,
        -1.0 if dynamics.tolerance is None else float(dynamics.tolerance),
    )


def _padded_columns(array: Floats) -> Float32:
    """Zeros appended to the last axis up to a multiple of LANES."""
    width = -array.shape[-1] % LANES
    return np.ascontiguousarray(np.pad(array, ((0, 0), (0, width))), dtype=np.float32)


def _settle_dense(dictionary: Floats, signals: Floats, settling: Settling) -> Found:
    """Dictionary [N, K], signals [B, N]."""
    columns = _padded_columns(dictionary)
    gram, drive = columns.T @ columns, signals.astype(np.float32) @ columns
    n_units = gram.shape[0]
    codes, n_steps, residual = np.empty_like(drive), np.zeros(len(drive), np.int64), np.zeros(len(drive))
    state, before, lateral, value = (np.zeros(n_units + extra, np.float32) for extra in (0, 0, 0, 4))
    index = np.zeros(n_units + 4, np.int64)
    settle_dense(gram, drive, settling, codes, n_steps, residual, state, before, lateral, index, value)
    return np.ascontiguousarray(codes[:, : dictionary.shape[1]]), n_steps, residual


class ConvolutionalCoder:
    """Kernels laid out for the compiled coder, and its scratch space."""

    def __init__(self, operator: ConvolutionalOperator) -> None:
        convolution, shape = operator.convolution, operator.shape
        self.padding = [(0, 0), *convolution.padding, *(() if len(shape) == len(convolution.kernel) else ((0, 0),))]
        self.shape, self.channels = shape, convolution.channels(shape)
        kernel = operator.kernel.numpy().astype(np.float32)
        self.n_features = kernel.shape[-1]
        self.frame = _frame(convolution, shape)
        self.matrix = np.ascontiguousarray(kernel.reshape(-1, self.n_features))
        runs = self.matrix.T.reshape(self.n_features, self.frame.runs, self.frame.length)
        spare = ((0, 0), (0, 0), (0, self.frame.width - self.frame.length))
        self.atoms = _padded_columns(np.pad(runs, spare).reshape(self.n_features, -1))

    def settle(self, signals: Floats, settling: Settling) -> Found:
        """The codes, steps and residuals of signals of shape [B, N]."""
        starts = range(0, max(len(signals), 1), IMAGES_TOGETHER)
        parts = [self._settle(signals[first : first + IMAGES_TOGETHER], settling) for first in starts]
        codes, n_steps, residual = zip(*parts, strict=True)
        return np.concatenate(codes), np.concatenate(n_steps), np.concatenate(residual)

    def pull_of(self, signals: Floats) -> Callable[[Float32], Float32]:
        """The function from codes a [B, M] to D^T (x - D a) [B, M] of a few signals x [B, N], in scratch of its own."""
        images = np.pad(signals.reshape(len(signals), *self.shape).astype(np.float32), self.padding)
        images = images.reshape(len(signals), self.frame.inside.size)
        frame, n_taps, n_rows = self.frame, len(self.matrix), len(images) * len(self.frame.start)
        product = np.zeros((n_rows, self.n_features), np.float32)
        columns = np.zeros(n_rows * n_taps + frame.width, np.float32)
        rows = columns[: n_rows * n_taps].reshape(n_rows, n_taps)
        canvas, patch = np.zeros(images.shape[1] + frame.width, np.float32), np.zeros(self.atoms.shape[1], np.float32)
        index, value = np.zeros(self.n_features + 4, np.int64), np.zeros(self.n_features + 4, np.float32)

        def pull(codes: Float32) -> Float32:
            maps = codes.reshape(len(images), len(frame.start), self.n_features)
            lay_out_residual(images, maps, self.atoms, frame, canvas, patch, index, value, columns)
            np.matmul(rows, self.matrix, out=product)
            return product.reshape(codes.shape)

        return pull

    def _settle(self, signals: Floats, settling: Settling) -> Found:
        """A few signals at once."""
        pull, count = self.pull_of(signals), len(signals)
        codes = np.zeros((count, len(self.frame.start) * self.n_features), np.float32)
        state, before, residual = np.zeros_like(codes), np.zeros_like(codes), np.full(count, np.inf)
        flat_state, flat_codes, step = state.reshape(-1), codes.reshape(-1), 0
        for step in range(1, settling.max_steps + 1):
            move(pull(codes).reshape(-1), settling, flat_state, flat_codes)
            if step % settling.window == 0:
                residual[:] = [relative_move(s, b) for s, b in zip(state, before, strict=True)]
                if np.all(residual <= settling.tolerance):
                    break
        return codes, np.full(count, step), residual


def _frame(convolution: Convolution, shape: tuple[int, ...]) -> Frame:
    """Where the taps lie in a flat image that has its zero padding around it."""
    axes, channels = len(convolution.kernel), convolution.channels(shape)
    padded = [length + sum(around) for length, around in zip(shape[:axes], convolution.padding, strict=True)]
    bare = Convolution(convolution.kernel, convolution.stride, ((0, 0),) * axes)
    inside = np.pad(np.ones((*shape[:axes], channels), np.float32), [*convolution.padding, (0, 0)])
    length = convolution.kernel[-1] * channels
    return Frame(
        start=np.ascontiguousarray(bare.taps((*padded, channels))[:, 0]),
        run_stride=padded[-1] * channels,
        runs=convolution.kernel[0] if axes > 1 else 1,
        length=length,
        width=-(-length // (LANES // 2)) * (LANES // 2),
        inside=inside.reshape(-1),
    )
