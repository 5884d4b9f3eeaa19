"""Twins of stock networks: spiking ones (LIF) and graded ones."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from neuro.front_ends.trains import spread_starts
from neuro.stock.family import INPUT, LifNetwork
from neuro.stock.processes import DECAY_UNITY, LIF, StockSpec
from sim.twins.base import Twin, TwinOutputs, carry
from sim.twins.stock_graph import StockGraph, Train
from sim.twins.surrogates import Surrogate
from sim.twins.units import State, clip, straight, unroll

RATE_SWEEPS = 8  # steps of the rate model; a loop through two populations takes two


class LifTwin(Twin):
    """The twin of a network of LIF neurons.

    Scores: mean input current of an output neuron per step, thresholds per step, reset left out. States: its spikes.
    Pixels reach the network as regular spike trains; the slope of a spike is that of the pixel's rate.
    "rate": RATE_SWEEPS steps of rates r = clip(current / threshold, 0, 1), the slope taken at the measured rates.
    """

    spec: LifNetwork
    unit = 1.0
    usual: ClassVar[str] = "rate"
    second: ClassVar[tuple[str, Surrogate]] = ("atan", Surrogate("atan"))

    def __init__(self, spec: LifNetwork, surrogate: Surrogate, mode: str, steps: int | None, every: int) -> None:
        super().__init__(spec, surrogate, mode, spec.free_steps, steps, every)
        self.graph = StockGraph(_never_reset(spec.inference), self.firing, self.rounds)
        by_rates = surrogate.name == "rate"
        self.graph.tallied = frozenset(p.name for p in spec.moving) if by_rates else frozenset({spec.output})
        moving = {p.name for p in spec.moving}
        self.lif = {p.name: p.neuron for p in spec.populations if p.name in moving and isinstance(p.neuron, LIF)}

    def run(self, payloads: Tensor, steps: int) -> TwinOutputs:
        """See `Twin.run`."""
        return self._outputs_of(self._settle(payloads, steps), steps)

    def rate_outputs(self, payloads: Tensor, steps: int) -> TwinOutputs:
        """See `Twin.rate_outputs`."""
        with torch.no_grad():
            state = self._settle(payloads, steps)
            exact = self._outputs_of(state, steps)
        measured = {name: state[f"count {name}"] / steps for name in self.lif}
        rates: State = {INPUT: self._input_rates(payloads), **measured}
        constant = self._currents(rates, {INPUT})
        for _ in range(RATE_SWEEPS):
            for name, current in self._currents(rates, set(self.lif)).items():
                smooth = clip(constant[name] + current, 0.0, 1.0, self.surrogate.box_slope, self.surrogate.reach)
                rates[name] = straight(smooth, measured[name])
        output = self.spec.output
        scores = constant[output] + self._currents(rates, set(self.lif))[output]
        return carry(TwinOutputs(scores, rates[output] * steps), exact)

    def scores_of_trains(self, trains: Tensor) -> Tensor:
        """Scores of shape [B, K] for spikes of the input of shape [B, T, N + 1]; differentiable with respect to them.

        Not of the surrogate "rate", which does not see when a spike comes.
        """
        self.firing.start_pass()
        arriving: State = {}
        for synapse in self.graph.synapses:
            if synapse.source == INPUT:
                arrival = self.graph.transmit(synapse, trains)
                arriving[synapse.target] = arriving.get(synapse.target, 0.0) + arrival
        arrivals = {name: arrival.unbind(dim=1) for name, arrival in arriving.items()}
        rest = self.graph.rest(len(trains), trains.device)
        steps = trains.shape[1]
        return self._outputs_of(unroll(partial(_step, self.graph, arrivals), rest, steps, self.every), steps).scores

    def _currents(self, rates: State, sources: set[str]) -> State:
        """The mean input of every moving population from `sources`, in thresholds per step."""
        total = {name: torch.zeros_like(rates[name]) for name in self.lif}
        for synapse in self.graph.synapses:
            if synapse.source in sources:
                total[synapse.target] = total[synapse.target] + self.graph.bring(synapse, rates[synapse.source])
        return {name: part * _per_threshold(self.lif[name]) for name, part in total.items()}

    def _outputs_of(self, state: State, steps: int) -> TwinOutputs:
        output = self.spec.output
        scores = state[f"sum {output}"] * (_per_threshold(self.lif[output]) / steps)
        return TwinOutputs(scores, state[f"count {output}"])

    def _settle(self, payloads: Tensor, steps: int) -> State:
        train = Train(self._train(payloads.detach(), steps), self._input_rates(payloads))
        arrivals = self.graph.arrivals({INPUT: train})
        rest = self.graph.rest(len(payloads), payloads.device)
        return unroll(partial(_step, self.graph, arrivals), rest, steps, self.every)

    def _input_rates(self, payloads: Tensor) -> Tensor:
        """Spikes per step of pixels and bias unit, of shape [B, N + 1]."""
        one = 1 << self.spec.encoder.activation_bits
        always = payloads.new_full((len(payloads), 1), float(one))
        return torch.cat([payloads, always], dim=1) / (self.spec.spacing * one)

    def _train(self, payloads: Tensor, steps: int) -> Tensor:
        """The spike trains of `StockNetwork.trains`, of shape [B, steps, N + 1], float32."""
        if self.rounds:
            trains = self.spec.trains(payloads.cpu().numpy().astype(np.int64), steps)
            return torch.from_numpy(trains).to(device=payloads.device, dtype=torch.float32)
        one = 1 << self.spec.encoder.activation_bits
        values = torch.cat([payloads, payloads.new_full((len(payloads), 1), float(one))], dim=1)[:, None]
        period = self.spec.spacing * one
        start = spread_starts(values.shape[2], period)
        ramp = torch.arange(1, steps + 1, dtype=values.dtype, device=values.device)[:, None]
        rest = torch.remainder(torch.as_tensor(start, device=values.device) + values * ramp, period)
        return (rest < values).to(torch.float32)


def _step(graph: StockGraph, arrivals: dict[str, tuple[Tensor, ...]], state: State, time: int) -> State:
    return graph.step(state, arrivals, time)


def _never_reset(graph: StockSpec) -> StockSpec:
    """The graph without resets in time: a twin starts from rest, and may run longer than an inference."""
    populations = tuple(
        replace(p, neuron=replace(p.neuron, reset_interval=0)) if isinstance(p.neuron, LIF) else p
        for p in graph.populations
    )
    return replace(graph, populations=populations)


def _per_threshold(neuron: LIF) -> float:
    """The factor 1 / threshold for an input a that lasts: what the decay of the current makes of it, in thresholds."""
    kept = (DECAY_UNITY - 1 - neuron.current_decay) / DECAY_UNITY
    return 1.0 / ((1.0 - kept) * max(neuron.threshold, 1))
