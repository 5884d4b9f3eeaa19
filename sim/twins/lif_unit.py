"""LIF neurons of the stock family as snnTorch neurons.

snnTorch's own `Synaptic` (a current and a voltage, both leaky, reset to zero) is the float form of the chip's LIF, and
is what the relaxed twin runs. The integers it cannot run: the chip truncates the decayed current and the decayed
voltage each towards zero before it adds, wraps the current at 24 bits and saturates the voltage, while snnTorch offers
one hook, `state_quant`, on the finished sum. `IntegerNeuron` therefore keeps snnTorch's base class, threshold and
surrogate, and brings its own step.
"""

from __future__ import annotations

from collections.abc import Hashable

import snntorch
import torch
from torch import Tensor

from neuro.stock.processes import LIF
from sim.twins.surrogates import Firing
from sim.twins.units import Integration, bound_gradient, integrate


class Trigger:
    """The `spike_grad` of a snnTorch neuron: H(x) with our surrogates, x relative to the threshold.

    key: population and time step of the next call, for surrogates that keep statistics.
    """

    def __init__(self, firing: Firing, scale: float) -> None:
        self.firing, self.scale = firing, scale
        self.key: Hashable = None

    def __call__(self, x: Tensor) -> Tensor:
        """The step H(x), 1 where x > 0; x in units of the voltage."""
        return bound_gradient(self.firing.spike(x, self.key, self.scale))


def threshold_of(neuron: LIF) -> float:
    """The threshold in units of the voltage."""
    return float(neuron.threshold << 6)


def _unlist(neuron: snntorch.SpikingNeuron) -> None:
    """Take a neuron off snnTorch's class-level list, which would keep it alive for ever."""
    listed = snntorch.SpikingNeuron.instances
    listed[:] = [other for other in listed if other is not neuron]


class IntegerNeuron(snntorch.SpikingNeuron):
    """A LIF population in the chip's integers: see `neuro.stock.processes.LIF`. It holds no state."""

    def __init__(self, neuron: LIF, firing: Firing, reach: float) -> None:
        threshold = threshold_of(neuron)
        super().__init__(threshold, Trigger(firing, max(threshold, 1.0)), reset_mechanism="zero")
        _unlist(self)
        self.unit = Integration.of(neuron, reach)

    def forward(self, drive: Tensor, u: Tensor, v: Tensor, key: Hashable) -> tuple[Tensor, Tensor, Tensor]:
        """Spikes, current and voltage after a step; all of shape [B, N], float64."""
        current, voltage = integrate(drive, u, v, self.unit)
        self.spike_grad.key = key
        spikes = self.fire(voltage)
        return spikes, current, voltage * (1.0 - spikes.detach())


class FloatNeuron(snntorch.Synaptic):
    """The same population in floats: snnTorch's own neuron, without rounding, wrapping or saturation."""

    def __init__(self, neuron: LIF, firing: Firing) -> None:
        unit, threshold = Integration.of(neuron, 0.0), threshold_of(neuron)
        super().__init__(
            alpha=torch.tensor(unit.keep_u, dtype=torch.float64),
            beta=torch.tensor(unit.keep_v, dtype=torch.float64),
            threshold=threshold,
            spike_grad=Trigger(firing, max(threshold, 1.0)),
            reset_mechanism="zero",
            reset_delay=False,
        )
        _unlist(self)
        self.bias = unit.bias

    def forward(self, drive: Tensor, u: Tensor, v: Tensor, key: Hashable) -> tuple[Tensor, Tensor, Tensor]:
        """Spikes, current and voltage after a step; all of shape [B, N], float64."""
        self.spike_grad.key = key
        spikes, current, voltage = super().forward(drive * 64.0, u, v)
        self.reset_mem()  # leaves no graph behind
        return spikes, current, voltage

    def _base_state_function(self, drive: Tensor) -> tuple[Tensor, Tensor]:
        current, voltage = super()._base_state_function(drive)
        return current, voltage + self.bias
