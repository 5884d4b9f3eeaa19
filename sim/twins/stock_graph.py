"""Networks of stock processes in torch: the same integers as `sim.backends.stock.emulator`, differentiable, unrolled.

Sums are whole numbers in float64, matrix products in float32 where that holds them. What is sent at a step arrives at
the next one; each projection shifts its sum, to the right towards minus infinity.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from neuro.base.fixed_point import INT32_MAX
from neuro.stock.processes import LIF, GradedRelu, SpikeInput, StockNeuron, StockProjection, StockSpec
from sim.twins.lif_unit import FloatNeuron, IntegerNeuron
from sim.twins.surrogates import Firing
from sim.twins.units import FLOAT32_INTEGERS, State, clip, floor_shift, straight, wrap32


class Train(NamedTuple):
    """What an input population sends.

    values: of shape [B, T, N], or [B, 1, N] if the same at every step.
    smooth: of shape [B, N]; its gradient is that of the values of every step. None for inputs that do not depend on
            the image.
    """

    values: Tensor
    smooth: Tensor | None = None


class Synapse(NamedTuple):
    """Projection `number`: a diagonal one, one to one, multiplies elementwise. dtype: in which products are exact."""

    number: int
    source: str
    target: str
    shift: int
    diagonal: bool
    dtype: torch.dtype


class StockGraph(nn.Module):
    """The populations and transmitting projections of a `StockSpec`, stepped in parallel, from rest.

    State: "sent NAME" of every moving population, "u NAME" and "v NAME" of LIF ones, "a NAME", the input of the last
    step, and for those in `tallied` the sums over all steps, "count NAME" of what was sent and "sum NAME" of the input;
    of shape [B, N].
    """

    def __init__(self, graph: StockSpec, firing: Firing, rounds: bool) -> None:
        super().__init__()
        self.graph, self.firing, self.rounds = graph, firing, rounds
        self.tallied: frozenset[str] = frozenset()
        self.moving = {p.name: p for p in graph.populations if not isinstance(p.neuron, SpikeInput)}
        transmitting = [p for p in graph.projections if p.transmits]
        self.synapses = [_synapse(graph, i, p, rounds) for i, p in enumerate(transmitting)]
        for synapse, projection in zip(self.synapses, transmitting, strict=True):
            weights = np.diag(projection.effective) if synapse.diagonal else projection.effective
            self.register_buffer(f"weights{synapse.number}", torch.tensor(weights.copy(), dtype=synapse.dtype))
        reach = {name: _reach(graph, transmitting, name) for name in self.moving}
        self.wraps = {name for name, largest in reach.items() if rounds and largest > INT32_MAX}
        lif = {name: p.neuron for name, p in self.moving.items() if isinstance(p.neuron, LIF)}
        self.neurons = nn.ModuleDict(
            {
                name: IntegerNeuron(unit, firing, reach[name]) if rounds else FloatNeuron(unit, firing)
                for name, unit in lif.items()
            }
        )

    def unrounded(self) -> StockGraph:
        """The same graph of GradedRelu populations, with the same tensors, that rounds nothing."""
        smooth = copy.copy(self)
        smooth.rounds, smooth.wraps = False, set()
        return smooth

    def transmit(self, synapse: Synapse, payloads: Tensor) -> Tensor:
        """The input that payloads of shape [..., N] bring to the target, of shape [..., M], float64."""
        weights, given = self.get_buffer(f"weights{synapse.number}"), payloads.to(synapse.dtype)
        sums = (given * weights if synapse.diagonal else given @ weights).to(torch.float64)
        if not synapse.shift:
            return sums
        return floor_shift(sums, synapse.shift) if self.rounds else sums * 2.0**synapse.shift

    def bring(self, synapse: Synapse, rates: Tensor) -> Tensor:
        """The input per step that real rates of shape [B, N] bring to the target, of shape [B, M], not rounded."""
        weights = self.get_buffer(f"weights{synapse.number}").to(torch.float64)
        return (rates * weights if synapse.diagonal else rates @ weights) * 2.0**synapse.shift

    def arrivals(self, trains: dict[str, Train]) -> dict[str, tuple[Tensor, ...]]:
        """The arrivals from all inputs by target, at each step (one entry: at every step), of shape [B, M]."""
        arriving: State = {}
        for synapse in self.synapses:
            if synapse.source in trains:
                train = trains[synapse.source]
                with torch.no_grad():
                    arrival = self.transmit(synapse, train.values)
                if train.smooth is not None:
                    smooth = self.transmit(synapse, train.smooth)
                    arrival = straight(smooth[:, None].expand_as(arrival), arrival)
                known = arriving.get(synapse.target)
                arriving[synapse.target] = arrival if known is None else known + arrival
        return {name: arrival.unbind(dim=1) for name, arrival in arriving.items()}

    def rest(self, batch: int, device: torch.device) -> State:
        """The state before the first step: all zero."""
        return {
            f"{kind} {name}": torch.zeros(batch, population.size, dtype=torch.float64, device=device)
            for name, population in self.moving.items()
            for kind in _kinds(population.neuron, name in self.tallied)
        }

    def step(self, state: State, arrivals: dict[str, tuple[Tensor, ...]], time: int) -> State:
        """The state one step on; time counts steps from 0."""
        total: State = {}
        for name in self.moving:
            total[name] = torch.zeros_like(state[f"sent {name}"])
            if time > 0 and name in arrivals:
                total[name] = arrivals[name][min(time, len(arrivals[name])) - 1]
        for synapse in self.synapses:
            if time > 0 and synapse.source in self.moving:
                total[synapse.target] = total[synapse.target] + self.transmit(synapse, state[f"sent {synapse.source}"])
        new: State = {}
        for name, drive in total.items():
            if name in self.wraps:
                drive = straight(drive, wrap32(drive.detach()))
            self._advance(name, drive, state, new, time)
            new[f"a {name}"] = drive
            if name in self.tallied:
                new[f"sum {name}"] = state[f"sum {name}"] + drive
                new[f"count {name}"] = state[f"count {name}"] + new[f"sent {name}"]
        return new

    def _advance(self, name: str, total: Tensor, state: State, new: State, time: int) -> None:
        """Write what population `name` sends, and its state, into `new`."""
        neuron = self.moving[name].neuron
        if isinstance(neuron, GradedRelu):
            surrogate = self.firing.surrogate
            width = total.detach().abs().mean(dim=0, keepdim=True) + 1.0  # there is no upper end
            band = surrogate.reach * width if surrogate.box_band else torch.inf
            above = clip(total - neuron.threshold, 0.0, torch.inf, surrogate.box_slope, band)
            new[f"sent {name}"] = above if neuron.threshold == 0 else above + neuron.threshold * (above > 0)
            return
        assert isinstance(neuron, LIF)  # moving
        u, v = state[f"u {name}"], state[f"v {name}"]
        interval = neuron.reset_interval
        if interval and (time + 1) % interval == neuron.reset_offset % interval:
            u, v = torch.zeros_like(u), torch.zeros_like(v)
        new[f"sent {name}"], new[f"u {name}"], new[f"v {name}"] = self.neurons[name](total, u, v, (name, time))


def _kinds(neuron: StockNeuron, tallied: bool) -> tuple[str, ...]:
    """The kinds of values that the state of a graph holds of one population."""
    own = ("u", "v") if isinstance(neuron, LIF) else ()
    return (*own, "sent", "a", *(("count", "sum") if tallied else ()))


def _payload_limit(graph: StockSpec, name: str) -> int:
    """The largest |payload| that population `name` can send: a graded neuron sends its whole 32-bit sum."""
    neuron = next(p.neuron for p in graph.populations if p.name == name)
    return INT32_MAX + 1 if isinstance(neuron, GradedRelu) else neuron.payload_limit


def _sums(graph: StockSpec, projection: StockProjection) -> float:
    """The largest |sum| that a projection can bring to a neuron, before its shift."""
    columns = np.abs(projection.effective.astype(np.int64)).sum(axis=0)
    return float(columns.max(initial=0)) * _payload_limit(graph, projection.source)


def _reach(graph: StockSpec, projections: list[StockProjection], name: str) -> float:
    """The largest |input| of population `name`, whatever is sent."""
    incoming = [p for p in projections if p.target == name]
    return sum(_sums(graph, p) * max(2.0**p.exponent, 1.0) + 1.0 for p in incoming)


def _synapse(graph: StockSpec, number: int, projection: StockProjection, rounds: bool) -> Synapse:
    weights = projection.effective
    square = weights.shape[0] == weights.shape[1]
    diagonal = bool(square and np.count_nonzero(weights - np.diag(np.diag(weights))) == 0)
    binary = _payload_limit(graph, projection.source) == 1
    exact = _sums(graph, projection) < FLOAT32_INTEGERS and (rounds or binary)
    dtype = torch.float32 if exact else torch.float64
    return Synapse(number, projection.source, projection.target, projection.exponent, diagonal, dtype)
