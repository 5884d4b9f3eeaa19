"""FISTA: the solution of the sparse coder's problem, to a proven distance, in tens of iterations.

    a+ = T(y + (1/L) D^T (x - D y)),  threshold lambda / L        y+ = a+ + ((t - 1) / t+) (a+ - a)

L bounds |D^T D|; t+ = (1 + sqrt(1 + 4 t^2)) / 2, and t starts anew where the momentum points uphill. Each signal ends
when its duality gap, a bound of how far its objective lies above the least one, is small enough. No neuron does this:
it is the oracle of coders that settle, and may teach them a dictionary.
Source: Beck & Teboulle 2009 (FISTA); O'Donoghue & Candes 2015 (restart); Kim et al. 2007 (the bound by duality).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neuro.base.arrays import Float32, Int64, Reals
from neuro.base.checks import Range
from neuro.base.errors import UserError
from neuro.coding.problem import cost
from sim.coding.float_fast import IMAGES_TOGETHER, ConvolutionalCoder
from sim.oracles.coding import NotConverged, check_signals
from sim.oracles.operators import ConvolutionalOperator, DenseOperator

Pull = Callable[[Float32], Float32]  # D^T (x - D a) of codes a [B, M]

CHECK = 10  # iterations between two looks at the gap
POWER_STEPS, SAFETY = 60, 1.05  # of the power iteration, which ends below the largest eigenvalue
SIGNALS_TOGETHER = 32  # of a dense dictionary; they end together
TINY = 1e-30


@dataclass(frozen=True, eq=False)
class Optimum:
    """Codes of shape [B, M], their objective [B], its proven gap to the least one, relative, [B]; iterations [B]."""

    codes: Float32
    objective: Reals
    gap: Reals
    n_steps: Int64


@dataclass(frozen=True)
class FistaProblem:
    """What is solved, and how closely.

    threshold: lambda, in units of the signal.  signed: whether codes may be negative.
    tolerance: relative duality gap at which a signal ends; float32 may not get below 1e-5. It is judged in the type of
               the operator.
    max_steps: iterations, at most.
    """

    threshold: float
    signed: bool = False
    tolerance: float = 1e-3
    max_steps: int = 2000

    def __post_init__(self) -> None:
        if not (math.isfinite(self.threshold) and self.threshold > 0):
            raise UserError(f"FISTA: sparsity threshold {self.threshold!r} must be positive, e.g. 0.1")
        Range(0.0, 1.0, open_below=True).require("FISTA", tolerance=self.tolerance)
        Range(1).require("FISTA", max_steps=self.max_steps)


def solve_fista(
    operator: DenseOperator | ConvolutionalOperator,
    signals: Tensor,
    problem: FistaProblem,
    largest: float | None = None,
) -> Optimum:
    """The codes that minimise 1/2 |x - D a|^2 + threshold sum |a|, of signals of shape [B, N]; computed in float32.

    largest: an upper bound L of the eigenvalues of D^T D; None: it is looked for.
    Warns: NotConverged, with the number of signals.
    """
    check_signals(operator, signals)
    signals = signals.to(_held(operator).dtype)
    step = 1.0 / (largest_eigenvalue(operator) if largest is None else largest)
    size = SIGNALS_TOGETHER if isinstance(operator, DenseOperator) else IMAGES_TOGETHER
    pulls, parts = _pulls(operator), signals.split(size)
    found = [_solve(operator, part, pulls(part.numpy().astype(np.float32)), step, problem) for part in parts]
    codes, objective, gap, n_steps = (np.concatenate(values) for values in zip(*found, strict=True))
    late = int(np.count_nonzero(gap > problem.tolerance))
    if late:
        warnings.warn(
            f"FISTA: {late} of {len(gap)} codes are up to {gap.max():.2g} above the least objective after "
            f"{problem.max_steps} iterations, tolerance {problem.tolerance:g}; give more",
            NotConverged,
            stacklevel=2,
        )
    return Optimum(codes, objective, gap, n_steps)


def largest_eigenvalue(operator: DenseOperator | ConvolutionalOperator) -> float:
    """An upper bound, in practice, of the largest eigenvalue of D^T D: where a power iteration ends, and SAFETY."""
    start = torch.rand(1, operator.n_units, generator=torch.Generator().manual_seed(0))
    vector = start.to(_held(operator).dtype)
    size = 0.0
    for _ in range(POWER_STEPS):
        vector = operator.overlap(vector / vector.norm().clamp(min=TINY))
        size = float(vector.norm())
    return max(SAFETY * size, TINY)


def _held(operator: DenseOperator | ConvolutionalOperator) -> Tensor:
    """The dictionary as the operator holds it."""
    return operator.dictionary if isinstance(operator, DenseOperator) else operator.kernel


def _pulls(operator: DenseOperator | ConvolutionalOperator) -> Callable[[Float32], Pull]:
    """The function from signals to their `Pull`."""
    if not isinstance(operator, DenseOperator):
        return ConvolutionalCoder(operator).pull_of
    dictionary = operator.dictionary.numpy().astype(np.float32)
    gram = dictionary.T @ dictionary

    def pull_of(signals: Float32) -> Pull:
        drive = signals @ dictionary
        return lambda codes: drive - codes @ gram

    return pull_of


def _solve(
    operator: DenseOperator | ConvolutionalOperator, signals: Tensor, pull: Pull, step: float, problem: FistaProblem
) -> tuple[Float32, Reals, Reals, Int64]:
    """The fields of `Optimum` for signals of shape [B, N]. step: 1 / L."""
    codes = np.zeros((len(signals), operator.n_units), np.float32)
    ahead, pulled, momentum = codes, pull(codes), np.ones((len(signals), 1))
    objective, gap, n_steps = np.zeros(len(signals)), np.zeros(len(signals)), 0
    size, limit = np.float32(step), np.float32(step * problem.threshold)
    for n_steps in range(1, problem.max_steps + 1):
        fresh = _thresholded(ahead + size * pulled, limit, problem.signed)
        moved = fresh - codes
        uphill = np.einsum("bk,bk->b", ahead - fresh, moved) > 0
        momentum = np.where(uphill[:, None], 1.0, momentum)
        after = (1.0 + np.sqrt(1.0 + 4.0 * np.square(momentum))) / 2.0
        ahead = fresh + ((momentum - 1.0) / after).astype(np.float32) * moved
        codes, momentum = fresh, after
        if n_steps % CHECK == 0 or n_steps == problem.max_steps:
            objective, gap = _judged(operator, signals, codes, problem)
            if np.all(gap <= problem.tolerance):
                break
        pulled = pull(ahead)
    return codes, objective, gap, np.full(len(signals), n_steps)


def _thresholded(values: Float32, limit: np.float32, signed: bool) -> Float32:
    if not signed:
        return np.maximum(values - limit, np.float32(0.0))
    return np.asarray(values - np.clip(values, -limit, limit))


def _judged(
    operator: DenseOperator | ConvolutionalOperator, signals: Tensor, codes: Float32, problem: FistaProblem
) -> tuple[Reals, Reals]:
    """The objective and its relative duality gap, each of shape [B].

    The bound is that of `neuro.coding.problem.SparseProblem.lower_bound`, for codes of both signs, too.
    """
    found = torch.from_numpy(codes).to(signals.dtype)
    left = signals - operator.synthesise(found)
    residual, slope = left.double().numpy(), operator.analyse(left).double().numpy()
    real = signals.double().numpy()
    objective: Reals = cost(residual, codes.astype(np.float64), problem.threshold)
    along, length = (real * residual).sum(axis=1), np.square(residual).sum(axis=1)
    steepest = np.maximum((np.abs(slope) if problem.signed else slope).max(axis=1, initial=0.0), TINY)
    scale = np.clip(along / np.maximum(length, TINY), 0.0, problem.threshold / steepest)
    bound = scale * along - 0.5 * np.square(scale) * length
    return objective, np.maximum(objective - bound, 0.0) / np.maximum(objective, TINY)
