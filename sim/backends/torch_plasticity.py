"""Local rules in torch: the exact change of every weight for every image, rounded stochastically, added up saturating.

Random bits are those of `neuro.fixed_point`, in 32-bit integers that wrap. Every rule is evaluated in its end-point
form, to which the event form telescopes. The images of a batch move a weight one after the other, each move saturated:

    W <- f_B(... f_1(W)),   f_b(W) = clip(W + step_b, -L, L)

Compositions of such functions are again of the form clip(W + total, lower, upper): three numbers per weight say what a
share of a batch does to any weight. Workers exchange them, and end with the weights of one worker alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuro.fixed_point import stream_key
from neuro.neurons import Source
from neuro.plasticity import Rate
from neuro.spec import NetworkSpec, Projection
from sim.backends.torch_record import Equilibria
from sim.backends.torch_synapses import Synapses


class Workers(Protocol):
    """Processes that share every batch of a training: see `sim.data_parallel`."""

    rank: int
    size: int

    def gather(self, mine: Tensor) -> Tensor:
        """Return, of shape [size, ...], what every worker gave, by rank; all give the same shape."""
        ...


def mix32(x: Tensor) -> Tensor:
    """`neuro.fixed_point.mix32` of int32 tensors, whose products wrap, in place."""
    x ^= (x >> 16) & 0xFFFF
    x *= 0x7FEB352D
    x ^= (x >> 15) & 0x1FFFF
    x *= 0x846CA68B - (1 << 32)
    x ^= (x >> 16) & 0xFFFF
    return x


def signed32(values: npt.NDArray[np.uint32]) -> npt.NDArray[np.int32]:
    """Return the int32 with the same bits."""
    return np.ascontiguousarray(values).view(np.int32)


def random_bits(streams: Tensor, first: int, count: int) -> Tensor:
    """Return `fixed_point.synapse_bits` of weights first..first+count-1, of shape [B, count]; streams int32 [B]."""
    index = torch.arange(first, first + count, dtype=torch.int32, device=streams.device)
    return mix32(streams[:, None] + index)


class Move(NamedTuple):
    """clip(W + total, lower, upper) per weight, for every W in -limit..limit; int32."""

    total: Tensor
    lower: Tensor
    upper: Tensor

    def then(self, steps: Tensor, limit: int) -> None:
        """Follow this move, in place, by clip(W + step, -limit, limit) for each row of `steps`."""
        for step in steps.unbind(0):
            self.total.add_(step).clamp_(-2 * limit, 2 * limit)  # beyond, every W saturates
            self.lower.add_(step).clamp_(-limit, limit)
            self.upper.add_(step).clamp_(-limit, limit)

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
        self.full = torch.zeros(projection.weights.size, dtype=torch.int32, device=device)
        self.restore(projection.weights.astype(np.int32) << rule.shadow_bits)

    def restore(self, full: npt.NDArray[np.integer[Any]]) -> None:
        """Set the full-resolution weights."""
        self.full.copy_(torch.from_numpy(np.ascontiguousarray(full, dtype=np.int32).ravel()))

    def effective(self) -> Tensor:
        """Return the weights that transmit: rounded to nearest."""
        return (self.full + ((1 << self.shadow) >> 1) >> self.shadow).view(self.synapses.shape)

    def changes(self, seen: Equilibria, signs: Tensor) -> Tensor:
        """Return the exact change of every weight for every image, int32 of shape [B, weights]."""
        source, target = self.projection.source, self.projection.target
        pre, post = seen.sent_first[source], seen.sent_first[target]
        if self.rule.uses_state_difference:
            moved = seen.state_first[target] - seen.state_second[target]
        else:
            moved = post - seen.sent_second[target]
        moved = moved * signs[:, None]
        if self.static:
            return self.synapses.local_products(pre.expand(len(signs), -1), moved)
        # x1 y1 - x2 y2 = x1 (y1 - y2) + (x1 - x2) y2
        change = self.synapses.local_products(pre, moved)
        back = (pre - seen.sent_second[source]) * signs[:, None]
        return change.add_(self.synapses.local_products(back, seen.sent_second[target]))

    def steps(self, seen: Equilibria, signs: Tensor, keys: npt.NDArray[np.uint32], rate: Rate) -> Tensor:
        """Return the rounded step of every weight for every image, int32 of shape [B, weights]."""
        change = self.changes(seen, signs)
        change *= rate.mantissa << max(self.shadow - rate.exponent, 0)
        down = max(rate.exponent - self.shadow, 0)
        if down == 0:  # else a step fits into 31 bits, and cannot overflow when it is added
            return change.clamp_(-2 * self.limit, 2 * self.limit)
        streams = torch.from_numpy(signed32(stream_key(keys, self.index))).to(change.device)
        bits = random_bits(streams, 0, change.shape[1])
        bits &= (1 << down) - 1
        change += bits
        change >>= down
        return change

    def apply(self, steps: Tensor) -> None:
        """Move the weights by each row of `steps` in turn, saturated every time."""
        for step in steps.unbind(0):
            self.full.add_(step).clamp_(-self.limit, self.limit)

    def no_move(self) -> Move:
        """Return the move that changes nothing."""
        ends = (0, -self.limit, self.limit)
        return Move(*(torch.full_like(self.full, end) for end in ends))

    def merge(self, mine: Move, workers: Workers) -> None:
        """Apply the moves of all workers in order of rank."""
        for total, lower, upper in workers.gather(torch.stack(mine)).unbind(0):
            Move(total, lower, upper).apply(self.full)
