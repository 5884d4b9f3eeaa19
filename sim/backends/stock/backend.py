"""The emulator, backend "chip": stock networks in integers, batched for inference, learning one sample after the other.

Checked: equal to Lava, spike for spike and weight for weight (tests/contract, benchmarks.lava_equality).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from neuro.base.arrays import Int16, Int32
from neuro.base.errors import UserError
from neuro.coding.chain import is_chain
from neuro.spec.network import Network
from neuro.stock.family import StockFamily
from neuro.stock.network import StockNetwork
from sim.backends.chain import ChainSession, open_chain
from sim.backends.presentation import Lesson, Presentation
from sim.backends.protocol import Backend, Capabilities
from sim.backends.record import LearningOutcome, Record
from sim.backends.session import Rates
from sim.backends.stock.emulator import emulate
from sim.backends.stock.learning import LearningEmulator
from sim.backends.stock.record import join_records, make_record
from sim.backends.stock.session import StockSession, commit_pairs, engine_rules, learned_names, stock_inputs
from sim.backends.stock.structured import StructuredEmulator, why_not

AT_ONCE = 128  # images whose spikes are in memory at once
LEARNED_AT_ONCE = 32


class EmulatorSession(StockSession):
    """A stock network opened on the emulator."""

    backend = "chip"

    def __init__(self, network: StockFamily, threads: int | None) -> None:
        super().__init__(network)
        self.threads = threads

    def _present(self, shown: Presentation) -> Record:
        records = []
        for batch in shown.batches(AT_ONCE):
            graph, inputs, biases = stock_inputs(self.spec, batch.payloads, batch.targets, self.threads)
            run = emulate(graph, inputs, self.threads, biases)
            records.append(make_record(self.spec, self.backend, batch, run))
        return join_records(records)

    def _learn(self, lesson: Lesson, rates: Rates) -> LearningOutcome:
        """Neurons and traces start empty; the noise goes on from the presentations so far, and weights from what they
        are, odd ones too.
        """
        network = self.spec
        if not network.plastic:
            raise UserError("backend chip: the network has no rule of the learning engine; graded ones learn on events")
        rules = engine_rules(rates)
        plastic = tuple(replace(p, rule=rules[p.name]) if p.name in rules else p for p in network.projections)
        time = lesson.first_image * len(network.phases())
        graph = replace(network.graph, projections=plastic)
        if network.kind == StockNetwork.kind:
            own: Any = network
            learner: StockNetwork = replace(own, graph=graph)
            if why_not(learner) is None:
                return self._learn_structured(lesson, StructuredEmulator(learner, time=time))
        return self._learn_steps(lesson, LearningEmulator(graph, time=time))

    def _learn_structured(self, lesson: Lesson, emulator: StructuredEmulator) -> LearningOutcome:
        """Learn with what networks of images have in common."""
        network = self.spec
        emulator.set_weights(self.weights())
        phases, predictions = int(network.phases().max()), list[Int32]()
        counts = {p.name: np.zeros(2 + phases, dtype=np.int64) for p in network.populations}
        for batch in lesson.batches(network.commit_every or max(len(lesson.payloads), 1)):
            learned = emulator.learn(batch.payloads, batch.targets.argmax(axis=1))
            for pair in commit_pairs(network):  # after every `commit_every` samples, and after the last
                emulator.commit(pair)
            for name, found in learned.counts.items():
                counts[name][1:] += found
            predictions.append(learned.output.argmax(axis=1).astype(np.int32))
        self._keep(emulator.weights())
        return LearningOutcome(np.concatenate(predictions), counts)

    def _learn_steps(self, lesson: Lesson, emulator: LearningEmulator) -> LearningOutcome:
        """Learn step by step: any network and rule."""
        network = self.spec
        emulator.set_weights(self.weights())
        phases, predictions = network.phases(), list[Int32]()
        steps = len(phases)
        counts = {p.name: np.zeros(2 + int(phases.max()), dtype=np.int64) for p in network.populations}
        for batch in lesson.batches(network.commit_every or LEARNED_AT_ONCE):
            inputs = network.learning_inputs(batch.payloads, batch.targets.argmax(axis=1))
            run = emulator.run(inputs.reshape(-1, inputs.shape[2]))
            for pair in commit_pairs(network):
                emulator.commit(pair)
            for name, spikes in run.spikes.items():
                per_step = spikes[0].sum(axis=1, dtype=np.int32).reshape(-1, steps).sum(axis=0, dtype=np.int64)
                counts[name][1:] += np.bincount(phases, per_step, len(counts[name]) - 1).astype(np.int64)
            output = run.spikes[network.output].reshape(-1, steps, network.n_classes)
            predictions.append(network.scores({network.output: output}).argmax(axis=1).astype(np.int32))
        self._keep({**emulator.weights(), **emulator.still_weights()})
        return LearningOutcome(np.concatenate(predictions), counts)

    def _keep(self, weights: Mapping[str, Int16]) -> None:
        """Go on from what was learned."""
        self._spec = self.spec.with_weights({name: weights[name] for name in learned_names(self.spec)})


class EmulatorBackend(Backend[StockFamily]):
    """Stock processes in integers, compiled."""

    name = "chip"
    capabilities = Capabilities(frozenset({"stock"}), learns=True, batches=False)

    def open(self, spec: Network, *, threads: int | None = None, batch_size: int = 1) -> EmulatorSession | ChainSession:
        """Open a network. batch_size must be 1: the engine learns while it runs. Behind a coder: on backend events."""
        if is_chain(spec):
            return open_chain(self.name, spec, threads)
        return EmulatorSession(self.admitted(spec, threads, batch_size), threads)
