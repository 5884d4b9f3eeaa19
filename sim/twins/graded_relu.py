"""Twin of graded networks."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from neuro.equilibrium.graded_relu import GradedNetwork
from neuro.stock.graded import FORCE
from neuro.stock.processes import SpikeInput
from sim.twins.base import Twin, TwinOutputs, carry
from sim.twins.lif import _step
from sim.twins.stock_graph import StockGraph, Train
from sim.twins.surrogates import Surrogate
from sim.twins.units import unroll


class GradedTwin(Twin):
    """The twin of a graded network. Scores: the input of the output population before its ReLU, in real units.

    Its messages are fine, so that rounding is always passed straight, whatever the surrogate; "rate" is the same
    network without rounding. A state beyond the chip's 32-bit sums, which `readout` refuses, is not refused here.
    """

    spec: GradedNetwork

    def __init__(self, spec: GradedNetwork, surrogate: Surrogate, mode: str, steps: int | None, every: int) -> None:
        super().__init__(spec, surrogate, mode, spec.free_steps, steps, every)
        self.graph = StockGraph(spec.graph, self.firing, self.rounds)
        self.unit = float(spec.design.one)

    def run(self, payloads: Tensor, steps: int) -> TwinOutputs:
        """See `Twin.run`."""
        return self._run(self.graph, payloads, steps)

    def rate_outputs(self, payloads: Tensor, steps: int) -> TwinOutputs:
        """See `Twin.rate_outputs`."""
        with torch.no_grad():
            exact = self.run(payloads, steps)
        return carry(self._run(self.graph.unrounded(), payloads, steps), exact)

    def _run(self, graph: StockGraph, payloads: Tensor, steps: int) -> TwinOutputs:
        trains = {self.spec.input: Train(payloads.detach()[:, None], payloads)}
        for population in graph.graph.populations:
            if isinstance(population.neuron, SpikeInput) and population.name != self.spec.input:
                sent = 0 if population.name == FORCE else population.neuron.payload_limit
                trains[population.name] = Train(payloads.new_full((len(payloads), 1, population.size), float(sent)))
        rest = graph.rest(len(payloads), payloads.device)
        state = unroll(partial(_step, graph, graph.arrivals(trains)), rest, steps, self.every)
        output = self.spec.output
        return TwinOutputs(state[f"a {output}"] / self.unit, state[f"sent {output}"] / self.unit)
