"""The fast backend: integers, event-driven, compiled by numba. The reference for equality on other machines.

Inference uses all cores. Training is online (batch_size 1, one core) or in batches whose images share the cores; the
weights depend on the batch size, never on the number of threads.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from neuro.base.arrays import AnyArray, Int8, Int16, Int32, Integers
from neuro.base.fixed_point import round_shift
from neuro.coding.chain import is_chain
from neuro.spec.network import Network
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.chain import ChainSession, open_chain
from sim.backends.checks import check_learning
from sim.backends.events.image_loop import Images, Span, run_images
from sim.backends.events.layout import flatten_full, full_weights, make_plan, make_weights, unpad
from sim.backends.events.space import Outputs, Scratch, make_scratch, make_trace
from sim.backends.events.synapse_kernels import NO_WORKSPACE, Synapses, make_workspace
from sim.backends.presentation import Lesson, Presentation, keys_of
from sim.backends.protocol import Backend, Capabilities
from sim.backends.record import LearningOutcome, Record, Settling, SpikeTable
from sim.backends.session import Rates, SigmaDeltaSession

SMALLEST_TASK, LARGEST_TASK = 16, 1024  # images that a thread takes at a time
SPIKE_TABLE_START = 1 << 16
NO_FULL, NO_RATES = np.zeros(0, np.int16), np.zeros(0, np.int64)  # of synapses that do not learn


class EventsSession(SigmaDeltaSession):
    """A spec opened on the events backend. Not for use from several threads at once."""

    backend, takes_currents = "events", True

    def __init__(self, spec: NetworkSpec, threads: int, batch_size: int) -> None:
        super().__init__(spec)
        self.threads = threads
        self.batch_size = batch_size
        self._plan = make_plan(spec)
        self._weights = make_weights(spec, self._plan)
        self._full = full_weights(spec)
        self._n_neurons = int(self._plan.start[-1])
        self._scratches = [make_scratch(self._n_neurons, len(spec.populations)) for _ in range(threads)]
        self._no_trace = make_trace(1, 1, 1)

    def _outputs(self, count: int, n_phases: int, keep_states: bool, spike_capacity: int) -> Outputs:
        n_columns = 1 + len(self.spec.schedule.phases)
        return Outputs(
            predictions=np.zeros(count, dtype=np.int32),
            output_states=np.zeros((count, self.spec.n_classes), dtype=np.int32),
            settled=np.zeros(count, dtype=np.bool_),
            last_spike=np.zeros(count, dtype=np.int32),
            nudged=np.zeros((count, 2, self.spec.n_classes), dtype=np.int32),
            counts=np.zeros((count, len(self.spec.populations), n_columns), dtype=np.int64),
            states=np.zeros((count if keep_states else 0, n_phases, self._n_neurons), dtype=np.int32),
            spikes=np.zeros((spike_capacity, 5), dtype=np.int32),
        )

    def _present(self, shown: Presentation) -> Record:
        n_phases = 1 if shown.targets is None else len(self.spec.schedule.phases)
        out = self._outputs(len(shown), n_phases, shown.keep_states, 0)
        rows = self._simulate(shown, n_phases, out)
        states = None
        if shown.keep_states:
            starts = zip(self.spec.populations, self._plan.start, strict=False)
            states = {p.name: out.states[:, :, start : start + p.size] for p, start in starts}
        return Record(
            backend=self.backend,
            seed=shown.seed,
            predictions=out.predictions,
            output_states=out.output_states,
            spike_counts={p.name: out.counts[:, i, : n_phases + 1] for i, p in enumerate(self.spec.populations)},
            settled=out.settled,
            last_spike=out.last_spike,
            states=states,
            spikes=SpikeTable.from_rows(np.concatenate(rows)) if shown.keep_spikes else None,
        )

    def _images(self, shown: Presentation) -> Images:
        """The images as the kernels take them."""
        goal = np.zeros((len(shown), self.spec.n_classes), np.int32) if shown.targets is None else shown.targets
        return Images(
            np.ascontiguousarray(shown.payloads, dtype=np.int16),
            np.ascontiguousarray(goal, dtype=np.int32),
            self._signs(shown).astype(np.int32),
            keys_of(shown),
            self._currents(shown),
        )

    def _currents(self, shown: Presentation) -> Int32:
        """The currents of all neurons as the plan lays them out; [1, 0] if there are none."""
        currents = np.zeros((len(shown), self._n_neurons) if shown.currents else (1, 0), dtype=np.int32)
        for name, values in (shown.currents or {}).items():
            start = self._plan.start[self.spec.population_index[name]]
            currents[:, start : start + values.shape[1]] = values
        return currents

    def _simulate(self, shown: Presentation, n_phases: int, out: Outputs) -> list[Int32]:
        """Fill `out`, sharing the images among the threads; returns spike rows."""
        images, last_step = self._images(shown), self.spec.schedule.ends[n_phases - 1]
        task = max(SMALLEST_TASK, min(LARGEST_TASK, -(-len(shown) // self.threads)))

        def work(part: int) -> list[Int32]:
            rows = []
            for first in range(part * task, len(shown), self.threads * task):
                last = min(first + task, len(shown))
                span = Span(first, last, last_step, task, 0, 1, keeps_trace=False, simulates=True, commits=False)
                rows.append(self._run_span(images, span, self._scratches[part], out, shown.keep_spikes))
            return rows

        if self.threads == 1 or len(shown) <= task:
            rows_by_thread = [work(part) for part in range(self.threads)]
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                rows_by_thread = list(pool.map(work, range(self.threads)))
        return [rows for part in rows_by_thread for rows in part] or [np.zeros((0, 5), dtype=np.int32)]

    def _run_span(self, images: Images, span: Span, scratch: Scratch, out: Outputs, keep_spikes: bool) -> Int32:
        """Run some images, with a spike table that grows until it holds every spike."""
        fixed = Synapses(*self._weights, NO_FULL, NO_RATES, NO_RATES)
        capacity = SPIKE_TABLE_START if keep_spikes else 0
        while True:
            table = out._replace(spikes=np.zeros((capacity, 5), dtype=np.int32))
            out.counts[span.first : span.last] = 0
            needed = run_images(self._plan, fixed, images, span, scratch, table, self._no_trace, NO_WORKSPACE)
            if needed <= capacity:
                return table.spikes[:needed]
            capacity = needed

    def _learn(self, lesson: Lesson, rates: Rates) -> LearningOutcome:
        by_name = check_learning(self.spec, rates)
        chosen = [by_name[p.name] for p in self.spec.plastic]
        out = self._outputs(len(lesson), 0, False, 0)
        synapses = Synapses(
            *self._weights,
            self._full,
            np.array([rate.mantissa for rate in chosen], dtype=np.int64),
            np.array([rate.exponent for rate in chosen], dtype=np.int64),
        )
        self._train(synapses, self._images(lesson), out)
        counts = {p.name: out.counts[:, i].sum(axis=0) for i, p in enumerate(self.spec.populations)}
        return LearningOutcome(
            out.predictions, counts, Settling(out.settled, out.last_spike, out.output_states, out.nudged)
        )

    def _train(self, synapses: Synapses, images: Images, out: Outputs) -> None:
        n_images = len(images.signs)
        trace = make_trace(self.batch_size, self._n_neurons, len(self.spec.populations))
        parts = 1 if self.batch_size == 1 else self.threads  # on-line there is nothing to share
        works = [make_workspace(self._plan, parts) for _ in range(parts)]

        def run(part: int, first: int, last: int, simulates: bool, commits: bool) -> None:
            span = Span(
                first, last, self.spec.schedule.ends[-1], self.batch_size, part, parts,
                keeps_trace=True, simulates=simulates, commits=commits,
            )  # fmt: skip
            run_images(self._plan, synapses, images, span, self._scratches[part], out, trace, works[part])

        if parts == 1:
            run(0, 0, n_images, True, True)
            return
        with ThreadPoolExecutor(parts - 1) as pool:
            for first in range(0, n_images, self.batch_size):
                last = min(first + self.batch_size, n_images)
                _all_parts(pool, parts, partial(run, first=first, last=last, simulates=True, commits=False))
                _all_parts(pool, parts, partial(run, first=first, last=last, simulates=False, commits=True))

    def weights(self) -> dict[str, Int8]:
        """The rounded weights of now."""
        result = {}
        for index, projection in enumerate(self.spec.projections):
            if projection.weights is not None:
                block = self._weights.dense[self._plan.block[index] : self._plan.block[index + 1]]
                result[projection.name] = _shaped(block, projection.weights.shape)
        return result

    def full_weights(self) -> dict[str, Int16]:
        """A copy of the plastic weights with their shadow bits."""
        ranges = itertools.pairwise(self._plan.full_start)
        blocks = [self._full[start:end] for start, end in ranges]
        weights = self.weights()
        full = {}
        for p, block in zip(self.spec.plastic, blocks, strict=True):
            shape = weights[p.name].shape
            has_shadow = p.rule is not None and p.rule.shadow_bits > 0
            full[p.name] = _shaped(block, shape) if has_shadow else weights[p.name].astype(np.int16)
        return full

    def restore(self, full: Mapping[str, Integers]) -> None:
        """Set the plastic weights to what `full_weights` returned."""
        rounded = {p.name: round_shift(full[p.name], p.rule.shadow_bits) for p in self.spec.plastic if p.rule}
        self._weights = make_weights(self.spec.with_weights(rounded), self._plan)
        self._full = flatten_full(full[p.name] for p in self.spec.plastic)


def _all_parts(pool: ThreadPoolExecutor, parts: int, work: Callable[[int], None]) -> None:
    """Do the work of every part, the last one in this thread; raises what a part raised."""
    others = [pool.submit(work, part) for part in range(parts - 1)]
    work(parts - 1)
    for other in others:
        other.result()


def _shaped(block: AnyArray, shape: tuple[int, ...]) -> AnyArray:
    """A copy of one block of the plan: a matrix without its padding, or a kernel."""
    return unpad(block, (shape[0], shape[1])) if len(shape) == 2 else block.reshape(shape).copy()


class EventsBackend(Backend[NetworkSpec]):
    """Integer, event-driven, on all cores."""

    name = "events"
    capabilities = Capabilities(frozenset({"sigma-delta"}), learns=True)

    def open(self, spec: Network, *, threads: int | None = None, batch_size: int = 1) -> EventsSession | ChainSession:
        """Open `spec`; threads=None uses all cores."""
        if is_chain(spec):
            return open_chain(self.name, spec, threads)
        return EventsSession(self.admitted(spec, threads, batch_size), threads or os.cpu_count() or 1, batch_size)
