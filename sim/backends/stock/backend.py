"""The chip backend: stock networks in integers, batched for inference, one sample after the other for learning.

Checked: equal to Lava, spike for spike and weight for weight (tests/contract, benchmarks.lava_equality).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from neuro.base.arrays import Integers
from neuro.base.errors import UserError
from neuro.equilibrium.graded_network import AnyStock
from neuro.stock.learning_engine import EngineRule
from neuro.stock.network import StockNetwork
from sim.backends.protocol import Capabilities, check_options
from sim.backends.record import LearningOutcome, Record
from sim.backends.stock.emulator import run_chip
from sim.backends.stock.learning import LearningChip
from sim.backends.stock.record import check_images, join_records, make_record
from sim.backends.stock.session import StockSession, commit_pairs, learned_names, stock_inputs

AT_ONCE = 128  # images whose spikes are in memory at once
LEARNED_AT_ONCE = 32


class ChipSession(StockSession):
    """A stock network opened on the chip's integers."""

    def __init__(self, network: AnyStock, threads: int | None) -> None:
        super().__init__(network)
        self.threads = threads

    def run(
        self,
        payloads: Integers,
        targets: Integers | None = None,
        *,
        seed: int = 0,
        first_image: int = 0,
        keep_states: bool = False,
        keep_spikes: bool = False,
    ) -> Record:
        """See `sim.backends.protocol.Session.run`; with targets, all slots of a sample with the teacher, not
        learning.
        """
        network = self.spec
        check_images(network, payloads, targets)
        records = []
        for first in range(0, max(len(payloads), 1), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            wanted = None if targets is None else targets[part]
            graph, inputs = stock_inputs(network, payloads[part], wanted, self.threads)
            run = run_chip(graph, inputs, self.threads)
            records.append(make_record(network, "chip", seed, run, keep_states, keep_spikes))
        return join_records(records)

    def learn(
        self, payloads: Integers, targets: Integers, rates: Mapping[str, EngineRule], *, seed: int, first_image: int
    ) -> LearningOutcome:
        """Learn the samples in the order given; neurons and traces start empty, `rates` holds the engine rules.

        first_image: presentations so far; the noise goes on from there.
        """
        network = self.spec
        if not isinstance(network, StockNetwork):
            raise UserError("backend chip: the network has no rule of the learning engine; graded ones learn on events")
        check_images(network, payloads, targets)
        plastic = tuple(replace(p, rule=rates[p.name]) if p.name in rates else p for p in network.projections)
        steps = network.schedule.steps
        chip = LearningChip(replace(network.graph, projections=plastic), time=first_image * steps)
        phases, predictions = network.phases(steps), []
        counts = {p.name: np.zeros(2 + int(phases.max()), dtype=np.int64) for p in network.populations}
        at_once = network.commit_every or LEARNED_AT_ONCE
        for first in range(0, len(payloads), at_once):
            part = slice(first, first + at_once)
            inputs = network.learning_inputs(payloads[part], targets[part].argmax(axis=1))
            run = chip.run(inputs.reshape(-1, inputs.shape[2]))
            for pair in commit_pairs(network):  # after every `commit_every` samples, and after the last
                chip.commit(pair)
            for name, spikes in run.spikes.items():
                per_step = spikes[0].sum(axis=1, dtype=np.int32).reshape(-1, steps).sum(axis=0, dtype=np.int64)
                counts[name][1:] += np.bincount(phases, per_step, len(counts[name]) - 1).astype(np.int64)
            output = run.spikes[network.output].reshape(-1, steps, network.n_classes)
            predictions.append(network.scores({network.output: output}).argmax(axis=1).astype(np.int32))
        weights = {**chip.weights(), **chip.still_weights()}
        self.spec = network.with_weights({name: weights[name] for name in learned_names(network)})
        return LearningOutcome(np.concatenate(predictions), counts)


class ChipBackend:
    """Stock processes in integers, compiled."""

    name = "chip"
    capabilities = Capabilities(frozenset({"stock"}), learns=True)

    def open(self, spec: AnyStock, *, threads: int | None = None, batch_size: int = 1) -> ChipSession:
        """Open a network. batch_size must be 1: the engine learns while it runs.

        Raises: UserError if the network is of another family.
        """
        check_options(self.name, threads, batch_size)
        if spec.family not in self.capabilities.families:
            raise UserError(f"backend chip: it runs no {spec.family} networks; use events")
        if batch_size != 1:
            raise UserError(f"backend chip: batch_size {batch_size}; the learning engine takes one image at a time")
        return ChipSession(spec, threads)
