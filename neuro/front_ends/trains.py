"""Spike trains that present an image to a stock network."""

from __future__ import annotations

import numpy as np

from neuro.base.arrays import Int64, Integers, Reals, Trains
from neuro.base.errors import UserError
from neuro.base.fixed_point import quantize

GOLDEN = (5**0.5 - 1) / 2  # phases that spread evenly


def spread_starts(size: int, period: int) -> Int64:
    """Where the running sums of `size` pixels start in 0..period - 1, of shape [size]: well spread (golden ratio)."""
    return np.asarray(np.arange(size) * 0x9E3779B1 % 2**32 * period >> 32, dtype=np.int64)


def pixel_trains(payloads: Integers, steps: int, spacing: int, one: int) -> Trains:
    """Regular spike trains of shape [B, steps, N + 1] for payloads of shape [B, N], 0..one; the bias unit last.

    A pixel of payload p spikes whenever its running sum of p passes a multiple of spacing * one; the sums start spread
    over the pixels, so that they do not all spike at once.
    """
    values = np.concatenate([payloads, np.full((len(payloads), 1), one)], axis=1)
    period = spacing * one
    start = spread_starts(values.shape[1], period)
    # It passed a multiple in step t if what is left of start + p t is below p. Sums of 8 bits wrap at 256, a
    # multiple of most periods, and are many times faster.
    kind = np.uint8 if period < 256 and 256 % period == 0 else np.int64
    ramp = np.arange(1, steps + 1).astype(kind)[:, None]
    rest = start.astype(kind) + values.astype(kind)[:, None, :] * ramp
    return np.asarray((rest % kind(period)) < values.astype(kind)[:, None, :]).astype(np.int8)


def present_spikes(signals: Reals, steps: int, input_bits: int) -> Integers:
    """Inputs of shape [B, steps, N]: the payload round(x * 2**input_bits) at every step, or for input_bits 0
    binary spikes in a share x of the steps, evenly spread, every pixel at a phase of its own.

    Raises: UserError if a signal is outside -1..1, or outside 0..1 for binary spikes.
    """
    lowest = 0.0 if input_bits == 0 else -1.0
    if signals.size and not lowest <= signals.min() <= signals.max() <= 1.0:
        raise UserError(
            f"signals from {signals.min():.4g} to {signals.max():.4g}: spikes of input_bits {input_bits} hold "
            f"{lowest:g}..1; scale them, or set input_bits None (biases)"
        )
    if input_bits:
        payloads = quantize(signals, input_bits, -(1 << input_bits), 1 << input_bits)
        return np.repeat(payloads[:, None].astype(np.int32), steps, axis=1)
    phases = (np.arange(signals.shape[1]) * GOLDEN) % 1.0
    counts = np.floor(np.arange(steps + 1)[None, :, None] * signals[:, None] + phases)
    return np.diff(counts, axis=1).astype(np.int32)
