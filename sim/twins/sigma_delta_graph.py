"""The sigma-delta units of a twin, step by step."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.sigma_delta import NetworkSpec
from sim.twins.surrogates import Firing, Surrogate
from sim.twins.synapses import synapses_of
from sim.twins.units import Relaxation, State, relax, shrink, straight, threshold_slopes


def activation(u: Tensor, neuron: SigmaDelta, surrogate: Surrogate) -> Tensor:
    """The payload of a unit in state u, of shape [B, N] in state units, before it is rounded."""
    if neuron.threshold == 0:
        return u
    return shrink(u, neuron.threshold, neuron.hard, surrogate.threshold_slope, surrogate.threshold_band)


class SigmaDeltaGraph(nn.Module):
    """The populations and projections of a spec, stepped in parallel or in turn, as its schedule says.

    State: for each moving population NAME, "u NAME" (state units) and "s NAME" (payload units), and "a NAME", the input
    of the last step; each of shape [B, N].
    """

    def __init__(self, spec: NetworkSpec, firing: Firing, rounds: bool, dtype: torch.dtype) -> None:
        super().__init__()
        self.spec, self.firing, self.rounds, self.dtype = spec, firing, rounds, dtype
        self.units = {p.name: spec.unit(p.name) for p in spec.moving}
        self.relaxations = {
            name: Relaxation.of(unit, rounds, firing.surrogate.box_slope, firing.surrogate.reach)
            for name, unit in self.units.items()
        }
        # In state units per unit of payload.
        self.synapses = nn.ModuleList(synapses_of(spec, p, 2.0 ** spec.shift_of(p), dtype) for p in spec.projections)
        self.recurrent = [(i, p.source, p.target) for i, p in enumerate(spec.projections) if p.source in self.units]
        self.feeding = [(i, p.source, p.target) for i, p in enumerate(spec.projections) if p.source not in self.units]
        self.constants = {name: f"constant_{k}" for k, name in enumerate(self.units)}
        for name, buffer in self.constants.items():
            self.register_buffer(buffer, self._constant(name))

    def _constant(self, name: str) -> Tensor:
        """What sources that always send the same give a population, of shape [1, M]."""
        given = torch.zeros(1, self.spec.population(name).size, dtype=self.dtype)
        for index, source, target in self.feeding:
            constant = self._sent_always(source)
            if target == name and constant is not None:
                sent = torch.full((1, self.spec.population(source).size), constant, dtype=self.dtype)
                given = self.synapses[index].added(given, sent)
        return given

    def _sent_always(self, source: str) -> int | None:
        neuron = self.spec.population(source).neuron
        assert isinstance(neuron, Source)  # feeding
        return neuron.constant

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.buffers()).device

    def drive(self, payloads: Tensor) -> State:
        """The constant input of every moving population; payloads of shape [B, N] of the input population."""
        given = payloads.to(self.dtype)
        drive = {n: self.get_buffer(constant).expand(len(given), -1) for n, constant in self.constants.items()}
        for index, source, target in self.feeding:
            if self._sent_always(source) is None:
                drive[target] = self.synapses[index].added(drive[target], given)
        return drive

    def rest(self, drive: State) -> State:
        """The state at the presentation: all zero."""
        zeros = {name: torch.zeros_like(part) for name, part in drive.items()}
        return {f"{kind} {name}": zero for name, zero in zeros.items() for kind in "usa"}

    def unrounded(self) -> SigmaDeltaGraph:
        """The same graph, with the same tensors, that rounds nothing."""
        smooth = copy.copy(self)
        smooth.rounds = False
        smooth.relaxations = {name: unit._replace(rounds=False) for name, unit in self.relaxations.items()}
        return smooth

    def step(self, state: State, drive: State, time: int, force: Tensor | None = None) -> State:
        """The state one step on. time counts steps from 0; force, of shape [B, K], is added to the output.

        A population whose turn it is not keeps its state, and the input that this state answered.
        """
        total = self._totals(state, drive) if time > 0 else dict(drive)  # at the first step only the sources have sent
        new: State = {}
        for name, unit in self.units.items():
            if self.spec.parity[name] == time % 2:  # the step is time + 1
                new |= {key: state[key] for key in (f"u {name}", f"a {name}", f"s {name}")}
                continue
            pushed = total[name] if force is None or name != self.spec.output else total[name] + force
            u = relax(pushed, state[f"u {name}"], self.relaxations[name])
            new[f"u {name}"], new[f"a {name}"] = u, total[name]
            new[f"s {name}"] = self._sent(u, unit, (name, time))
        return new

    def totals(self, state: State, drive: State) -> State:
        """The input a of every moving population, given its states "u NAME" and its drive."""
        sent = {f"s {name}": self._sent(state[f"u {name}"], unit, (name, 0)) for name, unit in self.units.items()}
        return self._totals(sent, drive)

    def _totals(self, state: State, drive: State) -> State:
        total = dict(drive)
        for index, source, target in self.recurrent:
            total[target] = total[target] + self.synapses[index](state[f"s {source}"])
        return total

    def send_slope(self, u: Tensor, neuron: SigmaDelta) -> Tensor:
        """The derivative of the payload of a unit in state u, payload units per state unit, rounding left out."""
        if neuron.threshold == 0:
            return torch.full_like(u, 2.0**-neuron.send_shift)
        chosen = self.firing.surrogate
        slopes = threshold_slopes(u, neuron.threshold, neuron.hard, chosen.threshold_slope, chosen.threshold_band)
        return slopes * 2.0**-neuron.send_shift

    def _sent(self, u: Tensor, neuron: SigmaDelta, key: tuple[str, int]) -> Tensor:
        """The s_hat after this step, in payload units: the rounded activation."""
        payload = activation(u, neuron, self.firing.surrogate) * 2.0**-neuron.send_shift
        if not self.rounds:
            return payload
        rounded = torch.floor(payload.detach() + 0.5)
        return straight(self.firing.staircase(payload, key), rounded)
