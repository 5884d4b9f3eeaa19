"""Accuracy with its interval, and counts of what a run cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neuro.base.arrays import Int64, Integers, Reals
from neuro.base.errors import UserError

Z_95 = 1.959963984540054  # normal quantile of a two-sided 95 % interval


@dataclass(frozen=True)
class Accuracy:
    """A measured share of correct predictions, with its 95 % Wilson score interval.

    Source: Wilson 1927; the interval stays within [0, 1] and is sound for shares near 1.
    """

    n_correct: int
    n: int

    def __post_init__(self) -> None:
        if not 0 <= self.n_correct <= self.n:
            raise UserError(f"accuracy: {self.n_correct} correct of {self.n}; from none to all can be")

    @property
    def value(self) -> float:
        """n_correct / n; NaN if n is 0."""
        return self.n_correct / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end of the 95 % interval."""
        if not self.n:
            return (0.0, 1.0)
        share, z2 = self.value, Z_95**2
        centre = (share + z2 / (2 * self.n)) / (1 + z2 / self.n)
        half = Z_95 / (1 + z2 / self.n) * math.sqrt(share * (1 - share) / self.n + z2 / (4 * self.n**2))
        return (max(0.0, centre - half), min(1.0, centre + half))

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.4f} [{low:.4f}, {high:.4f}] (n = {self.n})"

    def describe(self) -> str:
        """The accuracy with its interval and n, in words."""
        low, high = self.interval
        return f"{self.value:.4f}  (95 % interval {low:.4f} to {high:.4f}, n = {self.n})"


def accuracy(predictions: Integers, labels: Integers) -> Accuracy:
    """The accuracy of `predictions` against `labels`, both of shape [B]."""
    return Accuracy(int(np.count_nonzero(predictions == labels)), len(labels))


def clearly_better(share: float, other: float, n: int) -> bool:
    """Whether `share` is better than `other`, of n images each, by more than two standard errors."""
    kept = min(max(other, 0.5 / n), 1 - 0.5 / n)
    return share - other > 2 * math.sqrt(kept * (1 - kept) / n)


def confusion_matrix(predictions: Integers, labels: Integers, n_classes: int) -> Int64:
    """Counts of shape [K, K]: row = true class, column = predicted class."""
    index = labels.astype(np.int64) * n_classes + predictions
    return np.bincount(index, minlength=n_classes * n_classes).reshape(n_classes, n_classes)


def nearest_distribution(scores: Reals) -> Reals:
    """The probability distributions nearest to the rows of `scores`, both of shape [B, K]; their order stays.

    p_k = max(score_k - excess, 0), with the excess at which they sum to 1. If scores estimate a distribution, p is
    never farther from it. Source: Held, Wolfe & Crowder 1974; Duchi et al. 2008 (projection onto the simplex).
    """
    descending = -np.sort(-scores, axis=1)
    excess = (np.cumsum(descending, axis=1) - 1.0) / np.arange(1, scores.shape[1] + 1)
    n_kept = np.count_nonzero(descending > excess, axis=1)
    distributions: Reals = np.maximum(scores - excess[np.arange(len(scores)), n_kept - 1, None], 0.0)
    return distributions


def cosine(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """The cosine of the angle between two arrays seen as vectors; 0 if either is all zero."""
    x, y = np.asarray(a, dtype=np.float64).ravel(), np.asarray(b, dtype=np.float64).ravel()
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm else 0.0
