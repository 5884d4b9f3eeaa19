"""The chip backend: stock networks in integers, batched for inference, one sample after the other for learning.

Checked: equal to Lava, spike for spike and weight for weight (tests/contract, benchmarks.lava_equality).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from neuro.engine import EngineRule
from neuro.errors import UserError
from neuro.graded_network import AnyStock
from neuro.stock import StockSpec, committed
from neuro.stock_network import SHADOW, StockNetwork
from sim.backends.base import Capabilities, IntArray, LearningOutcome, Record, check_options
from sim.backends.chip import run_chip
from sim.backends.chip_learning import LearningChip
from sim.backends.segments import Commit
from sim.backends.stock_record import check_images, join_records, make_record

AT_ONCE = 128  # images whose spikes are in memory at once
LEARNED_AT_ONCE = 32

Weights = dict[str, npt.NDArray[np.int16]]


class ChipSession:
    """A stock network opened on the chip's integers."""

    def __init__(self, network: AnyStock, threads: int | None) -> None:
        self.spec = network
        self.threads = threads

    def run(
        self,
        payloads: IntArray,
        targets: IntArray | None = None,
        *,
        seed: int = 0,
        first_image: int = 0,
        keep_states: bool = False,
        keep_spikes: bool = False,
    ) -> Record:
        """See `sim.backends.base.Session.run`; with targets, all slots of a sample with the teacher, not learning."""
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
        self, payloads: IntArray, targets: IntArray, rates: Mapping[str, EngineRule], *, seed: int, first_image: int
    ) -> LearningOutcome:
        """Learn the samples in the order given; neurons and traces start empty, `rates` holds the engine rules.

        first_image: presentations so far; the noise goes on from there.
        """
        network = self.spec
        if not isinstance(network, StockNetwork):
            raise UserError("backend chip: graded networks learn on the events backend; train there")
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
            if network.commit_every and len(payloads[part]) == at_once:
                for pair in commit_pairs(network):
                    chip.commit(pair)
            for name, spikes in run.spikes.items():
                per_step = spikes[0].sum(axis=1, dtype=np.int32).reshape(-1, steps).sum(axis=0, dtype=np.int64)
                counts[name][1:] += np.bincount(phases, per_step, len(counts[name]) - 1).astype(np.int64)
            output = run.spikes[network.output].reshape(-1, steps, network.n_classes)
            predictions.append(network.scores({network.output: output}).argmax(axis=1).astype(np.int32))
        learned = chip.weights()
        if network.commit_every:
            learned.update(commits(network, learned))
        self.spec = network.with_weights(learned)
        return LearningOutcome(np.concatenate(predictions), counts)

    def weights(self) -> Weights:
        """Return a copy of all weights that learning changes, by projection: plastic ones and copies of them."""
        names = learned_names(self.spec) if isinstance(self.spec, StockNetwork) else set[str]()
        return {p.name: p.weights.copy() for p in self.spec.projections if p.name in names}

    def full_weights(self) -> Weights:
        """Return the same as `weights`: there are no bits below them."""
        return self.weights()

    def restore(self, full: Mapping[str, npt.NDArray[np.int16]]) -> None:
        """See `sim.backends.base.Session.restore`."""
        self.spec = self.spec.with_weights(full)

    def close(self) -> None:
        """Nothing to release."""

    def __enter__(self) -> ChipSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def stock_inputs(
    network: AnyStock, payloads: IntArray, targets: IntArray | None, threads: int | None = None
) -> tuple[StockSpec, npt.NDArray[np.integer]]:
    """Return graph and inputs of an inference, or with targets of shape [B, K] of all phases, not learning."""
    if targets is None:
        return network.inference, network.free_inputs(payloads)
    outputs = None
    if network.nudge_needs_output:
        outputs = network.scores(run_chip(network.inference, network.free_inputs(payloads), threads).spikes)
    return network.still, network.phase_inputs(payloads, targets, outputs)


def commit_pairs(network: StockNetwork) -> list[Commit]:
    """Return what a host copies for a rule that needs one; nothing for the others."""
    names, pairs = {projection.name for projection in network.projections}, list[Commit]()
    for projection in network.plastic:
        if projection.name.startswith(SHADOW):
            pairs.append(Commit(projection.name, f"{projection.source}->{projection.target}"))
            back = f"{projection.target}->{projection.source}"
            pairs += [Commit(projection.name, back, transposed=True)] if back in names else []
    return pairs


def commits(network: StockNetwork, learned: Weights) -> Weights:
    """Return what the host writes into the transmitting synapses, given the learned weights."""
    return {
        pair.target: committed(learned[pair.source].T if pair.transposed else learned[pair.source])
        for pair in commit_pairs(network)
    }


def learned_names(network: StockNetwork) -> set[str]:
    """Return the names of the projections whose weights change."""
    return {p.name for p in network.plastic} | {pair.target for pair in commit_pairs(network)}


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
