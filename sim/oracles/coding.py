"""The locally competitive algorithm in floats: the oracle of every sparse coder.

    u += (1 / tau_steps) (D^T x - (D^T D - I) a - u)        a = T(u)

T is the soft threshold max(u - sparsity_threshold, 0), whose fixed points are the Lasso solutions of

    E(a) = 1/2 |x - D a|^2 + sparsity_threshold * sum |a|

or the hard one (u where it exceeds the threshold, else 0), with threshold^2 / 2 per active unit in place of the last
term. Signed codes apply T to |u| and keep the sign; rectified ones (the default) are never negative.
Source: Rozell et al. 2008, eqs. 2.5 and 3.1 to 3.3.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from neuro.base.checks import Range
from neuro.base.errors import UserError
from neuro.coding.problem import cost
from sim.oracles.operators import Operator

TINY = 1e-30


class NotConverged(UserWarning):
    """Some codes were still moving after the last step."""


@dataclass(frozen=True)
class Dynamics:
    """How a coder settles.

    sparsity_threshold: lambda, in units of the signal.
    tau_steps:  time constant in steps. From |D^T D| / 2 on (and at least 1) the soft objective never rises: every unit
                moves by a share of a proximal gradient step of size 1 / tau_steps. Below, codes may oscillate.
    signed, hard: the kind of code and threshold.
    max_steps:  upper limit.
    tolerance:  a signal has converged when its state u moved by at most this share of |u| during the last time constant
                (`window` steps); None: exactly max_steps, unjudged.
    """

    sparsity_threshold: float
    tau_steps: float = 20.0
    signed: bool = False
    hard: bool = False
    max_steps: int = 2000
    tolerance: float | None = 1e-3

    def __post_init__(self) -> None:
        if not (math.isfinite(self.sparsity_threshold) and self.sparsity_threshold > 0):
            raise UserError(f"LCA: sparsity threshold {self.sparsity_threshold!r} must be positive, e.g. 0.1")
        if not (math.isfinite(self.tau_steps) and self.tau_steps >= 1):
            raise UserError(f"LCA: time constant {self.tau_steps!r} steps must be at least 1")
        Range(1).require("LCA", max_steps=self.max_steps)
        if self.tolerance is not None and not self.tolerance > 0:
            raise UserError(f"LCA: tolerance {self.tolerance!r} must be positive, or None for exactly max_steps")

    @property
    def window(self) -> int:
        """Steps between two looks at convergence: one time constant."""
        return math.ceil(self.tau_steps)


@dataclass(frozen=True, eq=False)
class Solution:
    """Where a coder ended.

    codes of shape [B, M]; objective: E of each signal, [B]; n_steps each signal took, [B]; residual: share of |u| that
    the state moved during the last whole time constant, [B] (infinite if none was run); converged: [B], bool; without
    a tolerance none is known to have.
    """

    codes: Tensor
    objective: Tensor
    n_steps: Tensor
    residual: Tensor
    converged: Tensor

    @property
    def n_active(self) -> Tensor:
        """Number of active units of each signal, of shape [B]."""
        return (self.codes != 0).sum(1)


def thresholded(states: Tensor, dynamics: Dynamics) -> Tensor:
    """The codes a = T(u) for states u of any shape."""
    size = states.abs() if dynamics.signed else states
    if dynamics.hard:
        return torch.where(size > dynamics.sparsity_threshold, states, torch.zeros_like(states))
    above = (size - dynamics.sparsity_threshold).clamp(min=0)
    return above * states.sign() if dynamics.signed else above


def objective(operator: Operator, signals: Tensor, codes: Tensor, dynamics: Dynamics) -> Tensor:
    """The energy E(a) of each signal, of shape [B]."""
    residual = signals - operator.synthesise(codes)
    if dynamics.hard:
        return 0.5 * residual.square().sum(1) + 0.5 * dynamics.sparsity_threshold**2 * (codes != 0).sum(1)
    soft: Tensor = cost(residual, codes, dynamics.sparsity_threshold)
    return soft


@torch.no_grad()
def encode(
    operator: Operator, signals: Tensor, dynamics: Dynamics, watch: Callable[[int, Tensor], None] | None = None
) -> Solution:
    """Let the codes of a batch settle, from rest; stops when all have converged.

    Args:  signals of shape [B, N], of the operator's type. watch(step, codes) is called after every step.
    Warns: NotConverged, with the number of signals.
    """
    check_signals(operator, signals)
    drive = operator.analyse(signals)
    states = torch.zeros_like(drive)
    codes, before = torch.zeros_like(drive), states
    residual = torch.full((len(signals),), math.inf, dtype=drive.dtype)
    step = 0
    for step in range(1, dynamics.max_steps + 1):
        states = states + (drive - operator.overlap(codes) + codes - states) / dynamics.tau_steps
        codes = thresholded(states, dynamics)
        if watch is not None:
            watch(step, codes)
        if step % dynamics.window == 0:
            residual = (states - before).norm(dim=1) / states.norm(dim=1).clamp(min=TINY)
            before = states
            if dynamics.tolerance is not None and bool((residual <= dynamics.tolerance).all()):
                break
    n_steps = torch.full((len(signals),), step, dtype=torch.int64)
    return judged(operator, signals, codes, n_steps, residual, dynamics)


def check_signals(operator: Operator, signals: Tensor) -> None:
    """Raise UserError unless signals are finite and of shape [B, N]."""
    if signals.ndim != 2 or signals.shape[1] != operator.n_values:
        raise UserError(f"LCA: signals of shape {tuple(signals.shape)}; the dictionary needs [B, {operator.n_values}]")
    if not bool(torch.isfinite(signals).all()):
        raise UserError("LCA: signals hold NaN or infinity; remove or replace those values")


def judged(
    operator: Operator, signals: Tensor, codes: Tensor, n_steps: Tensor, residual: Tensor, dynamics: Dynamics
) -> Solution:
    """The Solution with these codes; warns of those that have not converged. Arguments as in Solution."""
    tolerance = -1.0 if dynamics.tolerance is None else dynamics.tolerance
    converged = (residual <= tolerance) & torch.isfinite(codes).all(1)
    if dynamics.tolerance is not None and not bool(converged.all()):
        warnings.warn(
            f"LCA: {int((~converged).sum())} of {len(codes)} codes still moved after {dynamics.max_steps} steps (by up "
            f"to {float(residual[~converged].max()):.2g} of their state in {dynamics.window} steps, tolerance "
            f"{tolerance:g}); give more steps, or a larger time constant if they oscillate",
            NotConverged,
            stacklevel=3,
        )
    return Solution(codes, objective(operator, signals, codes, dynamics), n_steps, residual, converged)


def optimality_violation(operator: Operator, signals: Tensor, codes: Tensor, dynamics: Dynamics) -> Tensor:
    """The amount by which each code breaks the Karush-Kuhn-Tucker conditions of E, of shape [B], units of the signal.

    With g = D^T (x - D a): soft: |g - threshold sign(a)| where a != 0, else max(|g| - threshold, 0) (rectified: g in
    place of |g|). Hard: |g| where a != 0, else as above.
    """
    pull = operator.analyse(signals) - operator.overlap(codes)
    wanted = torch.zeros_like(codes) if dynamics.hard else dynamics.sparsity_threshold * codes.sign()
    silent = ((pull.abs() if dynamics.signed else pull) - dynamics.sparsity_threshold).clamp(min=0)
    return torch.where(codes != 0, (pull - wanted).abs(), silent).amax(1)
