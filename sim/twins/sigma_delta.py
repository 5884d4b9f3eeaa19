"""Sigma-delta networks in torch: the same integers as `sim.backends.reference`, differentiable, unrolled.

A receiver holds the sum of all graded spikes so far, so its input is that of the senders' present values:

    a(t) = drive + sum over projections of (s(t - 1) << shift) W,    s = round(activation(u)) in payload units

`drive`, from the sources, is constant and computed once. States are floats that hold integers in state units; with
`rounds` false nothing is rounded, which is the network of `sim.oracles.equilibrium` in other units.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn

from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.sigma_delta import NetworkSpec
from sim.twins.base import Twin, TwinOutputs, carry
from sim.twins.gradients import implicit_gradient, local_gradient
from sim.twins.surrogates import Firing, Surrogate
from sim.twins.units import FLOAT32_INTEGERS, Relaxation, State, relax, straight, unroll


def activation(u: Tensor, neuron: SigmaDelta) -> Tensor:
    """Return what a unit in state u, of shape [B, N] in state units, sends before it is rounded."""
    if neuron.threshold == 0:
        return u
    if neuron.hard:
        return u * (u.abs() > neuron.threshold)
    return u - u.clamp(-neuron.threshold, neuron.threshold)


def exact_dtype(spec: NetworkSpec) -> torch.dtype:
    """Return float32 if it holds every integer of any run of `spec`, else float64, which always does.

    Sums at a neuron are whole multiples of the smallest scale among its projections; changes are clipped at `reach`.
    """
    for population in spec.moving:
        neuron = spec.unit(population.name)
        incoming = [p for p in spec.projections if p.target == population.name]
        largest = np.zeros(population.size)
        for p in incoming:
            limit = spec.population(p.source).neuron.payload_limit << spec.shift_of(p)
            largest += limit * np.abs(spec.weights_of(p).astype(np.int64)).sum(axis=0)
        scale = 1 << min((spec.shift_of(p) for p in incoming), default=0)
        reach = Relaxation.of(neuron, True, 0.0).reach * neuron.step_multiplier
        span = max(neuron.upper, -neuron.lower) + (1 << neuron.send_shift)
        if max(largest.max(initial=0.0) / scale, reach, 2 * span) >= FLOAT32_INTEGERS:
            return torch.float64
    return torch.float32


class SigmaDeltaGraph(nn.Module):
    """The populations and projections of a spec, stepped in parallel.

    State: for each moving population NAME, "u NAME" (state units) and "s NAME" (payload units), and "a NAME", the input
    of the last step; each of shape [B, N].
    """

    def __init__(self, spec: NetworkSpec, firing: Firing, rounds: bool, dtype: torch.dtype) -> None:
        super().__init__()
        self.spec, self.firing, self.rounds, self.dtype = spec, firing, rounds, dtype
        self.units = {p.name: spec.unit(p.name) for p in spec.moving}
        self.relaxations = {
            name: Relaxation.of(unit, rounds, firing.surrogate.box_slope) for name, unit in self.units.items()
        }
        for index, projection in enumerate(spec.projections):
            scaled = spec.weights_of(projection).astype(np.float64) * 2.0 ** spec.shift_of(projection)
            self.register_buffer(f"weights{index}", torch.tensor(scaled, dtype=dtype))
        self.recurrent = [(i, p.source, p.target) for i, p in enumerate(spec.projections) if p.source in self.units]
        self.feeding = [(i, p.source, p.target) for i, p in enumerate(spec.projections) if p.source not in self.units]

    def weights(self, index: int) -> Tensor:
        """Return the weights of projection `index`, of shape [N, M], in state units per unit of payload."""
        return self.get_buffer(f"weights{index}")

    def drive(self, payloads: Tensor) -> State:
        """Return the constant input of every moving population; payloads of shape [B, N] of the input population."""
        batch, given = len(payloads), payloads.to(self.dtype)
        drive = {n: given.new_zeros(batch, self.spec.population(n).size) for n in self.units}
        for index, source, target in self.feeding:
            neuron, weights = self.spec.population(source).neuron, self.weights(index)
            assert isinstance(neuron, Source)  # feeding
            if neuron.constant is None:
                drive[target] = drive[target] + given @ weights
            else:
                drive[target] = drive[target] + neuron.constant * weights.sum(dim=0)
        return drive

    def rest(self, drive: State) -> State:
        """Return the state at the presentation: all zero."""
        zeros = {name: torch.zeros_like(part) for name, part in drive.items()}
        return {f"{kind} {name}": zero for name, zero in zeros.items() for kind in "usa"}

    def unrounded(self) -> SigmaDeltaGraph:
        """Return the same graph, with the same tensors, that rounds nothing."""
        smooth = copy.copy(self)
        smooth.rounds = False
        smooth.relaxations = {name: unit._replace(rounds=False) for name, unit in self.relaxations.items()}
        return smooth

    def step(self, state: State, drive: State, time: int, force: Tensor | None = None) -> State:
        """Return the state one step on. time counts steps from 0; force, of shape [B, K], is added to the output."""
        total = self._totals(state, drive) if time > 0 else dict(drive)  # at the first step only the sources have sent
        new: State = {}
        for name, unit in self.units.items():
            pushed = total[name] if force is None or name != self.spec.output else total[name] + force
            u = relax(pushed, state[f"u {name}"], self.relaxations[name])
            new[f"u {name}"], new[f"a {name}"] = u, total[name]
            new[f"s {name}"] = self._sent(u, unit, (name, time))
        return new

    def totals(self, state: State, drive: State) -> State:
        """Return the input a of every moving population, given its states "u NAME" and its drive."""
        sent = {f"s {name}": self._sent(state[f"u {name}"], unit, (name, 0)) for name, unit in self.units.items()}
        return self._totals(sent, drive)

    def _totals(self, state: State, drive: State) -> State:
        total = dict(drive)
        for index, source, target in self.recurrent:
            total[target] = torch.addmm(total[target], state[f"s {source}"], self.weights(index))
        return total

    def send_slope(self, u: Tensor, neuron: SigmaDelta) -> Tensor:
        """Return the derivative of what a unit in state u sends, payload units per state unit, rounding left out."""
        with torch.enable_grad():
            state = u.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(activation(state, neuron).sum(), state)
        return slope * 2.0**-neuron.send_shift

    def _sent(self, u: Tensor, neuron: SigmaDelta, key: tuple[str, int]) -> Tensor:
        """Return s_hat after this step, in payload units: the rounded activation."""
        payload = activation(u, neuron) * 2.0**-neuron.send_shift
        if not self.rounds:
            return payload
        rounded = torch.floor(payload.detach() + 0.5)
        return straight(self.firing.staircase(payload, key), rounded)


class SigmaDeltaTwin(Twin):
    """The twin of a sigma-delta network. Scores are the total input a = W^T s + b of the output, in real units.

    a is that of the last step, which decides the state of the output at that step. "rate": the float relaxation.
    """

    spec: NetworkSpec

    def __init__(
        self, spec: NetworkSpec, surrogate: Surrogate, mode: str, steps: int | None, every: int, dtype: torch.dtype
    ) -> None:
        super().__init__(spec, surrogate, mode, spec.schedule.ends[0], steps, every)
        self.graph = SigmaDeltaGraph(spec, self.firing, self.rounds, dtype)
        self.unit = float(self.graph.units[spec.output].one)

    def run(self, payloads: Tensor, steps: int) -> TwinOutputs:
        """See `Twin.run`."""
        return self.outputs_of(self.settle(self.graph.drive(payloads), steps))

    def rate_outputs(self, payloads: Tensor, steps: int) -> TwinOutputs:
        """See `Twin.rate_outputs`: the same network without rounding."""
        with torch.no_grad():
            exact = self.run(payloads, steps)
        smooth = self.graph.unrounded()
        drive = smooth.drive(payloads)
        state = unroll(lambda s, t: smooth.step(s, drive, t), smooth.rest(drive), steps, self.every)
        return carry(self.outputs_of(state), exact)

    def settle(self, drive: State, steps: int) -> State:
        """Return the state of the graph after `steps` free steps from rest."""
        return unroll(lambda s, t: self.graph.step(s, drive, t), self.graph.rest(drive), steps, self.every)

    def outputs_of(self, state: State) -> TwinOutputs:
        """Return scores and states, in real units, from the state of the graph."""
        output = self.spec.output
        return TwinOutputs(state[f"a {output}"] / self.unit, state[f"u {output}"] / self.unit)

    def local_gradient(self, images: Tensor, labels: Tensor, nudge: float, steps: int | None = None) -> Tensor:
        """Return d(s_rival - s_label)/d images by two nudged phases: see `twin_gradients.local_gradient`."""
        return local_gradient(self, self._checked(images), labels, nudge, steps)

    def implicit_gradient(self, images: Tensor, labels: Tensor, steps: int | None = None) -> Tensor:
        """Return d(a_rival - a_label)/d images at the fixed point: see `twin_gradients.implicit_gradient`."""
        return implicit_gradient(self, self._checked(images), labels, steps)
