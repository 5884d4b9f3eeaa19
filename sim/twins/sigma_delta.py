"""Sigma-delta networks in torch: the same integers as `sim.backends.reference`, differentiable, unrolled.

A receiver holds the sum of all graded spikes so far, so its input is that of the senders' present values:

    a(t) = drive + sum over projections of (s(t - 1) << shift) W,    s = round(activation(u)) in payload units

`drive`, from the sources, is constant and computed once. States are floats that hold integers in state units; with
`rounds` false nothing is rounded, which is the network of `sim.oracles.equilibrium` in other units.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from neuro.spec.parity import skips_silence
from neuro.spec.sigma_delta import NetworkSpec
from sim.twins.base import Twin, TwinOutputs, carry
from sim.twins.fixed import SPIKES, drawn
from sim.twins.settling import settled
from sim.twins.sigma_delta_graph import SigmaDeltaGraph
from sim.twins.surrogates import Surrogate
from sim.twins.synapses import largest_input
from sim.twins.units import FLOAT32_INTEGERS, Relaxation, State, unroll


def exact_dtype(spec: NetworkSpec) -> torch.dtype:
    """The type of states: float32 if it holds every integer of any run of `spec`, else float64, which always does.

    Sums at a neuron are whole multiples of the smallest scale among its projections; changes are clipped at `reach`.
    """
    for population in spec.moving:
        neuron = spec.unit(population.name)
        incoming = [p for p in spec.projections if p.target == population.name]
        largest = np.zeros(population.size)
        for p in incoming:
            largest += largest_input(spec, p)
        scale = 1 << min((spec.shift_of(p) for p in incoming), default=0)
        reach = Relaxation.of(neuron, True, 0.0).reach * neuron.step_multiplier
        span = max(neuron.upper, -neuron.lower) + (1 << neuron.send_shift)
        if max(largest.max(initial=0.0) / scale, reach, 2 * span) >= FLOAT32_INTEGERS:
            return torch.float64
    return torch.float32


class SigmaDeltaTwin(Twin):
    """The twin of a sigma-delta network. Scores are the total input a = W^T s + b of the output, in real units.

    a is that of the last step, which decides the state of the output at that step. "rate": the float relaxation.
    dtype: of a relaxed twin; integers choose their own.
    noise: of an input that generates spikes, one of `sim.twins.fixed.NOISES`. The twin is given the counts of the whole
    window at once, and unrolls the steps after it: the network comes to rest then.
    """

    spec: NetworkSpec
    comes_to_rest: ClassVar[bool] = True

    def __init__(
        self, spec: NetworkSpec, surrogate: Surrogate, mode: str, steps: int | None, every: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:  # fmt: skip
        super().__init__(spec, surrogate, mode, spec.free_steps - spec.window, steps, every)
        dtype = exact_dtype(spec) if self.rounds else dtype
        self.graph = SigmaDeltaGraph(spec, self.firing, self.rounds, dtype)
        self.noise, self._passes = SPIKES, 0
        self.unit = float(self.graph.units[spec.output].one)

    @property
    def has_thresholds(self) -> bool:
        """See `Twin.has_thresholds`."""
        return any(unit.threshold > 0 for unit in self.graph.units.values())

    @property
    def payload_bits(self) -> int:
        """See `Twin.payload_bits`."""
        return min(super().payload_bits, *(unit.activation_bits for unit in self.graph.units.values()))

    def payloads(self, images: Tensor) -> Tensor:
        """See `Twin.payloads`; of an input that generates spikes their counts, drawn anew in every pass."""
        given = super().payloads(images)
        if not self.spec.window:
            return given
        self._passes += 1
        generator = torch.Generator(device=given.device).manual_seed(self._passes)
        return drawn(given, self.spec.window, self.noise, generator)

    def run(self, payloads: Tensor, steps: int) -> TwinOutputs:
        """See `Twin.run`."""
        return self.outputs_of(self.settle(self.graph.drive(payloads), steps))

    def rate_outputs(self, payloads: Tensor, steps: int) -> TwinOutputs:
        """See `Twin.rate_outputs`: the same network without rounding."""
        with torch.no_grad():
            exact = self.run(payloads, steps)
        smooth = self.graph.unrounded()
        drive = smooth.drive(payloads)
        if not self.every:
            return carry(self.outputs_of(settled(smooth, drive, steps, False)), exact)
        state = unroll(lambda s, t: smooth.step(s, drive, t), smooth.rest(drive), steps, self.every)
        return carry(self.outputs_of(state), exact)

    def settle(self, drive: State, steps: int) -> State:
        """The state of the graph after `steps` free steps from rest."""
        rests = self.rounds and skips_silence(self.spec, self.spec.parity)
        if not torch.is_grad_enabled() or (self.firing.straight and not self.every):
            return settled(self.graph, drive, steps, rests)
        return unroll(lambda s, t: self.graph.step(s, drive, t), self.graph.rest(drive), steps, self.every, rests)

    def outputs_of(self, state: State) -> TwinOutputs:
        """Scores and states, in real units, from the state of the graph."""
        output = self.spec.output
        return TwinOutputs(state[f"a {output}"] / self.unit, state[f"u {output}"] / self.unit)
