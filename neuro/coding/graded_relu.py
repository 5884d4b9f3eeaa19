"""Sparse coding on stock processes: the locally competitive network as ISTA, graded ReLU and dense synapses alone.

    a(t + 1) = relu(a(t) + m (a(t) - a(t - 1)) + e (D^T x - G a(t) - threshold))    G = D^T D, e = step_scale / |G|

a in units of 2**-state_bits, whose fixed point minimises 1/2 |x - D a|^2 + threshold sum a over a >= 0. With momentum m
a second population repeats what the code sent one step ago: twice the messages a step, several times fewer steps.
Codes of both signs: pass [D, -D].
Source: Rozell et al. 2008; Daubechies et al. 2004 (ISTA); Polyak 1964 (momentum).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from neuro.base.arrays import Bools, Int32, Reals, Spikes
from neuro.base.checks import Range, require_integers
from neuro.base.errors import UserError
from neuro.base.fixed_point import WEIGHT_BITS, quantize, weight_limit
from neuro.base.scales import exponent_for
from neuro.coding.coder import CODE, INPUT, Drive, StockCoder, check_steps
from neuro.coding.problem import SparseProblem
from neuro.stock.graded import MESSAGE_BITS, ROUNDING, check_reach, compensation, present, readout
from neuro.stock.processes import GradedRelu, SpikeInput, StockPopulation, StockProjection, StockSpec

THRESHOLD, PREVIOUS = "threshold", "previous"
UNITY_BITS = 7
UNITY = 1 << UNITY_BITS  # momentum 1 as a weight
LARGEST_WEIGHT = weight_limit(WEIGHT_BITS)
FINEST = 15  # largest right shift of a synapse, less the one of doubled weights


def sparse_coder(
    dictionary: Reals,
    sparsity_threshold: float,
    input_bits: int = 7,
    state_bits: int = 14,
    reach: float = 4.0,
    momentum: float = 0.0,
    step_scale: float = 1.0,
) -> StockSpec:
    """The network of the module docstring; what it takes is made by `neuro.stock.graded.present`.

    Args:    dictionary D of shape [N, M], one atom a column; sparsity_threshold (lambda), real, > 0; the input x is
             payloads / 2**input_bits, |x| <= 1; reach, the largest code to expect, real; momentum m, a multiple of
             1/128 in [0, 1); step_scale, e |G|, in (0, 2 (1 + m)): beyond, the iteration does not converge.
    Returns: populations "input", "threshold", "rounding", "code" (states in units of 2**-state_bits), and "previous" if
             there is momentum.
    Raises:  UserError if D is no finite matrix, a number is out of range, or codes up to `reach` could overflow.
    """
    _check_design(input_bits, state_bits, momentum, step_scale)
    problem = SparseProblem(dictionary, sparsity_threshold)
    gram, size = problem.gram, problem.n_atoms
    step = step_scale / float(np.linalg.norm(gram, 2))
    level = np.full((1, size), -step * sparsity_threshold)
    projections = [
        _synapses("input->code", INPUT, step * problem.dictionary, state_bits - input_bits),
        _synapses("threshold->code", THRESHOLD, level, state_bits),
        _synapses("inhibition", CODE, -step * gram, 0),
        *_memory(size, momentum),
    ]
    projections.append(compensation(CODE, size, projections))
    populations = [
        StockPopulation(INPUT, (problem.n_pixels,), SpikeInput(1 << input_bits)),
        StockPopulation(THRESHOLD, (1,), SpikeInput()),
        StockPopulation(ROUNDING, (1,), SpikeInput()),
        StockPopulation(CODE, (size,), GradedRelu()),
    ]
    if momentum:
        populations.append(StockPopulation(PREVIOUS, (size,), GradedRelu()))
    stock = StockSpec(tuple(populations), tuple(projections))
    check_reach(stock, 1 << state_bits, reach)
    return stock


def _check_design(input_bits: int, state_bits: int, momentum: float, step_scale: float) -> None:
    require_integers("sparse coder", input_bits=input_bits, state_bits=state_bits)
    if not (0 <= input_bits <= min(state_bits, 14) and state_bits <= 22):
        raise UserError(
            f"sparse coder: input_bits {input_bits}, state_bits {state_bits}; needs 0 <= input_bits <= state_bits, at "
            "most 14 and 22"
        )
    if not (0 <= momentum < 1 and float(momentum * UNITY).is_integer()):
        raise UserError(f"sparse coder: momentum {momentum}; needs a multiple of 1/{UNITY} in [0, 1)")
    converging = Range(0.0, 2 * (1 + momentum), open_below=True, open_above=True)
    converging.require("sparse coder", "beyond it would not converge", step_scale=step_scale)


def _memory(size: int, momentum: float) -> list[StockProjection]:
    """Synapses that bring a(t) + m (a(t) - a(t - 1)); "previous" repeats what the code sent one step ago."""
    once = np.eye(size, dtype=np.int16)
    if not momentum:
        return [StockProjection("code->code", CODE, CODE, once, 0, 8, "excitatory", MESSAGE_BITS)]
    mantissa, shift = np.int16(momentum * UNITY), -UNITY_BITS
    return [
        StockProjection("code->code", CODE, CODE, once * (UNITY + mantissa), shift, 8, "excitatory", MESSAGE_BITS),
        StockProjection("code->previous", CODE, PREVIOUS, once, 0, 8, "excitatory", MESSAGE_BITS),
        StockProjection("previous->code", PREVIOUS, CODE, -mantissa * once, shift, 8, "inhibitory", MESSAGE_BITS),
    ]


@dataclass(frozen=True, eq=False)
class GradedCoder(StockCoder):
    """The graph of `sparse_coder` as a coder; the scales of its input and its states."""

    input_bits: int
    state_bits: int
    kind: ClassVar[str] = "graded-coder"
    title: ClassVar[str] = "graded coder"

    def drive(self, signals: npt.ArrayLike, steps: int) -> Drive:
        """See `StockCoder.drive`; signals within -1..1."""
        check_steps(steps)
        values = self.problem.check_signals(signals)
        if values.size and np.abs(values).max() > 1:
            raise UserError(f"signals: |x| reaches {np.abs(values).max():.4g}; payloads hold -1..1: scale them")
        payloads = quantize(values, self.input_bits, -(1 << self.input_bits), 1 << self.input_bits)
        return Drive(present(self.graph, payloads, steps))

    def codes(self, spikes: Spikes) -> Reals:
        """The last states, of shape [B, K].

        Raises: UserError if a state was beyond what 32-bit sums hold.
        """
        states = readout(self.graph, spikes, CODE, spikes[CODE].shape[1])
        return np.asarray(states * 2.0**-self.state_bits, dtype=np.float64)

    @property
    def code_unit(self) -> float:
        """The code of a state of 1."""
        return float(2.0**-self.state_bits)

    def scores(self, spikes: Spikes) -> Int32:
        """The last states, of shape [B, K]. Raises: UserError as `codes` does."""
        return readout(self.graph, spikes, CODE, self.free_steps)

    def settled(self, spikes: Spikes) -> Bools:
        """Whether no state moved in the last step by more than a unit, of shape [B]."""
        last, before = (spikes[CODE][:, self.free_steps - k].astype(np.int64) for k in (1, 2))
        return np.asarray(np.abs(last - before).max(axis=1) <= 1)


def graded_coder(
    dictionary: Reals,
    sparsity_threshold: float,
    input_bits: int = 10,
    state_bits: int = 14,
    reach: float = 4.0,
    momentum: float = 0.875,
    step_scale: float = 2.0,
) -> GradedCoder:
    """The network of `sparse_coder` as a coder; arguments and errors are the same, momentum by default."""
    graph = sparse_coder(dictionary, sparsity_threshold, input_bits, state_bits, reach, momentum, step_scale)
    return GradedCoder(SparseProblem(dictionary, sparsity_threshold), graph, input_bits, state_bits)


def _synapses(name: str, source: str, weights: Reals, shift: int) -> StockProjection:
    """Synapses onto the code nearest to real weights * 2**shift, on the finest grid that holds them."""
    exponent = exponent_for(float(np.abs(weights).max()), LARGEST_WEIGHT, FINEST + shift)
    integers = 2 * quantize(weights, exponent, -LARGEST_WEIGHT, LARGEST_WEIGHT)
    return StockProjection(name, source, CODE, integers, shift - exponent - 1, message_bits=MESSAGE_BITS)
