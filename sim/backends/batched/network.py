"""The steps of a batch of images in torch: the equations of `sim.backends.reference` in 32-bit integers.

A receiver holds the sum of all graded spikes so far, so its input is that of the senders' present values:

    a(t) = drive + sum over projections of (s(t - 1) W << shift)

Nothing in the loop waits for the device, and no shape depends on data: one chunk is a fixed sequence of kernels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from neuro.base.fixed_point import CHANCE_BITS, round_shift
from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.parity import skips_silence
from neuro.spec.schedule import CONSTANT
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.batched.random_bits import random_bits
from sim.backends.batched.synapses import Synapses, make_synapses

Populations = dict[str, Tensor]


class Batch(NamedTuple):
    """What to run: payloads int32 [B, N], targets int32 [B, K] or None for the free phase, signs int32 [B].

    streams: int32 [B, window], of the spikes that the input draws (`spike_streams`). currents: by population int32
    [B, N], or None.
    """

    payloads: Tensor
    targets: Tensor | None
    signs: Tensor
    streams: Tensor
    currents: Populations | None = None


class Moment(NamedTuple):
    """All populations after one step, each of shape [B, N]. Constant sources have B = 1."""

    step: int
    state: Populations  # u of moving populations
    sent: Populations  # s_hat of all
    spikes: Populations  # payloads sent at this step; sources at step 0 only, unless they generate spikes


class _Link(NamedTuple):
    """One projection: a_target += (values @ W) * scale."""

    source: str
    target: str
    synapses: Synapses
    transposed: bool
    scale: int


class TorchNetwork:
    """Populations and projections of a spec on one device. Weights are set by `load`."""

    def __init__(self, spec: NetworkSpec, device: torch.device) -> None:
        self.spec, self.device = spec, device
        self.synapses = {p.name: make_synapses(spec, p, device) for p in spec.projections if p.weights is not None}
        links = [
            _Link(
                p.source, p.target, self.synapses[spec.original_of(p).name], p.transpose_of is not None,
                p.sign << spec.shift_of(p),
            )
            for p in spec.projections
        ]  # fmt: skip
        self.units = {p.name: p.neuron for p in spec.populations if isinstance(p.neuron, SigmaDelta)}
        self.skips = spec.schedule.force == CONSTANT and skips_silence(spec, spec.parity)
        self._feeding = [link for link in links if link.source not in self.units]
        self._recurrent = [link for link in links if link.source in self.units]

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Set the weights of the named projections, integers on this device."""
        for name, values in weights.items():
            self.synapses[name].load(values)

    def _present(self, payloads: Tensor) -> Populations:
        """The values that the sources send."""
        sent = {}
        for population in self.spec.populations:
            neuron = population.neuron
            if isinstance(neuron, Source):
                sent[population.name] = payloads if neuron.window == 0 else torch.zeros_like(payloads)
                if neuron.constant is not None:
                    sent[population.name] = payloads.new_full((1, population.size), neuron.constant)
        return sent

    def steps(self, batch: Batch, last_step: int, skip: bool = False) -> Iterator[Moment]:
        """Yield every step from 0, the presentation, to `last_step`.

        skip: leave out what is left of a phase in which nothing can change any more, but for its last step. That waits
        for the device at every step.
        """
        sources = self._present(batch.payloads)
        zeros = {n: batch.payloads.new_zeros(len(batch.payloads), self.spec.population(n).size) for n in self.units}
        state, sent = zeros, {**sources, **zeros}
        yield Moment(0, state, sent, dict(sources))
        drive = zeros | self._arrived(self._feeding, sent, {})
        entry, window = self.spec.input, batch.streams.shape[1]
        phases = self.spec.schedule.phase_of_step()
        schedule, parity, held = self.spec.schedule, self.spec.parity, None
        quiet, silent_until = 0, 0
        for step in range(1, last_step + 1):
            if step < silent_until:
                continue
            total = self._arrived(self._recurrent, sent, drive) if step > 1 else drive
            total = self._nudged(total, state, batch, schedule.phases[phases[step]].nudge, held)
            turn = {name: unit for name, unit in self.units.items() if parity[name] != 1 - step % 2}
            state = state | {name: move(state[name], total[name], unit) for name, unit in turn.items()}
            values = {
                name: activation(state[name], u) if name in turn else sent[name] for name, u in self.units.items()
            }
            if schedule.force == CONSTANT and batch.targets is not None and step == schedule.ends[0]:
                held = self._pull(state, batch.targets)
            if step <= window:
                drawn = self._generated(batch, step)
                sources = {**sources, entry: sources[entry] + drawn}
            spikes = {name: values[name] - sent[name] for name in values}
            if step <= window:
                spikes[entry] = drawn
            yield Moment(step, state, {**sources, **values}, spikes)
            sent = {**sources, **values}
            if step <= window:
                drive = zeros | self._arrived(self._feeding, sent, {})
            elif skip and self.skips:
                quiet = 0 if any(bool(part.any()) for part in spikes.values()) else quiet + 1
                end = schedule.ends[phases[step]]
                quiet, silent_until = (0, 0) if step == end else (quiet, end if quiet >= 2 else 0)

    def _generated(self, batch: Batch, step: int) -> Tensor:
        """The spikes, 0 or 1, of shape [B, N], that the input generates: `neuro.spec.neurons.Generator`."""
        units = torch.arange(batch.payloads.shape[1], dtype=torch.int32, device=batch.payloads.device)
        bits = random_bits(batch.streams[:, step - 1, None], units)
        drawn = (bits >> (32 - CHANCE_BITS)) & ((1 << CHANCE_BITS) - 1)  # int32: the shift repeats the sign
        return (drawn < batch.payloads).to(batch.payloads.dtype)

    def _arrived(self, links: list[_Link], sent: Populations, drive: Populations) -> Populations:
        """The sum of `drive` and what `links` deliver."""
        total = dict(drive)
        for link in links:
            arrived = link.synapses.product(sent[link.source], link.transposed)
            if link.scale != 1:
                arrived = arrived * link.scale
            total[link.target] = total[link.target] + arrived if link.target in total else arrived
        return total

    def _nudged(
        self, total: Populations, state: Populations, batch: Batch, nudge: int, held: Tensor | None
    ) -> Populations:
        """`total` with the force of the nudge on the output, the one `held` or that of `state`, and with currents."""
        if not nudge or batch.targets is None:
            return total
        pull = self._pull(state, batch.targets) if held is None else held
        pushes, signs = {self.spec.output: pull, **(batch.currents or {})}, (batch.signs * nudge)[:, None]
        return {**total, **{name: total[name] + push * signs for name, push in pushes.items()}}

    def _pull(self, state: Populations, targets: Tensor) -> Tensor:
        """The force of a nudge on the output in `state`, of shape [B, K], in state units."""
        schedule = self.spec.schedule
        pull: Tensor = (targets - state[self.spec.output]) * schedule.nudge_multiplier >> schedule.nudge_shift
        return pull


def move(state: Tensor, total: Tensor, unit: SigmaDelta) -> Tensor:
    """The u one step on: see `neuro.spec.neurons.SigmaDelta`."""
    moved = state + ((total - state) * unit.step_multiplier >> unit.step_shift)
    return moved.clamp_(unit.lower, unit.upper)


def activation(state: Tensor, unit: SigmaDelta) -> Tensor:
    """The value that a unit in `state` tells its receivers, in payload units: `SigmaDelta.activation` in tensors."""
    if unit.threshold:
        beyond = state - state.clamp(-unit.threshold, unit.threshold)
        state = beyond + beyond.sign() * unit.threshold if unit.hard else beyond
    sent: Tensor = round_shift(state, unit.send_shift)
    return sent
