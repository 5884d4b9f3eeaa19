"""The executable definition: the equations of `neuro` in plain numpy, one line each, no cleverness.

Slow on purpose; every other backend must return these integers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neuro.base.arrays import Int8, Int16, Int64, Integers, UInt32
from neuro.base.fixed_point import (
    image_keys,
    round_shift,
    saturate,
    stochastic_shift,
    stream_key,
    synapse_bits,
)
from neuro.coding.chain import is_chain
from neuro.spec.network import Network
from neuro.spec.neurons import Source, generated
from neuro.spec.plasticity import NeuronTrace, Rate, evaluate
from neuro.spec.schedule import CONSTANT
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.chain import ChainSession, open_chain
from sim.backends.checks import check_learning
from sim.backends.presentation import Lesson, Presentation, keys_of
from sim.backends.protocol import Backend, Capabilities
from sim.backends.record import LearningOutcome, Record, record_from_history, settling_of
from sim.backends.session import Rates, SigmaDeltaSession


class Relaxation:
    """State of all populations for B images at once, advanced step by step."""

    def __init__(self, spec: NetworkSpec, weights: Mapping[str, Int64], payloads: Integers, keys: UInt32) -> None:
        self.spec, self.chances, self.keys = spec, payloads, keys[:, None]
        self.weights = {p.name: spec.matrix_of(p, weights[spec.original_of(p).name]) for p in spec.projections}
        shape = {p.name: (len(payloads), p.size) for p in spec.populations}
        self.accumulated = {name: np.zeros(shape[name], dtype=np.int64) for name in shape}
        self.state = {name: np.zeros(shape[name], dtype=np.int64) for name in shape}
        self.sent = {name: np.zeros(shape[name], dtype=np.int64) for name in shape}
        self.spike = {name: np.zeros(shape[name], dtype=np.int64) for name in shape}
        for population in spec.populations:
            if isinstance(population.neuron, Source):
                constant = population.neuron.constant
                given = payloads if population.neuron.window == 0 else np.zeros_like(payloads)
                value = given if constant is None else np.full(shape[population.name], constant)
                self.spike[population.name] = value.astype(np.int64)
                self.sent[population.name] = value.astype(np.int64)

    def pull(self, targets: Int64) -> Int64:
        """The force of a nudge on the output as it is now, of shape [B, K], in state units."""
        schedule = self.spec.schedule
        return (targets - self.state[self.spec.output]) * schedule.nudge_multiplier >> schedule.nudge_shift

    def step(self, time: int, forces: Mapping[str, Int64]) -> None:
        """Deliver the last step's spikes, then update every neuron whose turn it is.

        forces: by population, of shape [B, N]: what is added to the input.
        """
        for projection in self.spec.projections:
            payload = self.spike[projection.source] << self.spec.shift_of(projection)
            self.accumulated[projection.target] += payload @ self.weights[projection.name]
        for population in self.spec.populations:
            neuron, name = population.neuron, population.name
            if isinstance(neuron, Source) and time <= neuron.window:
                units = np.arange(population.size, dtype=np.uint32)
                self.spike[name] = generated(self.chances, self.keys, units, time).astype(np.int64)
                self.sent[name] = self.sent[name] + self.spike[name]
                continue
            if isinstance(neuron, Source) or self.spec.parity[name] == 1 - time % 2:
                self.spike[name] = np.zeros_like(self.spike[name])
                continue
            total = self.accumulated[name] + forces.get(name, 0)
            moved = self.state[name] + ((total - self.state[name]) * neuron.step_multiplier >> neuron.step_shift)
            self.state[name] = saturate(moved, neuron.lower, neuron.upper)
            self.spike[name] = neuron.activation(self.state[name]) - self.sent[name]
            self.sent[name] = self.sent[name] + self.spike[name]


class ReferenceSession(SigmaDeltaSession):
    """A spec opened on the reference; holds the full-resolution weights while it learns."""

    backend, takes_currents = "reference", True

    def __init__(self, spec: NetworkSpec, batch_size: int = 1) -> None:
        super().__init__(spec)
        self.batch_size = batch_size
        self._full = {
            p.name: p.weights.astype(np.int64) << (p.rule.shadow_bits if p.rule else 0)
            for p in spec.projections
            if p.weights is not None
        }

    def _effective(self) -> dict[str, Int64]:
        shadow = {p.name: p.rule.shadow_bits if p.rule else 0 for p in self.spec.projections}
        return {name: round_shift(full, shadow[name]) for name, full in self._full.items()}

    def _present(self, shown: Presentation) -> Record:
        return record_from_history(self.spec, self.backend, shown, self._history(shown))

    def _history(self, shown: Presentation) -> dict[str, dict[str, Int64]]:
        """By population: spikes and states of shape [B, 1 + steps, N]."""
        spec, schedule, signs = self.spec, self.spec.schedule, self._signs(shown)
        network = Relaxation(spec, self._effective(), shown.payloads, keys_of(shown))
        goal = None if shown.targets is None else shown.targets.astype(np.int64)
        phases = schedule.phase_of_step() if goal is not None else schedule.phase_of_step()[: schedule.ends[0] + 1]
        spikes = {p.name: [network.spike[p.name]] for p in spec.populations}
        states = {p.name: [network.state[p.name]] for p in spec.populations}
        held: Int64 | None = None
        for time, phase in enumerate(phases[1:], 1):
            nudge, forces = schedule.phases[phase].nudge, dict[str, Int64]()
            if nudge and goal is not None:
                pushes = {spec.output: network.pull(goal) if held is None else held, **(shown.currents or {})}
                forces = {name: signs[:, None] * nudge * push for name, push in pushes.items()}
            network.step(time, forces)
            if schedule.force == CONSTANT and goal is not None and time == schedule.ends[0]:
                held = network.pull(goal)
            for p in spec.populations:
                spikes[p.name].append(network.spike[p.name])
                states[p.name].append(network.sent[p.name] if isinstance(p.neuron, Source) else network.state[p.name])
        return {p.name: {"spikes": np.stack(spikes[p.name], 1), "states": np.stack(states[p.name], 1)}
                for p in spec.populations}  # fmt: skip

    def _learn(self, lesson: Lesson, rates: Rates) -> LearningOutcome:
        """`batch_size` images see the same weights, then update in order."""
        chosen, records, nudged = check_learning(self.spec, rates), list[Record](), list[Int64]()
        for batch in lesson.batches(self.batch_size):
            images = list(batch.batches(1))
            histories = [self._history(image) for image in images]
            for image, history in zip(images, histories, strict=True):
                records.append(record_from_history(self.spec, self.backend, image, history))
                nudged.append(history[self.spec.output]["states"][:, self.spec.schedule.ends[-2:]])
                self._update(history, chosen, image)
        counts = {p.name: sum(r.spike_counts[p.name].sum(0) for r in records) for p in self.spec.populations}
        return LearningOutcome(
            np.concatenate([r.predictions for r in records]), counts, settling_of(records, np.concatenate(nudged))
        )

    def _update(self, history: Mapping[str, Mapping[str, Int64]], rates: Mapping[str, Rate], image: Lesson) -> None:
        traces = {name: trace_of(self.spec, name, history) for name in history}
        sign = int(self._signs(image)[0])
        key = image_keys(image.seed, image.first_image, 1)
        for index, projection in enumerate(self.spec.projections):
            if projection.rule is None:
                continue
            synapses = evaluate(projection.rule, traces[projection.source], traces[projection.target], sign)
            change = self.spec.shared_change(projection, synapses)
            rate, shadow = rates[projection.name], projection.rule.shadow_bits
            weights = np.arange(change.size, dtype=np.uint32).reshape(change.shape)
            bits = synapse_bits(stream_key(key, index), weights).astype(np.int64)
            scaled = change * rate.mantissa << max(shadow - rate.exponent, 0)
            step = stochastic_shift(scaled, max(rate.exponent - shadow, 0), bits)
            limit = projection.limit << shadow
            self._full[projection.name] = saturate(self._full[projection.name] + step, -limit, limit)

    def weights(self) -> dict[str, Int8]:
        """The rounded weights of now."""
        return {name: values.astype(np.int8) for name, values in self._effective().items()}

    def full_weights(self) -> dict[str, Int16]:
        """A copy of the plastic weights with their shadow bits."""
        return {p.name: self._full[p.name].astype(np.int16) for p in self.spec.plastic}

    def restore(self, full: Mapping[str, Integers]) -> None:
        """Set the plastic weights to what `full_weights` returned."""
        self._full.update({name: values.astype(np.int64) for name, values in full.items()})


def trace_of(spec: NetworkSpec, name: str, history: Mapping[str, Mapping[str, Int64]]) -> NeuronTrace:
    """The trace of population `name` that a rule may read, for the first image of a history of all phases."""
    spikes, states = history[name]["spikes"][0], history[name]["states"][0]
    first, second = spec.schedule.ends[-2], spec.schedule.ends[-1]
    trace = np.cumsum(spikes, axis=0)
    return NeuronTrace(spikes[first + 1 : second + 1], trace[first], trace[second], states[first], states[second])


class ReferenceBackend(Backend[NetworkSpec]):
    """The definition itself, in plain numpy, as a backend."""

    name = "reference"
    capabilities = Capabilities(frozenset({"sigma-delta"}), learns=True)

    def open(
        self, spec: Network, *, threads: int | None = None, batch_size: int = 1
    ) -> ReferenceSession | ChainSession:
        """Open `spec`; `threads` makes no difference here, unless to a coder of stock processes in front."""
        if is_chain(spec):
            return open_chain(self.name, spec, threads)
        return ReferenceSession(self.admitted(spec, threads, batch_size), batch_size)
