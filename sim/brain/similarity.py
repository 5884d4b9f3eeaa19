"""How alike two representations of the same images are: debiased alignment and representational similarity.

Representations are states of shape [n, N] of the same n images; N may differ. Units are centred, never scaled: in a
spiking code many are silent, and scaling would make features of their rounding.
"""

from __future__ import annotations

import numpy as np

from neuro.base.arrays import Int64, Reals
from neuro.base.checks import Range

FEWEST_IMAGES = 4  # the debiased estimator divides by n - 3


def debiased_cka(first: Reals, second: Reals) -> float:
    """Centred kernel alignment of [n, N] and [n, M] without the bias that unrelated data have.

    HSIC(K, L) = [tr(KL) + 1'K1 1'L1 / ((n-1)(n-2)) - 2/(n-2) 1'KL1] / (n (n-3)),  K, L = Gram matrices, diagonals 0
    CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))

    The plain estimator says .5 of 30 and 500 unrelated units over 60 images; it is not offered. 0 where a
    representation does not vary. Raises: UserError for fewer than 4 images.
    Source: Song et al. 2012; Kornblith et al. 2019; Nguyen et al. 2021.
    """
    Range(FEWEST_IMAGES).require("alignment", images=len(first))
    grams = [_hollow(values) for values in (first, second)]
    shared, own, other = (_hsic(a, b) for a, b in ((grams[0], grams[1]), (grams[0],) * 2, (grams[1],) * 2))
    return shared / float(np.sqrt(own * other)) if own > 0 and other > 0 else 0.0


def _hollow(values: Reals) -> Reals:
    """The Gram matrix of rows less their mean, its diagonal 0. The estimator does not depend on the mean."""
    rows = values - values.mean(axis=0)
    gram: Reals = rows @ rows.T
    np.fill_diagonal(gram, 0.0)
    return gram


def _hsic(first: Reals, second: Reals) -> float:
    n = len(first)
    sums = first.sum(axis=0), second.sum(axis=0)
    total = float(np.sum(first * second)) + float(sums[0].sum() * sums[1].sum()) / ((n - 1) * (n - 2))
    return (total - 2.0 / (n - 2) * float(sums[0] @ sums[1])) / (n * (n - 3))


def dissimilarities(values: Reals) -> Reals:
    """1 - Pearson correlation between the patterns [n, N] of every two images, of shape [n (n - 1) / 2].

    The upper triangle, row by row, as `scipy.spatial.distance` orders it. NaN where a pattern does not vary.
    """
    rows = values - values.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    units = np.divide(rows, lengths, out=np.full_like(rows, np.nan), where=lengths > 1e-12)
    upper: Reals = (1.0 - units @ units.T)[np.triu_indices(len(values), 1)]
    return upper


def rank_correlation(first: Reals, second: Reals) -> float:
    """Spearman correlation over the entries where both are finite; NaN where one of them does not vary."""
    there = np.isfinite(first) & np.isfinite(second)
    ranks = [average_ranks(values[there]) for values in (first, second)]
    centred = [values - values.mean() for values in ranks if len(values)]
    if not centred:
        return float("nan")
    lengths = float(np.linalg.norm(centred[0]) * np.linalg.norm(centred[1]))
    return float(centred[0] @ centred[1]) / lengths if lengths else float("nan")


def average_ranks(values: Reals) -> Reals:
    """Ranks from 1, ties at their mean, of shape [n]."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last: Int64 = np.cumsum(counts)
    ranks: Reals = (last - (counts - 1) / 2.0)[inverse.ravel()]
    return ranks
