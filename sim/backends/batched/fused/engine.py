"""A network on Triton kernels: lessons lie on the device, batches follow each other without a word to the host.

A batch is a fixed sequence of launches that reads where it stands in the lesson from the device; on CUDA it is captured
once and replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuro.base.arrays import Integers, UInt32
from neuro.spec.neurons import Source
from neuro.spec.plasticity import Rate
from neuro.spec.projection import Projection
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.batched.fused.kernels import commit_kernel, drive_kernel, settle_kernel
from sim.backends.batched.fused.plan import K, Plan, padded
from sim.backends.batched.plasticity import Learner, signed32
from sim.backends.batched.record import Outcome

IMAGES = 16  # that a program settles
MOST = 256  # images that a program of learning looks at together


class Matrix(NamedTuple):
    """Weights as synapses transmit them, int8, padded with zeros: [source, target] and its transpose, contiguous."""

    straight: Tensor
    transposed: Tensor

    def load(self, weights: Tensor) -> None:
        """Take integers of the shape of the weights."""
        rows, columns = weights.shape
        self.straight[:rows, :columns] = weights
        self.transposed[:columns, :rows] = weights.T


class Lesson(NamedTuple):
    """Images on the device: inputs int8 [n, N], targets int32 [n, K], signs and keys int32 [n]."""

    inputs: Tensor
    targets: Tensor
    signs: Tensor
    keys: Tensor


class FusedNetwork:
    """A spec on one device. Weights are those of its learners, and set by `load`."""

    def __init__(self, spec: NetworkSpec, learners: Sequence[Learner], device: torch.device) -> None:
        self.spec, self.plan, self.learners, self.device = spec, Plan(spec), learners, device
        self.matrices = {p.name: self._matrix(p) for p in spec.projections if p.weights is not None}
        self.cursor = torch.zeros(1, dtype=torch.int32, device=device)
        self._rates = torch.zeros((len(learners), 2), dtype=torch.int32, device=device)
        self._graphs: dict[object, Callable[[], None]] = {}
        self._lesson: Lesson | None = None
        self._outcome: Outcome | None = None
        self._size = 0
        self._lists: dict[int, Tensor] = {}  # in which the programs of a projection note images
        self._streams = [torch.cuda.Stream(device) for _ in learners] if device.type == "cuda" else []
        self._none = torch.zeros(1, dtype=torch.int32, device=device)

    def _matrix(self, projection: Projection) -> Matrix:
        rows, columns = self.plan.width(projection.source), self.plan.width(projection.target)
        new = torch.zeros((rows, columns), dtype=torch.int8, device=self.device)
        matrix = Matrix(new, torch.zeros((columns, rows), dtype=torch.int8, device=self.device))
        matrix.load(torch.tensor(projection.weights, device=self.device))
        return matrix

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Set the weights of the named projections, integers on this device."""
        for name, values in weights.items():
            self.matrices[name].load(values)

    def _zeros(self, *shape: int, kind: torch.dtype = torch.int32) -> Tensor:
        return torch.zeros(shape, dtype=kind, device=self.device)

    def _buffers(self, size: int) -> None:
        """Room for `size` images in flight."""
        if size <= self._size:
            return
        plan = self.plan
        self._size = size
        self._graphs.clear()
        self._drives = tuple(
            self._zeros(size, n) if fed else self._none for n, fed in zip(plan.padded, plan.fed, strict=True)
        )
        self._sent = tuple(tuple(self._zeros(size, n, kind=torch.int8) for n in plan.padded) for _ in range(2))
        self._state = tuple(
            tuple(
                self._zeros(size, n) if kept else self._none
                for n, kept in zip(plan.padded, plan.kept_states, strict=True)
            )
            for _ in range(2)
        )  # fmt: skip

    def _present(
        self, inputs: Integers, targets: Integers | None, signs: Integers, keys: UInt32
    ) -> tuple[Lesson, Outcome]:
        """The images and an empty outcome on the device; where the last ones lay, if they fit."""
        n, spec = len(inputs), self.spec
        if self._lesson is None or len(self._lesson.inputs) < n:
            self._graphs.clear()
            n_inputs, n_classes = inputs.shape[1], spec.n_classes
            self._lesson = Lesson(
                self._zeros(n, n_inputs, kind=torch.int8), self._zeros(n, n_classes), self._zeros(n), self._zeros(n)
            )
            self._outcome = Outcome(
                self._zeros(n, len(spec.populations), 1 + len(spec.schedule.phases)),
                self._zeros(n, n_classes),
                self._zeros(n, kind=torch.bool),
                self._zeros(n),
                self._zeros(n, 2, n_classes),
            )
        lesson, outcome = self._lesson, self._outcome
        assert outcome is not None  # made with the lesson
        lesson.inputs[:n] = torch.from_numpy(np.ascontiguousarray(inputs)).to(self.device)
        lesson.signs[:n] = torch.from_numpy(np.ascontiguousarray(signs, dtype=np.int32)).to(self.device)
        lesson.keys[:n] = torch.from_numpy(signed32(keys)).to(self.device)
        if targets is not None:
            lesson.targets[:n] = torch.from_numpy(np.ascontiguousarray(targets, dtype=np.int32)).to(self.device)
        for values in outcome:
            values[:n].zero_()
        for index, population in enumerate(spec.populations):
            if population.name == spec.input:
                outcome.counts[:n, index, 0] = torch.count_nonzero(lesson.inputs[:n], dim=1).to(torch.int32)
            elif isinstance(population.neuron, Source):
                outcome.counts[:n, index, 0] = population.size if population.neuron.constant else 0
        self.cursor.zero_()
        return lesson, outcome

    def run(
        self, inputs: Integers, targets: Integers | None, signs: Integers, keys: UInt32, n_phases: int, at_once: int
    ) -> Outcome:
        """Run `n_phases` phases of all images, `at_once` in flight."""
        lesson, outcome = self._present(inputs, targets, signs, keys)
        n = len(inputs)
        self._buffers(min(n, at_once))
        for first in range(0, n, at_once):
            size = min(at_once, n - first)
            self._launch_settling(lesson, outcome, size, n_phases, targets is not None, learns=False)
            self.cursor.add_(size)
        return self._told(outcome, n)

    def learn(
        self, inputs: Integers, targets: Integers, signs: Integers, keys: UInt32, rates: Mapping[str, Rate], batch: int
    ) -> Outcome:
        """Learn the images in order, a batch from the same weights; the learners hold the new ones."""
        lesson, outcome = self._present(inputs, targets, signs, keys)
        n = len(inputs)
        self._buffers(min(n, batch))
        self._set_rates(rates)
        for first in range(0, n, batch):
            self._batch(lesson, outcome, min(batch, n - first))
        return self._told(outcome, n)

    def _told(self, outcome: Outcome, n: int) -> Outcome:
        """The outcome of the `n` images."""
        settled = outcome.last_spike[:n] != self.spec.schedule.ends[0]
        return Outcome(outcome.counts[:n], outcome.output[:n], settled, outcome.last_spike[:n], outcome.nudged[:n])

    def _set_rates(self, rates: Mapping[str, Rate]) -> None:
        rows = []
        for learner in self.learners:
            rate = rates[learner.projection.name]
            rows.append(
                (rate.mantissa << max(learner.shadow - rate.exponent, 0), max(rate.exponent - learner.shadow, 0))
            )
        self._rates.copy_(torch.tensor(rows, dtype=torch.int32).view(-1, 2))

    def _batch(self, lesson: Lesson, outcome: Outcome, size: int) -> None:
        """Learn the next `size` images; from the second time on as a graph, on CUDA."""
        key = size

        def launch() -> None:
            self._launch_settling(lesson, outcome, size, len(self.spec.schedule.phases), nudged=True, learns=True)
            self._launch_learning(lesson, size)
            self.cursor.add_(size)

        if self.device.type != "cuda":
            launch()
        elif key in self._graphs:
            self._graphs[key]()
        else:
            launch()  # compiles
            self._graphs[key] = self._captured(launch)

    def _captured(self, launch: Callable[[], None]) -> Callable[[], None]:
        """`launch` as a graph. Capturing runs nothing."""
        torch.cuda.synchronize(self.device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            launch()
        return graph.replay

    def _launch_settling(
        self, lesson: Lesson, outcome: Outcome, size: int, n_phases: int, nudged: bool, learns: bool
    ) -> None:
        plan, spec, schedule = self.plan, self.spec, self.spec.schedule
        for p, name in enumerate(plan.moving):
            if plan.fed[p]:
                self._launch_drive(lesson, name, self._drives[p], size)
        links = tuple(self._facing_sum(projection) for projection in plan.recurrent)
        settle_kernel[(-(-size // IMAGES),)](
            self.cursor, size, self._drives, links, lesson.targets, lesson.signs, outcome.counts, outcome.output,
            outcome.last_spike, outcome.nudged, *self._sent, *self._state,
            PADDED=plan.padded, OFFSETS=plan.offsets, UNITS=plan.units, PARITIES=plan.parities, FED=plan.fed,
            INDEX=tuple(spec.population_index[name] for name in plan.moving),
            SOURCES=plan.sources, TARGETS=plan.targets, SCALES=tuple(plan.scale(p) for p in plan.recurrent),
            KEPT=plan.kept_states, OUTPUT=plan.output, CLASSES=spec.n_classes, POPULATIONS=len(spec.populations),
            PHASES=len(schedule.phases), ENDS=schedule.ends, NUDGES=tuple(p.nudge for p in schedule.phases),
            N_PHASES=n_phases, STRENGTH=schedule.nudge_multiplier, STRENGTH_SHIFT=schedule.nudge_shift,
            CONSTANT=plan.holds_force, PATIENCE=plan.patience, NUDGED=nudged, LEARNS=learns, IMAGES=IMAGES, num_warps=8,
        )  # fmt: skip

    def _facing_sum(self, projection: Projection) -> Tensor:
        """The weights of `projection` as [target, source]."""
        matrix = self.matrices[self.spec.original_of(projection).name]
        return matrix.transposed if projection.transpose_of is None else matrix.straight

    def _launch_drive(self, lesson: Lesson, name: str, into: Tensor, size: int) -> None:
        plan, width = self.plan, self.plan.width(name)
        inputs, constants = plan.from_input(name), plan.from_constants(name)
        images, neurons = min(64, padded(size)), min(64, width)
        values: list[Any] = [plan.constant_of(p.source) for p in constants]
        drive_kernel[(-(-size // images), width // neurons)](
            self.cursor, size, lesson.inputs, tuple(self._facing_sum(p) for p in inputs),
            tuple(self.matrices[self.spec.original_of(p).name].straight for p in constants), into,
            N=lesson.inputs.shape[1], SCALES=tuple(plan.scale(p) for p in inputs),
            CONSTANT_SIZES=tuple(self.spec.population(p.source).size for p in constants),
            CONSTANT_VALUES=tuple(v * plan.scale(p) for v, p in zip(values, constants, strict=True)),
            WIDTHS=tuple(plan.width(p.source) for p in inputs), PADDED=width, IMAGES=images, NEURONS=neurons, K=K,
        )  # fmt: skip

    def _launch_learning(self, lesson: Lesson, size: int) -> None:
        """The learning of all projections, side by side: they share nothing that they write."""
        if self.device.type != "cuda":
            for number in range(len(self.learners)):
                self._launch_commit(lesson, size, number)
            return
        here = torch.cuda.current_stream(self.device)
        for number, stream in enumerate(self._streams):
            stream.wait_stream(here)
            with torch.cuda.stream(stream):
                self._launch_commit(lesson, size, number)
        for stream in self._streams:
            here.wait_stream(stream)

    def _launch_commit(self, lesson: Lesson, size: int, number: int) -> None:
        plan, moving, learner = self.plan, self.plan.moving, self.learners[number]
        projection, matrix = learner.projection, self.matrices[learner.projection.name]
        constant, post = plan.constant_of(projection.source), moving.index(projection.target)
        if constant == 0:
            return  # its changes are all zero
        from_input = projection.source == self.spec.input
        pre = moving.index(projection.source) if projection.source in moving else post
        kept = self._state if learner.rule.uses_state_difference else self._sent
        n_pre, n_post = learner.synapses.shape
        rows, columns = (min(1024, padded(n_pre)), 1) if from_input else (1, 32) if constant else (32, 1)
        grid = (-(-n_pre // rows), -(-n_post // columns))
        if number not in self._lists:
            self._lists[number] = self._zeros(grid[0] * grid[1] * MOST)
        commit_kernel[grid](
            self.cursor, size, learner.full, matrix.straight, matrix.transposed, lesson.inputs,
            self._sent[0][pre], self._sent[1][pre], kept[0][post], kept[1][post], lesson.signs, lesson.keys,
            self._rates, self._lists[number],
            N_PRE=n_pre, N_POST=n_post, PRE_WIDTH=plan.padded[pre], POST_WIDTH=plan.padded[post],
            PADDED_PRE=plan.width(projection.source), STREAM=learner.index, RATE=number, LIMIT=learner.limit,
            SHADOW=learner.shadow, FROM_INPUT=from_input, CONSTANT=constant or 0, PRE_OFFSET=plan.offsets[pre],
            POST_OFFSET=0 if kept is self._state else plan.offsets[post], ROWS=rows, COLUMNS=columns, MOST=MOST,
            num_warps=max(1, rows * columns // 256),
        )  # fmt: skip
