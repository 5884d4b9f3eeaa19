"""The fast backend: integers, event-driven, compiled by numba. The reference for equality on other machines.

Inference uses all cores. Training is online (batch_size 1, one core) or in batches whose images share the cores; the
weights depend on the batch size, never on the number of threads.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numba
import numpy as np

from neuro.base.arrays import AnyArray, Array, Int8, Int16, Int32, Integers
from neuro.base.errors import UserError
from neuro.base.fixed_point import image_keys, round_shift
from neuro.spec.plasticity import Rate
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.checks import check_learning
from sim.backends.events.kernels import Outputs, Scratch, make_scratch, make_trace, simulate_range
from sim.backends.events.layout import flatten_full, full_weights, make_plan, make_weights, unpad
from sim.backends.events.learning_kernels import learn_in_batches, learn_online
from sim.backends.events.synapse_kernels import Synapses, Workspace, make_workspace
from sim.backends.protocol import Capabilities, SessionBase, check_options, check_payloads
from sim.backends.record import LearningOutcome, Record, SpikeTable, nudge_signs

SMALLEST_TASK, LARGEST_TASK = 16, 1024  # images that a thread takes at a time
SPIKE_TABLE_START = 1 << 16


class _Images(NamedTuple):
    """What to run, as `simulate_range` takes it."""

    payloads: Int16  # [B, N]
    targets: Int32  # [B, K]
    signs: Int32  # [B]
    last_step: int


@contextlib.contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Let no more threads take part in parallel kernels: idle ones are waited for too."""
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, before))
    try:
        yield
    finally:
        numba.set_num_threads(before)


class EventsSession(SessionBase):
    """A spec opened on the events backend. Not for use from several threads at once."""

    def __init__(self, spec: NetworkSpec, threads: int, batch_size: int) -> None:
        self.spec = spec
        self.threads = threads
        self.batch_size = batch_size
        self._plan = make_plan(spec)
        self._weights = make_weights(spec, self._plan)
        self._full = full_weights(spec)
        self._n_neurons = int(self._plan.start[-1])
        self._scratches = [make_scratch(self._n_neurons, len(spec.populations)) for _ in range(threads)]
        self._no_trace = make_trace(1, 1, 1, 1)

    def _outputs(self, count: int, n_phases: int, keep_states: bool, spike_capacity: int) -> Outputs:
        n_columns = 1 + len(self.spec.schedule.phases)
        return Outputs(
            predictions=np.zeros(count, dtype=np.int32),
            output_states=np.zeros((count, self.spec.n_classes), dtype=np.int32),
            settled=np.zeros(count, dtype=np.bool_),
            counts=np.zeros((count, len(self.spec.populations), n_columns), dtype=np.int64),
            states=np.zeros((count if keep_states else 0, n_phases, self._n_neurons), dtype=np.int32),
            spikes=np.zeros((spike_capacity, 5), dtype=np.int32),
        )

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
        """See `sim.backends.protocol.Session.run`."""
        check_payloads(self.spec, payloads, targets)
        n_phases = 1 if targets is None else len(self.spec.schedule.phases)
        out = self._outputs(len(payloads), n_phases, keep_states, 0)
        rows = self._simulate(payloads, targets, seed, first_image, n_phases, out, keep_spikes)
        states = None
        if keep_states:
            starts = zip(self.spec.populations, self._plan.start, strict=False)
            states = {p.name: out.states[:, :, start : start + p.size] for p, start in starts}
        return Record(
            backend="events",
            seed=seed,
            predictions=out.predictions,
            output_states=out.output_states,
            spike_counts={p.name: out.counts[:, i, : n_phases + 1] for i, p in enumerate(self.spec.populations)},
            settled=out.settled,
            states=states,
            spikes=SpikeTable.from_rows(np.concatenate(rows)) if keep_spikes else None,
        )

    def _simulate(
        self,
        payloads: Integers,
        targets: Integers | None,
        seed: int,
        first_image: int,
        n_phases: int,
        out: Outputs,
        keep_spikes: bool,
    ) -> list[Int32]:
        """Fill `out`, sharing the images among the threads; returns spike rows."""
        goal = np.zeros((len(payloads), self.spec.n_classes), np.int32) if targets is None else targets
        images = _Images(
            np.ascontiguousarray(payloads, dtype=np.int16),
            np.ascontiguousarray(goal, dtype=np.int32),
            nudge_signs(self.spec, seed, first_image, len(payloads)).astype(np.int32),
            self.spec.schedule.ends[n_phases - 1],
        )
        task = max(SMALLEST_TASK, min(LARGEST_TASK, -(-len(payloads) // self.threads)))

        def work(part: int) -> list[Int32]:
            rows = []
            for first in range(part * task, len(payloads), self.threads * task):
                last = min(first + task, len(payloads))
                rows.append(self._run_range(images, first, last, self._scratches[part], out, keep_spikes))
            return rows

        if self.threads == 1 or len(payloads) <= task:
            parts = [work(part) for part in range(self.threads)]
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                parts = list(pool.map(work, range(self.threads)))
        return [rows for part in parts for rows in part] or [np.zeros((0, 5), dtype=np.int32)]

    def _run_range(
        self, images: _Images, first: int, last: int, scratch: Scratch, out: Outputs, keep_spikes: bool
    ) -> Int32:
        """Run images first..last-1, with a spike table that grows until it holds every spike."""
        capacity = SPIKE_TABLE_START if keep_spikes else 0
        while True:
            table = out._replace(spikes=np.zeros((capacity, 5), dtype=np.int32))
            out.counts[first:last] = 0
            needed = simulate_range(self._plan, self._weights, *images, first, last, scratch, table, self._no_trace)
            if needed <= capacity:
                return table.spikes[:needed]
            capacity = needed

    def learn(
        self, payloads: Integers, targets: Integers, rates: Mapping[str, Rate], *, seed: int, first_image: int
    ) -> LearningOutcome:
        """See `sim.backends.protocol.Session.learn`."""
        check_payloads(self.spec, payloads, targets)
        check_learning(self.spec, rates)
        out = self._outputs(len(payloads), 0, False, 0)
        keys = image_keys(seed, first_image, len(payloads))
        signs = nudge_signs(self.spec, seed, first_image, len(payloads)).astype(np.int32)
        chosen = [rates[p.name] for p in self.spec.plastic]
        synapses = Synapses(
            *self._weights,
            self._full,
            np.array([rate.mantissa for rate in chosen], dtype=np.int64),
            np.array([rate.exponent for rate in chosen], dtype=np.int64),
        )
        images = (
            np.ascontiguousarray(payloads, dtype=np.int16),
            np.ascontiguousarray(targets, dtype=np.int32),
            signs,
            keys,
        )
        self._learn(synapses, images, out)
        counts = {p.name: out.counts[:, i].sum(axis=0) for i, p in enumerate(self.spec.populations)}
        return LearningOutcome(out.predictions, counts)

    def _learn(self, synapses: Synapses, images: tuple[Array, ...], out: Outputs) -> None:
        second_nudge = self.spec.schedule.phases[-1].steps
        trace = make_trace(self.batch_size, self._n_neurons, len(self.spec.populations), second_nudge)
        if self.batch_size == 1:
            work = make_workspace(self._plan, 1)
            learn_online(self._plan, synapses, *images, self._scratches[0], out, trace, work)
        else:
            scratch = Scratch(*(np.stack(rows) for rows in zip(*self._scratches, strict=True)))
            works = [make_workspace(self._plan, self.threads) for _ in range(self.threads)]
            work = Workspace(*(np.stack(rows) for rows in zip(*works, strict=True)))
            with limited_threads(self.threads):
                learn_in_batches(
                    self._plan, synapses, *images, self.batch_size, self.threads, scratch, out, trace, work
                )

    def weights(self) -> dict[str, Int8]:
        """See `sim.backends.protocol.Session.weights`."""
        result = {}
        for index, projection in enumerate(self.spec.projections):
            if projection.weights is not None:
                block = self._weights.dense[self._plan.block[index] : self._plan.block[index + 1]]
                result[projection.name] = _shaped(block, projection.weights.shape)
        return result

    def full_weights(self) -> dict[str, Int16]:
        """See `sim.backends.protocol.Session.full_weights`."""
        ranges = itertools.pairwise(self._plan.full_start)
        parts = [self._full[start:end] for start, end in ranges]
        weights = self.weights()
        full = {}
        for p, part in zip(self.spec.plastic, parts, strict=True):
            shape = weights[p.name].shape
            kept = p.rule is not None and p.rule.shadow_bits > 0
            full[p.name] = _shaped(part, shape) if kept else weights[p.name].astype(np.int16)
        return full

    def restore(self, full: Mapping[str, Int16]) -> None:
        """See `sim.backends.protocol.Session.restore`."""
        rounded = {p.name: round_shift(full[p.name], p.rule.shadow_bits) for p in self.spec.plastic if p.rule}
        self._weights = make_weights(self.spec.with_weights(rounded), self._plan)
        self._full = flatten_full(full[p.name] for p in self.spec.plastic)


def _shaped(block: AnyArray, shape: tuple[int, ...]) -> AnyArray:
    """Return a copy of one block of the plan: a matrix without its padding, or a kernel."""
    return unpad(block, (shape[0], shape[1])) if len(shape) == 2 else block.reshape(shape).copy()


class EventsBackend:
    """Integer, event-driven, on all cores."""

    name = "events"
    capabilities = Capabilities(frozenset({"sigma-delta"}), learns=True)

    def open(self, spec: NetworkSpec, *, threads: int | None = None, batch_size: int = 1) -> EventsSession:
        """Open `spec`; threads=None uses all cores."""
        if spec.family not in self.capabilities.families:
            raise UserError(f"backend events: it runs no {spec.family} networks; use chip")
        check_options(self.name, threads, batch_size)
        return EventsSession(spec, threads or os.cpu_count() or 1, batch_size)
