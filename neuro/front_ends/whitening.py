"""What an encoder does to centred pixels before they become payloads: divisive normalisation, then whitening.

    divisive normalisation   y_i = x_i / sqrt(floor^2 + mean_j x_j^2)     the pool of a value is the whole image
    whitening (ZCA)          z = W y,  W = U (L + epsilon)^-1/2 U^T        U, L: eigenvectors, -values of cov(y)

Every sum is one of integers below 2**53, and what remains is one root, one product and one quotient, each of which IEEE
arithmetic rounds correctly: all machines, numpy and torch give the same integers.

Source: Heeger 1992, eq. 4, and Carandini & Heeger 2012, eq. 1 (exponent 2, equal weights of the pool); Bell & Sejnowski
1997 (zero-phase whitening); Olshausen & Field 1996 (whitened images before a sparse code). A regularised spectrum, and
contrast before whitening: Coates, Lee & Ng 2011.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from neuro.base.arrays import Int16, Integers, Reals
from neuro.base.checks import Range, require_integers
from neuro.base.errors import UserError
from neuro.base.fixed_point import quantize
from neuro.base.scales import exponent_for

FINE_BITS = 16  # pixels, and normalised values before whitening, are integers in units of 2**-FINE_BITS
WHITENING_BITS = 16
LARGEST_LIMIT = 2**15 - 1
MOST_VALUES, MOST_WHITENED = 2**18, 2**12  # values of an image: sums stay below 2**53; a matrix of 32 MB
FINEST_WHITENING = 40


@dataclass(frozen=True, eq=False)
class Transform:
    """Divisive normalisation and whitening of centred pixels, clipped to a stated payload.

    limit:         largest |payload|, integer; values beyond it are clipped.
    contrast_floor: floor of the divisor in units of 2**-FINE_BITS, integer, at most 1.0; 0: no normalisation. Images
                   whose root mean square lies well above it come out with a root mean square of 1, others fainter.
    whitening:     integers [N, N], symmetric, real values whitening * 2**-exponent; or None.
    exponent:      of `whitening`.
    """

    limit: int
    contrast_floor: int = 0
    whitening: Int16 | None = None
    exponent: int = 0

    def __post_init__(self) -> None:
        require_integers("transform", limit=self.limit, contrast_floor=self.contrast_floor, exponent=self.exponent)
        Range(1, LARGEST_LIMIT).require("transform", "change reach or bits", limit=self.limit)
        Range(0, 1 << FINE_BITS).require("transform", contrast_floor=self.contrast_floor)
        Range(0, FINEST_WHITENING).require("transform", exponent=self.exponent)
        matrix = self.whitening
        if matrix is None:
            if self.contrast_floor == 0:
                raise UserError("transform: neither normalises nor whitens; leave it out")
        elif matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.dtype != np.int16:
            raise UserError(f"transform: whitening {matrix.dtype} of shape {matrix.shape}; it takes int16 [N, N]")
        elif len(matrix) > MOST_WHITENED:
            raise UserError(
                f"transform: whitening of {len(matrix)} values, at most {MOST_WHITENED}; use smaller images"
            )
        elif not np.array_equal(matrix, matrix.T):
            raise UserError("transform: the whitening is not symmetric; learn it with whitened_on")

    def check_size(self, n_values: int) -> None:
        """Raise UserError unless images of `n_values` values fit."""
        if self.whitening is not None and len(self.whitening) != n_values:
            raise UserError(
                f"encoder: images hold {n_values} values, its whitening takes {len(self.whitening)}; "
                "use the data set it was trained on or resize the images"
            )
        if n_values > MOST_VALUES:
            raise UserError(f"encoder: images of {n_values} values, normalisation takes {MOST_VALUES}; resize them")

    def apply(self, pixels: Integers, activation_bits: int) -> Int16:
        """Payloads of shape [B, N], units 2**-activation_bits, of centred pixels [B, N], units 2**-FINE_BITS."""
        self.check_size(pixels.shape[1])
        values = pixels.astype(np.float64)
        if self.contrast_floor:
            bits = activation_bits if self.whitening is None else FINE_BITS
            values = normalised(values, self.contrast_floor, bits)
        if self.whitening is not None:
            unit = 2.0 ** (activation_bits - FINE_BITS - self.exponent)
            values = np.floor(values @ self.whitening.astype(np.float64) * unit + 0.5)
        return np.clip(values, -self.limit, self.limit).astype(np.int16)

    def undo(self, signals: Reals, pixels: Integers) -> Reals:
        """Centred pixels, real, of real signals [B, N]; the contrast, lost in them, is that of `pixels` [B, N].

        Least squares where the rounded whitening is singular: what a picture of a reconstruction needs.
        """
        if self.whitening is not None:
            signals = np.linalg.lstsq(self.whitening * 2.0**-self.exponent, signals.T, rcond=None)[0].T
        if self.contrast_floor:
            signals = signals * _divisors(pixels.astype(np.float64), self.contrast_floor) / _one(pixels.shape[1])
        return signals


def normalised(pixels: Reals, contrast_floor: int, bits: int) -> Reals:
    """Whole numbers of units 2**-bits: x / sqrt(floor^2 + mean x^2), rounded to nearest.

    Args: pixels x of shape [B, N], whole, and contrast_floor > 0, both in units of 2**-FINE_BITS.
    Both sides of the fraction carry sqrt(N), so that its radicand is a sum of integers.
    """
    scale = math.sqrt(pixels.shape[1]) * 2.0**bits
    return np.asarray(np.floor(pixels * scale / _divisors(pixels, contrast_floor) + 0.5))


def _divisors(pixels: Reals, contrast_floor: int) -> Reals:
    radicand = np.square(pixels).sum(axis=1, keepdims=True) + float(pixels.shape[1] * contrast_floor**2)
    return np.asarray(np.sqrt(radicand))


def _one(n_values: int) -> float:
    return math.sqrt(n_values) * 2.0**FINE_BITS


def floor_units(contrast_floor: float) -> int:
    """A real floor of the contrast, in (0, 1], in units of 2**-FINE_BITS. Raises: UserError outside."""
    if not 2.0**-FINE_BITS <= contrast_floor <= 1.0:
        raise UserError(f"encoder: contrast_floor {contrast_floor} outside (0, 1] (pixels lie in 0..1); try 0.05")
    return round(contrast_floor * 2.0**FINE_BITS)


def limit_of(reach: float, activation_bits: int) -> int:
    """The payload limit of values up to `reach`, real. Raises: UserError unless payloads can hold it."""
    if not (math.isfinite(reach) and 1 <= round(reach * 2.0**activation_bits) <= LARGEST_LIMIT):
        raise UserError(
            f"encoder: reach {reach} at {activation_bits} activation bits: payloads lie in 1..{LARGEST_LIMIT}; "
            "change the reach, or take fewer bits"
        )
    return round(reach * 2.0**activation_bits)


def whitening_of(
    chunks: Callable[[], Iterable[Integers]], contrast_floor: int, regulariser: float
) -> tuple[Int16, int]:
    """The whitening [N, N] of centred images and its exponent.

    chunks:      returns centred pixels of shape [B, N] in units of 2**-FINE_BITS, chunk by chunk.
    regulariser: epsilon as a share of the mean variance, > 0: directions of less variance are left faint.
    Covariances are sums of integers, the same on every machine; eigenvectors are rounded as the machine likes.
    """
    if not (math.isfinite(regulariser) and regulariser > 0):
        raise UserError(f"encoder: regulariser {regulariser}; whitening needs a positive one, 0.1 by default")
    count, total, products = 0, np.zeros(0), np.zeros((0, 0))
    for pixels in chunks():
        values = pixels.astype(np.float64)
        if contrast_floor:
            values = normalised(values, contrast_floor, FINE_BITS)
        if count == 0:
            _check_whitened(values.shape[1])
            total, products = np.zeros(values.shape[1]), np.zeros((values.shape[1],) * 2)
        count, total, products = count + len(values), total + values.sum(axis=0), products + values.T @ values
    if count < 2:
        raise UserError(f"encoder: whitening of {count} images; at least 2 have a covariance")
    covariance = (products - np.outer(total, total) / count) / (count * 4.0**FINE_BITS)
    variances, axes = np.linalg.eigh(covariance)
    if not variances.mean() > 0:
        raise UserError("encoder: whitening of images that are all the same; they have no covariance")
    root = 1.0 / np.sqrt(np.maximum(variances, 0.0) + regulariser * variances.mean())
    matrix = (axes * root) @ axes.T
    largest = 2 ** (WHITENING_BITS - 1) - 1
    exponent = exponent_for(float(np.abs(matrix).max()), largest, FINEST_WHITENING)
    return quantize((matrix + matrix.T) / 2, exponent, -largest, largest).astype(np.int16), exponent


def _check_whitened(n_values: int) -> None:
    if n_values > MOST_WHITENED:
        raise UserError(
            f"encoder: whitening images of {n_values} values, at most {MOST_WHITENED}; use smaller images, "
            "or normalise their contrast only"
        )
