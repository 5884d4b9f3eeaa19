"""Gaussian noise as a function of counters: equal, bit for bit, whatever the order, the batch or the machine.

Row r of a stream takes ceil(n / 8) counters of Philox4x64-10 under the key (seed, stream); each half w of their words,
the lower one first, becomes the quantile of the standard normal distribution at (w + 1/2) / 2^32, within -+6.2.

Only operations that IEEE 754 rounds correctly are used (+, -, *, /, sqrt, bits), never the logarithm of a library,
whose last bit depends on the machine. numpy keeps the words of Philox as they are (its NEP 19); normal numbers it does
not. Sources: Salmon et al. 2011 (Philox); Wichura 1988, algorithm AS 241 (quantiles, relative error about 1e-16).
"""

from __future__ import annotations

import math

import numpy as np

from neuro.base.arrays import Reals, UInt32

HALVES = 8  # of words that a counter gives
CENTRE, SPLIT = 0.180625, 1.6  # of AS 241: largest (u - 1/2)^2 of the inner region; what sqrt(-log u) is taken from
VALUES = 50_000  # at a time: what is computed stays in the cache
# Coefficients of AS 241, from the highest power down: numerators and denominators by region.
INNER = (
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
     1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0),
    (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
     5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0),
)  # fmt: skip
MIDDLE = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
     3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
     6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0),
)  # fmt: skip
LOG_TWO = 0.6931471805599453
ROOT_HALF = int(np.float64(math.sqrt(0.5)).view(np.int64))  # as bits
SERIES = tuple(2.0 / (2 * k + 1) for k in reversed(range(11)))  # of log((1 + s) / (1 - s)); the next is below 1e-17


def standard_normal(seed: int, stream: int, first: int, count: int, width: int) -> Reals:
    """Rows first .. first + count - 1 of a stream of independent standard normal numbers, of shape [count, width].

    Args:   seed in 0..2**63 - 1; stream in 0..2**64 - 1: streams of one seed are independent; first: a row from 0.
    """
    counters = -(-width // HALVES)
    halves = _halves(seed, stream, first * counters, count * counters).reshape(count, -1)[:, :width]
    rows, step = np.empty((count, width)), max(1, VALUES // max(width, 1))
    for start in range(0, count, step):
        rows[start : start + step] = quantiles(_shares(halves[start : start + step]))
    return rows


def uniform(seed: int, stream: int, counter: int, n: int) -> Reals:
    """Independent numbers, uniform in (0, 1), of shape [n], from a counter of a stream on; HALVES a counter."""
    return _shares(_halves(seed, stream, counter, -(-n // HALVES))[:n])


def _shares(halves: UInt32) -> Reals:
    shares: Reals = halves.astype(np.float64)
    shares += 0.5
    shares *= 2.0**-32
    return shares


def _halves(seed: int, stream: int, counter: int, counters: int) -> UInt32:
    generator = np.random.Philox(key=np.array([seed, stream], dtype=np.uint64), counter=counter)
    return generator.random_raw(counters * HALVES // 2).astype("<u8", copy=False).view("<u4")


def quantiles(shares: Reals) -> Reals:
    """The quantiles of the standard normal distribution at shares in (1e-11, 1 - 1e-11)."""
    away = shares - 0.5
    inner = away * away
    np.subtract(CENTRE, inner, out=inner)
    found = _ratio(inner, INNER)
    found *= away
    flat, tail = found.reshape(-1), np.flatnonzero(inner < 0.0)
    signed = away.reshape(-1)[tail]
    size = _tail(0.5 - np.abs(signed))
    flat[tail] = np.copysign(size, signed, out=size)
    return found


def _tail(shares: Reals) -> Reals:
    """The size of the quantiles at shares in (1e-11, 0.075]."""
    root = np.sqrt(-logarithm(shares))
    return _ratio(root - SPLIT, MIDDLE)


def _ratio(x: Reals, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> Reals:
    """A quotient of two polynomials, by Horner's rule."""
    above, below = (_polynomial(x, powers) for powers in coefficients)
    above /= below
    return above


def _polynomial(x: Reals, powers: tuple[float, ...]) -> Reals:
    value = x * powers[0]
    for coefficient in powers[1:-1]:
        value += coefficient
        value *= x
    value += powers[-1]
    return value


def logarithm(x: Reals) -> Reals:
    """The natural logarithm of normal positive numbers, the same on every machine.

    log x = e log 2 + 2 (s + s^3/3 + s^5/5 + ..),    x = m 2^e, m in sqrt(1/2) .. sqrt(2), s = (m - 1) / (m + 1)
    """
    bits = x.view(np.int64) - ROOT_HALF
    exponent = bits >> 52
    mantissa = (x.view(np.int64) - (exponent << 52)).view(np.float64)
    ratio: Reals = (mantissa - 1.0) / (mantissa + 1.0)
    series = _polynomial(ratio * ratio, SERIES)
    series *= ratio
    series += exponent * LOG_TWO
    return series
