"""A network whose lessons lie on the device: batches follow each other without a word to the host.

A batch is a fixed sequence of launches that reads where it stands in the lesson from the device; on CUDA it is captured
once and replayed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuro.base.arrays import Integers, UInt32
from neuro.spec.neurons import Source
from neuro.spec.plasticity import Rate
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.batched.cuda_graphs import MOST
from sim.backends.batched.fused.limits import NARROW
from sim.backends.batched.plasticity import Learner
from sim.backends.batched.random_bits import signed32
from sim.backends.batched.record import Outcome


class Matrix(NamedTuple):
    """Weights as synapses transmit them, int8, padded with zeros: [..., source, target] and its transpose."""

    straight: Tensor
    transposed: Tensor

    def load(self, weights: Tensor) -> None:
        """Take integers of shape [..., source, target], not padded."""
        rows, columns = weights.shape[-2:]
        self.straight[..., :rows, :columns] = weights
        self.transposed[..., :columns, :rows] = weights.transpose(-1, -2)


class Resident(NamedTuple):
    """Images on the device: inputs int8 or int16 [n, N], targets int32 [n, K], signs and keys int32 [n]."""

    inputs: Tensor
    targets: Tensor
    signs: Tensor
    keys: Tensor


class ResidentNetwork(ABC):
    """A spec on one device. Weights are those of its learners, and set by `load`.

    batch_size: images that will learn from the same weights.
    """

    def __init__(
        self, spec: NetworkSpec, learners: Sequence[Learner], device: torch.device, batch_size: int = 1
    ) -> None:
        self.spec, self.learners, self.device, self.batch_size = spec, learners, device, batch_size
        self.cursor = torch.zeros(1, dtype=torch.int32, device=device)  # the first image of the batch
        self.rates = torch.zeros((len(learners), 2), dtype=torch.int32, device=device)
        self.size = self.reach = 0  # images in flight, at most; and rows of a lesson that a batch reads
        self._graphs: dict[object, Callable[[], None]] = {}
        self._launched: set[object] = set()
        self._lesson: Resident | None = None
        self._outcome: Outcome | None = None
        self._streams = [torch.cuda.Stream(device) for _ in learners] if device.type == "cuda" else []

    @abstractmethod
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Set the weights of the named projections, integers on this device."""

    @abstractmethod
    def _make_buffers(self, size: int) -> None:
        """Make room for `size` images in flight."""

    @abstractmethod
    def _launch_settling(
        self, lesson: Resident, outcome: Outcome, size: int, n_phases: int, nudged: bool, learns: bool
    ) -> None:
        """Run the next `size` images."""

    @abstractmethod
    def _launch_commit(self, lesson: Resident, size: int, number: int) -> None:
        """Let a learner learn from the images that ran last."""

    def zeros(self, *shape: int, kind: torch.dtype = torch.int32) -> Tensor:
        """Integers on the device."""
        return torch.zeros(shape, dtype=kind, device=self.device)

    def _reserve(self, size: int) -> None:
        size = max(size, 1)  # of no images, too
        if size > self.size:
            self._forget_graphs()
            self.reach = size
            self._make_buffers(size)
            self.size = size  # only if there was room

    def _forget_graphs(self) -> None:
        """Launch anew: what graphs read and write has moved."""
        self._graphs.clear()
        self._launched.clear()

    def _present(
        self, inputs: Integers, targets: Integers | None, signs: Integers, keys: UInt32
    ) -> tuple[Resident, Outcome]:
        """The images and an empty outcome on the device; where the last ones lay, if they fit."""
        n, spec = len(inputs), self.spec
        if self._lesson is None or len(self._lesson.inputs) < n + self.reach:
            self._forget_graphs()
            self._make_room(n + self.reach, inputs.shape[1])
        lesson, outcome = self._lesson, self._outcome
        assert lesson is not None  # made
        assert outcome is not None
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

    def _make_room(self, n: int, n_inputs: int) -> None:
        """A batch may reach beyond the lesson: there is room for one more."""
        spec, zeros = self.spec, self.zeros
        narrow = spec.population(spec.input).neuron.payload_limit <= NARROW
        kind, n_classes = torch.int8 if narrow else torch.int16, spec.n_classes
        self._lesson = Resident(zeros(n, n_inputs, kind=kind), zeros(n, n_classes), zeros(n), zeros(n))
        self._outcome = Outcome(
            zeros(n, len(spec.populations), 1 + len(spec.schedule.phases)), zeros(n, n_classes),
            zeros(n, kind=torch.bool), zeros(n), zeros(n, 2, n_classes),
        )  # fmt: skip

    def run(
        self, inputs: Integers, targets: Integers | None, signs: Integers, keys: UInt32, n_phases: int, at_once: int
    ) -> Outcome:
        """Run `n_phases` phases of all images, `at_once` in flight, or as many as there is room for."""
        n, nudged = len(inputs), targets is not None
        self._reserve(min(n, at_once, self._most()))
        lesson, outcome = self._present(inputs, targets, signs, keys)
        for first in range(0, n, self.size):
            size = min(self.size, n - first)

            def launch(size: int = size) -> None:
                self._launch_settling(lesson, outcome, size, n_phases, nudged, learns=False)
                self.cursor.add_(size)

            self._replayed(("run", size, n_phases, nudged), launch)
        return self._told(outcome, n)

    def learn(
        self, inputs: Integers, targets: Integers, signs: Integers, keys: UInt32, rates: Mapping[str, Rate], batch: int
    ) -> Outcome:
        """Learn the images in order, a batch from the same weights; the learners hold the new ones."""
        n = len(inputs)
        self._reserve(min(n, batch))
        lesson, outcome = self._present(inputs, targets, signs, keys)
        self._set_rates(rates)
        for first in range(0, n, batch):
            size = min(batch, n - first)

            def launch(size: int = size) -> None:
                self._launch_settling(lesson, outcome, size, len(self.spec.schedule.phases), nudged=True, learns=True)
                self._launch_learning(lesson, size)
                self.cursor.add_(size)

            self._replayed(("learn", size), launch)
        return self._told(outcome, n)

    def _most(self) -> int:
        """Images in flight, at most, where nothing is learned."""
        return 1 << 14

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
        self.rates.copy_(torch.tensor(rows, dtype=torch.int32).view(-1, 2))

    def _replayed(self, key: object, launch: Callable[[], None]) -> None:
        """Launch; from the second time on as a graph, on CUDA. The first one compiles."""
        often = key in self._launched and (key in self._graphs or len(self._graphs) < MOST)
        if self.device.type != "cuda" or not often:
            self._launched.add(key)
            launch()
            return
        if key not in self._graphs:
            self._graphs[key] = self._captured(launch)
        self._graphs[key]()

    def _captured(self, launch: Callable[[], None]) -> Callable[[], None]:
        """What replays `launch`. Capturing runs nothing."""
        torch.cuda.synchronize(self.device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            launch()
        return graph.replay

    def _launch_learning(self, lesson: Resident, size: int) -> None:
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
