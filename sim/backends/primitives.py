"""Compiled inner loops over arrays of neurons and rows of weights; written so that they become vector instructions."""

from __future__ import annotations

import numpy as np

from neuro.base.arrays import AnyArray, Int8, Int16, Int32
from sim.backends.jit import called, inlined

LANES = 16  # 32-bit numbers in a vector register

NARROW_PAYLOAD = 31  # 8 * 31 * 128 < 2**15
NARROW_ROW = 64  # shorter rows gain nothing


@inlined
def copy(values: AnyArray, into: AnyArray) -> None:
    """into[:] = values. (Slice assignment would allocate a temporary.)"""
    for j in range(values.shape[0]):
        into[j] = values[j]


@inlined
def shifted(value: np.int32, bits: int | np.int32) -> np.int32:
    """Value >> bits, int32, for 0 <= bits < 32. Without the mask the compiler would compute in 64 bits."""
    return np.int32(value >> np.int32(bits & 31))


@inlined
def gather(neuron: Int32, payload: Int32) -> int:
    """Move the non-zero payloads to the front and list whose they are; returns how many.

    No branch per neuron (spikes are unpredictable); blocks in which nobody sent are skipped. The length is a multiple
    of LANES.
    """
    count = 0
    for first in range(0, payload.shape[0], LANES):
        sent = np.int32(0)
        for j in range(LANES):
            sent = np.int32(sent | payload[first + j])
        if sent != 0:
            for j in range(first, first + LANES):
                neuron[count] = j
                count += payload[j] != 0
    for k in range(count):
        payload[k] = payload[neuron[k]]
    return count


@inlined
def fits_narrow(payload: Int32) -> np.bool_:
    """Whether every |payload| <= NARROW_PAYLOAD, so that eight products with int8 weights add up in 16 bits."""
    magnitudes = np.int32(0)
    for k in range(payload.shape[0]):
        magnitudes |= np.int32(payload[k] ^ np.int32(payload[k] >> 31))
    return magnitudes <= NARROW_PAYLOAD


@called
def accumulate(
    a: Int32, narrow: Int16, weights: Int8, block: int, neuron: Int32, payload: Int32, count: int, scale: np.int32
) -> None:
    """a_j += sum over events of payload * scale * W[neuron, j], eight rows at a time. Rows have the length of a.

    With a `narrow` buffer as long as `a` the eight products are added in 16 bits, twice as fast; else it has length 0.
    Slices, not weights[b + j], and few casts: only so the inner loops become vector instructions.
    """
    n_post, done = a.shape[0], 0
    while done + 8 <= count:
        p0, p1, p2, p3 = payload[done], payload[done + 1], payload[done + 2], payload[done + 3]
        p4, p5, p6, p7 = payload[done + 4], payload[done + 5], payload[done + 6], payload[done + 7]
        b0, b1 = block + neuron[done] * n_post, block + neuron[done + 1] * n_post
        b2, b3 = block + neuron[done + 2] * n_post, block + neuron[done + 3] * n_post
        b4, b5 = block + neuron[done + 4] * n_post, block + neuron[done + 5] * n_post
        b6, b7 = block + neuron[done + 6] * n_post, block + neuron[done + 7] * n_post
        r0, r1, r2 = weights[b0 : b0 + n_post], weights[b1 : b1 + n_post], weights[b2 : b2 + n_post]
        r3, r4, r5 = weights[b3 : b3 + n_post], weights[b4 : b4 + n_post], weights[b5 : b5 + n_post]
        r6, r7 = weights[b6 : b6 + n_post], weights[b7 : b7 + n_post]
        if narrow.shape[0] > 0:
            for j in range(n_post):
                narrow[j] = np.int16(
                    p0 * np.int32(r0[j]) + p1 * np.int32(r1[j]) + p2 * np.int32(r2[j]) + p3 * np.int32(r3[j])
                    + p4 * np.int32(r4[j]) + p5 * np.int32(r5[j]) + p6 * np.int32(r6[j]) + p7 * np.int32(r7[j])
                )  # fmt: skip
            for j in range(n_post):
                a[j] += np.int32(scale * np.int32(narrow[j]))
        else:
            for j in range(n_post):
                total = np.int32(
                    p0 * np.int32(r0[j]) + p1 * np.int32(r1[j]) + p2 * np.int32(r2[j]) + p3 * np.int32(r3[j])
                    + p4 * np.int32(r4[j]) + p5 * np.int32(r5[j]) + p6 * np.int32(r6[j]) + p7 * np.int32(r7[j])
                )  # fmt: skip
                a[j] += np.int32(scale * total)
        done += 8
    while done < count:
        p0, b0 = np.int32(payload[done] * scale), block + neuron[done] * n_post
        r0 = weights[b0 : b0 + n_post]
        for j in range(n_post):
            a[j] += np.int32(p0 * np.int32(r0[j]))
        done += 1
