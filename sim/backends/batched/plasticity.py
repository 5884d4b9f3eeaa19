"""Local rules in torch: the exact change of every weight for every image, rounded stochastically, added up saturating.

Every rule is evaluated in its
end-point form, to which the event form telescopes. The images of a batch move a weight one after the other, each move
saturated:

    W <- f_B(... f_1(W)),   f_b(W) = clip(W + step_b, -L, L)

Compositions of such functions are again of the form clip(W + total, lower, upper): three numbers per weight say what a
share of a batch does to any weight. Workers exchange them, and end with the weights of one worker alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuro.base.arrays import Integers, UInt32
from neuro.base.fixed_point import round_shift, stream_key
from neuro.spec.neurons import Source
from neuro.spec.plasticity import Rate
from neuro.spec.projection import Projection
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.batched.random_bits import random_bits, signed32
from sim.backends.batched.record import Equilibria
from sim.backends.batched.synapses import DenseSynapses, Synapses
from sim.backends.protocol import Workers


class Register(NamedTuple):
    """Integers, int32 of shape [n], that add steps and saturate at +-limit."""

    values: Tensor
    limit: int

    def add(self, step: Tensor) -> None:
        """Add a step of shape [n], in place."""
        self.values.add_(step).clamp_(-self.limit, self.limit)

    def add_columns(self, columns: Tensor, step: Tensor) -> None:
        """Take the values as a matrix of len(step) rows; add `step` of shape [rows, k] to k different columns."""
        matrix = self.values.view(len(step), -1)
        moved = matrix.index_select(1, columns).add_(step).clamp_(-self.limit, self.limit)
        matrix.index_copy_(1, columns, moved)


class Move(NamedTuple):
    """clip(W + total, lower, upper) per weight, for every W in -limit..limit; int32."""

    total: Tensor
    lower: Tensor
    upper: Tensor

    def registers(self, limit: int) -> tuple[Register, ...]:
        """The registers that have to add a step so that this move is followed by clip(W + step, -limit, limit)."""
        total = Register(self.total, 2 * limit)  # beyond, every W saturates
        return total, Register(self.lower, limit), Register(self.upper, limit)

    def apply(self, weights: Tensor) -> None:
        """Move `weights` in place."""
        torch.clamp(weights + self.total, self.lower, self.upper, out=weights)


class Learner:
    """One plastic projection: weights in full resolution (shadow bits included), and its rule."""

    def __init__(self, spec: NetworkSpec, projection: Projection, synapses: Synapses, device: torch.device) -> None:
        rule = projection.rule
        assert rule is not None  # plastic
        assert projection.weights is not None  # a rule has weights
        self.projection, self.synapses, self.rule, self.shadow = projection, synapses, rule, rule.shadow_bits
        self.index = spec.projection_index[projection.name]
        self.limit = projection.limit << rule.shadow_bits
        self.static = isinstance(spec.population(projection.source).neuron, Source)
        # Looking at data is free on a CPU only.
        self.sparse = self.static and isinstance(synapses, DenseSynapses) and device.type == "cpu"
        self.full = torch.zeros(projection.weights.size, dtype=torch.int32, device=device)
        self.restore(projection.weights.astype(np.int32) << rule.shadow_bits)

    def restore(self, full: Integers) -> None:
        """Set the full-resolution weights."""
        self.full.copy_(torch.from_numpy(np.ascontiguousarray(full, dtype=np.int32).ravel()))

    def effective(self) -> Tensor:
        """The weights that transmit: rounded to nearest."""
        rounded: Tensor = round_shift(self.full, self.shadow)
        return rounded.view(self.synapses.shape)

    def registers(self, move: Move | None) -> tuple[Register, ...]:
        """The registers that add the steps: the weights themselves, or with workers a move."""
        return (Register(self.full, self.limit),) if move is None else move.registers(self.limit)

    def learn(self, seen: Equilibria, signs: Tensor, keys: UInt32, rate: Rate, registers: tuple[Register, ...]) -> None:
        """Add the steps of some images, one after the other."""
        streams = torch.from_numpy(signed32(stream_key(keys, self.index))).to(signs.device)
        if self.sparse:
            self._learn_moved(seen, signs, streams, rate, registers)
            return
        index = torch.arange(self.full.numel(), dtype=torch.int32, device=signs.device)
        for step in self._rounded(self._changes(seen, signs), streams[:, None], index, rate).unbind(0):
            for register in registers:
                register.add(step)

    def _learn_moved(
        self, seen: Equilibria, signs: Tensor, streams: Tensor, rate: Rate, registers: tuple[Register, ...]
    ) -> None:
        """`learn` of a static source: only columns of post neurons that moved, which are few. Looks at the data."""
        pre, moved = seen.sent_first[self.projection.source], self._moved(seen, signs)
        image, column = moved.nonzero(as_tuple=True)
        n_pre, n_post = self.synapses.shape
        change = pre.expand(len(signs), -1)[image] * moved[image, column][:, None]
        index = torch.arange(0, n_pre * n_post, n_post, dtype=torch.int32) + column[:, None].to(torch.int32)
        steps = self._rounded(change, streams[image, None], index, rate)
        counts = torch.bincount(image, minlength=len(signs)).tolist()
        for columns, step in zip(column.split(counts), steps.split(counts), strict=True):
            if len(columns):
                for register in registers:
                    register.add_columns(columns, step.T)

    def _moved(self, seen: Equilibria, signs: Tensor) -> Tensor:
        """The move of every post neuron between the nudges, times the sign; of shape [B, M]."""
        target = self.projection.target
        if self.rule.uses_state_difference:
            return (seen.state_first[target] - seen.state_second[target]) * signs[:, None]
        return (seen.sent_first[target] - seen.sent_second[target]) * signs[:, None]

    def _changes(self, seen: Equilibria, signs: Tensor) -> Tensor:
        """The exact change of every weight for every image, int32 of shape [B, weights]."""
        source, target = self.projection.source, self.projection.target
        pre, moved = seen.sent_first[source], self._moved(seen, signs)
        if self.static:
            return self.synapses.local_products(pre.expand(len(signs), -1), moved)
        # x1 y1 - x2 y2 = x1 (y1 - y2) + (x1 - x2) y2
        change = self.synapses.local_products(pre, moved)
        back = (pre - seen.sent_second[source]) * signs[:, None]
        return change.add_(self.synapses.local_products(back, seen.sent_second[target]))

    def _rounded(self, change: Tensor, streams: Tensor, index: Tensor, rate: Rate) -> Tensor:
        """Multiply `change` by `rate` in place, rounded stochastically."""
        change *= rate.mantissa << max(self.shadow - rate.exponent, 0)
        down = max(rate.exponent - self.shadow, 0)
        if down == 0:  # else a step fits into 31 bits, and cannot overflow when it is added
            return change.clamp_(-2 * self.limit, 2 * self.limit)
        bits = random_bits(streams, index)
        bits &= (1 << down) - 1
        change += bits
        change >>= down
        return change

    def no_move(self) -> Move:
        """The move that changes nothing."""
        ends = (0, -self.limit, self.limit)
        return Move(*(torch.full_like(self.full, end) for end in ends))

    def merge(self, mine: Move, workers: Workers) -> None:
        """Apply the moves of all workers in order of rank."""
        for total, lower, upper in workers.gather(torch.stack(mine)).unbind(0):
            Move(total, lower, upper).apply(self.full)
