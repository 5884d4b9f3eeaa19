"""The float model of a stock EP network: mean rates instead of spikes. The oracle for its learning rules.

    r = f(I),   f(I) = 1 / (n + 1/2),  n = -ln(1 - threshold k / I) / k   if I > threshold k, else 0;   k = leak / 4096
    I = mean input per step = (sum of weights * rates) / (1 - kept share of the current), threshold units

relaxed by damped iteration. A nudge of strength `nudge` (1: the network's own teacher) adds
nudge * inhibit * (target rate * label - r) to the output, inhibit the weight of the relay.
Source: the fixed point of the LIF equations in `neuro.stock.processes`; Scellier & Bengio 2017 for the update.
Checked: tests/sim/oracles/test_lif.py, rates against spike counts, the update against autograd.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from neuro.base.arrays import Integers, Reals
from neuro.stock.family import INPUT
from neuro.stock.network import LABEL, RELAY, StockNetwork
from neuro.stock.processes import DECAY_UNITY, LIF, StockProjection

STEPS, DAMPING = 400, 0.1
Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class LifRateNetwork:
    """A stock network with real rates of firing for spikes.

    weights: by transmitting projection, of shape [N, M], float64.
    """

    network: StockNetwork
    weights: dict[str, Tensor]

    @staticmethod
    def of(network: StockNetwork) -> LifRateNetwork:
        """The model of a network with its present weights."""
        return LifRateNetwork(network, {p.name: torch.tensor(p.weights, dtype=torch.float64) for p in _wiring(network)})

    def relax(self, inputs: Tensor, labels: Tensor | None = None, nudge: float = 0.0) -> dict[str, Tensor]:
        """The rates at equilibrium, spikes per step, by population, of shape [B, N].

        Args: inputs: rates of pixels and bias unit, of shape [B, N + 1]; labels of shape [B, K], 0 or 1.
        """
        network = self.network
        rates = {p.name: torch.zeros(len(inputs), p.size, dtype=torch.float64) for p in network.moving}
        rates[INPUT] = inputs
        target, inhibit = teacher(network)
        for _ in range(STEPS):
            drive = {name: torch.zeros_like(rates[name]) for name in rates}
            for projection in _wiring(network):
                gain = 2.0**projection.exponent
                drive[projection.target] = (
                    drive[projection.target] + gain * rates[projection.source] @ self.weights[projection.name]
                )
            if labels is not None:
                error = target * labels - rates[network.output]
                drive[network.output] = drive[network.output] + nudge * inhibit * error
            for population in network.moving:
                assert isinstance(population.neuron, LIF)  # moving
                wanted = firing_rate(population.neuron, drive[population.name])
                rates[population.name] = rates[population.name] + DAMPING * (wanted - rates[population.name])
        return rates

    def update(self, inputs: Tensor, labels: Tensor, nudge: float = 0.05) -> dict[str, Reals]:
        """The summed EP update (r+ r+ - r- r-) / (2 nudge) by plastic projection, of shape [N, M]."""
        up, down = self.relax(inputs, labels, nudge), self.relax(inputs, labels, -nudge)

        def outer(rates: dict[str, Tensor], projection: StockProjection) -> Tensor:
            return rates[projection.source].T @ rates[projection.target]

        return {p.name: ((outer(up, p) - outer(down, p)) / (2 * nudge)).numpy() for p in self.network.plastic}


def firing_rate(neuron: LIF, drive: Tensor) -> Tensor:
    """Spikes per step for a mean input per step, in the units of the weights, before the current's decay."""
    kept = (DECAY_UNITY - 1 - neuron.current_decay) / DECAY_UNITY
    leak = max(neuron.voltage_decay, 1) / DECAY_UNITY
    current = drive / (1.0 - kept)
    lowest = neuron.threshold * leak
    above = torch.clamp(current, min=lowest * (1 + 1e-9))
    steps = -torch.log1p(-lowest / above) / leak
    return torch.where(current > lowest, 1.0 / (steps + 0.5), torch.zeros_like(drive))


def teacher(network: StockNetwork) -> tuple[float, float]:
    """The rate at which the teacher leaves a neuron alone, and the weight of the relay."""
    by_ends = {(p.source, p.target): p for p in network.projections}
    excite, inhibit = by_ends[(LABEL, network.output)], by_ends[(RELAY, network.output)]
    weight = float(np.abs(np.diag(inhibit.weights)).mean()) * 2.0**inhibit.exponent
    given = float(np.abs(np.diag(excite.weights)).mean()) * 2.0**excite.exponent / network.spacing
    return given / weight, weight


def input_rates(network: StockNetwork, payloads: Integers) -> Tensor:
    """Spikes per step of pixels and bias unit for payloads of shape [B, N], of shape [B, N + 1]."""
    one = 1 << network.encoder.activation_bits
    values = np.concatenate([payloads, np.full((len(payloads), 1), one)], axis=1)
    return torch.tensor(values / (one * network.spacing), dtype=torch.float64)


def _wiring(network: StockNetwork) -> list[StockProjection]:
    """The transmitting projections between input, hidden and output populations."""
    names = {INPUT, *(population.name for population in network.moving)}
    return [p for p in network.projections if p.transmits and p.source in names and p.target in names]
