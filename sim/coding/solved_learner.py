"""Dictionary learning whose codes a host solves for: the teacher of a coder that settles later, deployed as any other.

The rule and its integers are those of `sim.coding.learner`; only the codes come from `sim.coding.fista`, rounded to the
payloads that the coder would send, so that sums stay exact.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch

from neuro.base.arrays import Integers, Reals
from neuro.coding.problem import cost
from sim.coding.fista import FistaProblem, largest_eigenvalue, solve_fista
from sim.coding.learner import BatchOutcome, DictionaryLearner
from sim.oracles.coding import NotConverged
from sim.oracles.operators import ConvolutionalOperator, DenseOperator

TOLERANCE, MOST_STEPS = 1e-2, 200  # of a teacher; learning needs no more
ROOM = 1.2  # by which eigenvalues may grow between two adaptations


class SolvedLearner(DictionaryLearner):
    """A dictionary learned from solutions. No neuron sends while it learns: spikes are 0, `settled` is solved."""

    _largest: float | None = None

    def observe(self, payloads: Integers, threads: int | None = 1) -> tuple[BatchOutcome, Reals]:
        """See `DictionaryLearner.observe`."""
        design, signals = self.design, payloads * 2.0**-self.design.encoder.activation_bits
        problem = FistaProblem(design.sparsity_threshold, design.signed, TOLERANCE, MOST_STEPS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotConverged)  # it is told as `settled`
            found = solve_fista(self.operator(torch.float32), torch.from_numpy(signals), problem, self._bound())
        unit = 2.0**-design.activation_bits
        codes: Reals = np.clip(
            np.floor(found.codes.astype(np.float64) / unit + 0.5) * unit, -design.reach, design.reach
        )
        residual = signals - self.operator().synthesise(torch.from_numpy(codes)).numpy()
        outcome = BatchOutcome(
            codes,
            cost(residual, codes, design.sparsity_threshold),
            np.count_nonzero(codes, axis=1),
            np.zeros(len(codes), dtype=np.int64),
            float((found.gap <= TOLERANCE).mean()),
        )
        return outcome, residual

    def adapt(self, normalise: bool) -> None:
        """See `DictionaryLearner.adapt`."""
        super().adapt(normalise)
        self._largest = None

    def _bound(self) -> float:
        """An upper bound of the eigenvalues of D^T D until the dictionary is adapted next; atoms move little."""
        if self._largest is None:
            self._largest = ROOM * largest_eigenvalue(self.operator(torch.float32))
        return self._largest

    def operator(self, dtype: torch.dtype = torch.float64) -> DenseOperator | ConvolutionalOperator:
        """The present dictionary. In float64 products with payloads are exact."""
        if self.design.convolution is None:
            return DenseOperator(self.dictionary(), dtype)
        return ConvolutionalOperator(self.dictionary(), self.design.convolution, self.design.input_shape, dtype)
