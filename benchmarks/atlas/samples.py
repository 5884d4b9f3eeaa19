"""A figure of one seed with its spread over images, its difference from another of the same images, and intervals.

    interval of k seeds = mean +- sqrt((t s / sqrt(k))^2 + (z e)^2),   e^2 = mean of e_seed^2 / k

s: standard deviation over seeds, t: Student's quantile of k - 1 degrees; e_seed: standard error over images. Spread
over seeds holds some of that over images already: the interval is rather too wide. One seed has the second part alone.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from benchmarks.atlas.cells import Cell
from neuro.base.arrays import Bools, Reals
from neuro.base.metrics import Z_95
from neuro.base.resampling import resampling

LEVEL = 0.975
Interval = tuple[float, float]


class Sample(ABC):
    """A figure of one seed."""

    @property
    @abstractmethod
    def value(self) -> float:
        """On all images."""

    @property
    @abstractmethod
    def error(self) -> float:
        """Its standard error over images."""

    @abstractmethod
    def less(self, other: Any) -> tuple[float, float]:
        """Itself less another one of its kind, of the same images: the difference and its standard error."""


@dataclass(frozen=True, eq=False)
class Share(Sample):
    """The share of images that are right, of shape [n]."""

    right: Bools

    @property
    def value(self) -> float:
        """The share."""
        return float(self.right.mean())

    @property
    def error(self) -> float:
        """Of a binomial share, away from the ends by half an image."""
        n = len(self.right)
        kept = min(max(self.value, 0.5 / n), 1 - 0.5 / n)
        return math.sqrt(kept * (1 - kept) / n)

    def less(self, other: Share) -> tuple[float, float]:
        """Image by image."""
        apart: Reals = self.right.astype(np.float64) - other.right
        return float(apart.mean()), float(apart.std() / math.sqrt(len(apart)))


@dataclass(frozen=True, eq=False)
class Resampled(Sample):
    """A figure on all images once, then on resampled ones, of shape [1 + draws]."""

    values: Reals

    @property
    def value(self) -> float:
        """On all images once."""
        return float(self.values[0])

    @property
    def error(self) -> float:
        """The spread over resampled images."""
        return float(np.nanstd(self.values[1:]))

    def less(self, other: Resampled) -> tuple[float, float]:
        """On the same resampled images."""
        apart = Resampled(self.values - other.values)
        return apart.value, apart.error


@dataclass(frozen=True)
class Exact(Sample):
    """A count."""

    count: float

    @property
    def value(self) -> float:
        """The count."""
        return self.count

    @property
    def error(self) -> float:
        """None."""
        return 0.0

    def less(self, other: Exact) -> tuple[float, float]:
        """The difference, exact."""
        return self.value - other.value, 0.0


@functools.cache
def _weights(n: int) -> Reals:
    return np.concatenate([np.ones((1, n)), resampling(n)])


def corruption_error(right: Bools, reference: Bools) -> Resampled:
    """mCE: mean over kinds of errors over those of the reference, all severities of a kind together.

    right, reference of shape [kinds, severities, n]. Kinds of which the reference has no error are left out.
    """
    counted = ~reference.all(axis=(1, 2))
    weights = _weights(right.shape[2])
    above, below = (weights @ (1.0 - each[counted].mean(axis=1)).T for each in (right, reference))
    return Resampled((above / np.where(below > 0, below, np.nan)).mean(axis=1))


def sample_of(cell: Cell, column: str, reference: Cell | None) -> Sample:
    """The sample in a cell that has a value. reference: the cell of the row that errors are related to."""
    if column == "mce":
        assert reference is not None
        return corruption_error(cell.answers, reference.answers)
    if cell.right:
        return Share(cell.answers)
    assert cell.value is not None
    return Exact(cell.value)


def interval_over(values: Sequence[float], errors: Sequence[float]) -> Interval:
    """The 95 % interval of a mean over seeds, see above."""
    k, mean = len(values), float(np.mean(values))
    over_images = Z_95 * math.sqrt(float(np.mean(np.square(errors))) / k)
    over_seeds = 0.0
    if k > 1:
        over_seeds = float(student.ppf(LEVEL, k - 1)) * float(np.std(values, ddof=1)) / math.sqrt(k)
    half = math.hypot(over_images, over_seeds)
    return mean - half, mean + half


def difference(first: Sequence[Sample], second: Sequence[Sample]) -> tuple[float, Interval]:
    """The mean difference of paired samples, seed by seed, and its interval."""
    pairs = [one.less(other) for one, other in zip(first, second, strict=True)]
    values = [value for value, _ in pairs]
    return float(np.mean(values)), interval_over(values, [error for _, error in pairs])
