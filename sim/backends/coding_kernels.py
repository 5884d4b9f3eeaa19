"""Compiled float32 kernels of the LCA that work on active units only (10 to 20 % of a sparse code).

Dense: every signal settles by itself; its lateral input is a sum of rows of D^T D, one per active unit. Convolutional:
the residual x - D a is built from active units and laid out by position, so that D^T (x - D a) is one matrix product
(made by the caller, who has a good one); then all states move.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from neuro.base.arrays import Float32, Int64, Reals
from sim.backends.jit import float_inlined, float_jit
from sim.backends.primitives import copy

LANES = 16  # values that one vector instruction holds; rows are padded to a multiple of it


class Settling(NamedTuple):
    """Numbers of `sim.oracles.coding.Dynamics`, in the form compiled code takes."""

    threshold: np.float32
    rate: np.float32  # 1 / tau_steps
    signed: bool
    hard: bool
    max_steps: int
    window: int
    tolerance: float  # negative: exactly max_steps


class Frame(NamedTuple):
    """Where the taps of a convolution lie in a padded flat image: `runs` of consecutive values per position."""

    start: Int64  # [positions] first value that a position reads
    run_stride: int  # from one run to the next
    runs: int
    length: int  # values in a run
    width: int  # length, rounded up to half a vector
    inside: Float32  # [padded values] 1 within the image, 0 on its padding


@float_inlined
def _code(state: np.float32, threshold: np.float32, signed: bool, hard: bool) -> np.float32:
    """The code T(u)."""
    size = abs(state) if signed else state
    above = size - threshold
    if above <= np.float32(0.0):
        return np.float32(0.0)
    if hard:
        return state
    return np.float32(math.copysign(above, state))


@float_inlined
def _clear(values: Float32) -> None:
    for j in range(values.shape[0]):
        values[j] = np.float32(0.0)


@float_inlined
def _compact(code: Float32, index: Int64, value: Float32) -> int:
    """List the non-zero codes: index, value; padded with zeros to a multiple of 4. Returns how many.

    No branch per unit: which are active cannot be predicted. The lists need 4 entries more than there are codes.
    """
    count = 0
    for k in range(code.shape[0]):
        index[count] = k
        value[count] = code[k]
        count += code[k] != np.float32(0.0)
    rest = (-count) & 3
    for k in range(rest):
        index[count + k] = 0
        value[count + k] = np.float32(0.0)
    return count + rest


@float_inlined
def _add_rows(total: Float32, rows: Float32, index: Int64, value: Float32, count: int) -> None:
    """Add to total the sum of value * rows[index], eight or four rows at a time; count is a multiple of 4."""
    done = 0
    while done + 8 <= count:
        v0, v1, v2, v3 = value[done], value[done + 1], value[done + 2], value[done + 3]
        v4, v5, v6, v7 = value[done + 4], value[done + 5], value[done + 6], value[done + 7]
        r0, r1, r2, r3 = rows[index[done]], rows[index[done + 1]], rows[index[done + 2]], rows[index[done + 3]]
        r4, r5, r6, r7 = rows[index[done + 4]], rows[index[done + 5]], rows[index[done + 6]], rows[index[done + 7]]
        for j in range(total.shape[0]):
            first = (v0 * r0[j] + v1 * r1[j]) + (v2 * r2[j] + v3 * r3[j])
            total[j] += first + ((v4 * r4[j] + v5 * r5[j]) + (v6 * r6[j] + v7 * r7[j]))
        done += 8
    if done < count:
        v0, v1, v2, v3 = value[done], value[done + 1], value[done + 2], value[done + 3]
        r0, r1, r2, r3 = rows[index[done]], rows[index[done + 1]], rows[index[done + 2]], rows[index[done + 3]]
        for j in range(total.shape[0]):
            total[j] += (v0 * r0[j] + v1 * r1[j]) + (v2 * r2[j] + v3 * r3[j])


@float_jit
def relative_move(state: Float32, before: Float32) -> float:
    """|u - u_before| / |u|, and remember u. Sums in double precision."""
    moved, size = np.float64(0.0), np.float64(0.0)
    for k in range(state.shape[0]):
        change = np.float64(state[k] - before[k])
        moved += change * change
        size += np.float64(state[k]) * np.float64(state[k])
        before[k] = state[k]
    return math.sqrt(moved / max(size, np.float64(1e-60)))


@float_jit
def settle_dense(
    gram: Float32, drive: Float32, settling: Settling, codes: Float32, n_steps: Int64, residual: Reals, state: Float32,
    before: Float32, lateral: Float32, index: Int64, value: Float32,
) -> None:  # fmt: skip
    """Let the codes of every signal settle from rest.

    gram of shape [K, K]; drive = D^T x and codes (written) of shape [B, K]; n_steps, residual [B]: written; state,
    before, lateral [K], index and value [K + 4]: scratch.
    """
    for image in range(drive.shape[0]):
        b, code = drive[image], codes[image]
        _clear(state)
        _clear(before)
        _clear(code)
        residual[image] = np.inf
        step = 0
        while step < settling.max_steps:
            step += 1
            _clear(lateral)
            count = _compact(code, index, value)
            _add_rows(lateral, gram, index, value, count)
            for k in range(state.shape[0]):
                state[k] += settling.rate * (b[k] - lateral[k] + code[k] - state[k])
            for k in range(state.shape[0]):
                code[k] = _code(state[k], settling.threshold, settling.signed, settling.hard)
            if step % settling.window == 0:
                residual[image] = relative_move(state, before)
                if residual[image] <= settling.tolerance:
                    break
        n_steps[image] = step


@float_inlined
def _subtract_patch(residual: Float32, patch: Float32, first: np.uintp, frame: Frame) -> None:
    """Subtract a patch where a position reads, whose first value is `first`. Unsigned indices count from the front."""
    at = np.uintp(0)
    for _ in range(frame.runs):
        for j in range(np.uintp(frame.width)):
            residual[first + j] -= patch[at + j]
        first += np.uintp(frame.run_stride)
        at += np.uintp(frame.width)


@float_inlined
def _read_patch(residual: Float32, columns: Float32, first: np.uintp, row: np.uintp, frame: Frame) -> np.uintp:
    """Write to columns what a position reads, from `row` on. What exceeds a run is overwritten by the next one."""
    for _ in range(frame.runs):
        for j in range(np.uintp(frame.width)):
            columns[row + j] = residual[first + j]
        first += np.uintp(frame.run_stride)
        row += np.uintp(frame.length)
    return row


@float_jit
def lay_out_residual(
    images: Float32, codes: Float32, atoms: Float32, frame: Frame, residual: Float32, patch: Float32, index: Int64,
    value: Float32, columns: Float32,
) -> None:  # fmt: skip
    """Write to columns what each position reads of the residual x - D a, position by position, image by image.

    images of shape [B, padded values]; codes [B, positions, K]; atoms [K, taps], every run padded with zeros to
    frame.width, and the whole to a multiple of LANES; columns [B * positions * runs * length + width], written;
    residual [padded values + width], patch [taps], index and value [K + 4]: scratch.
    """
    row = np.uintp(0)
    for image in range(images.shape[0]):
        copy(images[image], residual)
        for position in range(frame.start.shape[0]):
            count = _compact(codes[image, position], index, value)
            if count:
                _clear(patch)
                _add_rows(patch, atoms, index, value, count)
                _subtract_patch(residual, patch, np.uintp(frame.start[position]), frame)
        for j in range(frame.inside.shape[0]):
            residual[j] *= frame.inside[j]
        for position in range(frame.start.shape[0]):
            row = _read_patch(residual, columns, np.uintp(frame.start[position]), row, frame)


@float_jit
def move(pull: Float32, settling: Settling, state: Float32, code: Float32) -> None:
    """Move every state: u += (pull + a - u) / tau, a = T(u), where pull = D^T (x - D a). Flat arrays."""
    for k in range(state.shape[0]):
        state[k] += settling.rate * (pull[k] + code[k] - state[k])
        code[k] = _code(state[k], settling.threshold, settling.signed, settling.hard)
