"""The problem that sparse coders solve, and how far from its solution a code can be at most.

    least over a >= 0 of    P(a) = 1/2 |x - D a|^2 + threshold sum a

x of shape [N] the signal, D of shape [N, K] the dictionary, one atom a column. Codes of both signs: pass [D, -D].
Source: Rozell et al. 2008 (LCA); Kim et al. 2007 (the certificate by duality).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neuro.base.arrays import Reals
from neuro.base.errors import UserError
from neuro.coding.dictionary import NORM_TOLERANCE

TINY = 1e-12


def cost(residual: Any, codes: Any, sparsity_threshold: float) -> Any:
    """1/2 |x - D a|^2 + threshold sum |a|, of shape [B]: of residuals x - D a [B, N], codes [B, K]; numpy or torch."""
    return 0.5 * (residual * residual).sum(1) + sparsity_threshold * abs(codes).sum(1)


@dataclass(frozen=True, eq=False)
class SparseProblem:
    """A dictionary D of shape [N, K] and the price of a code, sparsity_threshold (lambda), real, > 0.

    Raises: UserError unless D is a finite matrix, not all zero, and the threshold a finite number > 0.
    """

    dictionary: Reals
    sparsity_threshold: float

    def __post_init__(self) -> None:
        dictionary = np.array(self.dictionary, dtype=np.float64)
        if dictionary.ndim != 2 or not np.isfinite(dictionary).all() or not dictionary.any():
            raise UserError(
                f"dictionary of shape {dictionary.shape}: needs a finite matrix [pixels, atoms], not all zero"
            )
        if not (np.isfinite(self.sparsity_threshold) and self.sparsity_threshold > 0):
            raise UserError(f"sparse coder: sparsity_threshold {self.sparsity_threshold}; needs a number > 0")
        dictionary.flags.writeable = False
        object.__setattr__(self, "dictionary", dictionary)

    @property
    def n_pixels(self) -> int:
        """Values of a signal."""
        return self.dictionary.shape[0]

    @property
    def n_atoms(self) -> int:
        """Values of a code."""
        return self.dictionary.shape[1]

    @property
    def gram(self) -> Reals:
        """G = D^T D, of shape [K, K]."""
        return np.asarray(self.dictionary.T @ self.dictionary, dtype=np.float64)

    def check_unit_atoms(self) -> None:
        """Raise UserError unless every atom has length 1."""
        lengths = np.linalg.norm(self.dictionary, axis=0)
        worst = int(np.abs(lengths - 1).argmax())
        if abs(lengths[worst] - 1) > NORM_TOLERANCE:
            raise UserError(
                f"dictionary: atom {worst} has length {lengths[worst]:.4g}; a spiking coder needs atoms of length 1: "
                "use neuro.coding.dictionary.unit_norm, which divides each by its length"
            )

    def check_signals(self, signals: npt.ArrayLike) -> Reals:
        """Signals as reals of shape [B, N].

        Raises: UserError if they have another width or hold NaN or infinity.
        """
        values = np.asarray(signals)
        if values.ndim != 2 or values.shape[1] != self.n_pixels or values.dtype.kind not in "fiub":
            raise UserError(f"signals {values.dtype} of shape {values.shape}: needs numbers [B, {self.n_pixels}]")
        if not np.isfinite(values).all():
            raise UserError("signals hold NaN or infinity; remove them")
        return values.astype(np.float64)

    def objective(self, signals: Reals, codes: Reals) -> Reals:
        """P, of shape [B], for signals of shape [B, N] and codes >= 0 of shape [B, K]."""
        value: Reals = cost(signals - codes @ self.dictionary.T, codes, self.sparsity_threshold)
        return value

    def lower_bound(self, signals: Reals, codes: Reals) -> Reals:
        """The lower bound of the least objective, of shape [B].

        Any t with D^T t <= threshold has 1/2 |x|^2 - 1/2 |x - t|^2 <= P(a) for every a >= 0; taken is the best multiple
        of the residual of `codes`. The bound meets the objective at the solution, and is linear in the error of the
        codes where the objective is quadratic: a proven gap is several times the true one.
        """
        residual = signals - codes @ self.dictionary.T
        steepest = np.maximum((residual @ self.dictionary).max(axis=1), TINY)
        along, length = (signals * residual).sum(axis=1), np.square(residual).sum(axis=1)
        scale = np.clip(along / np.maximum(length, TINY), 0.0, self.sparsity_threshold / steepest)
        bound: Reals = scale * along - 0.5 * np.square(scale) * length
        return bound


def support_overlap(codes: Reals, reference: Reals) -> Reals:
    """The ratios |both active| / |either active|, of shape [B], of codes of shape [B, K]; 1 if none is."""
    first, second = codes != 0, reference != 0
    either = (first | second).sum(axis=1)
    shared: Reals = np.where(either == 0, 1.0, (first & second).sum(axis=1) / np.maximum(either, 1))
    return shared
