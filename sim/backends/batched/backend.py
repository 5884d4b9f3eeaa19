"""The torch backend: the integers of the reference in batches, on a CPU or a CUDA device; runs and learns.

A batch of images learns from the same weights, then updates them in order, as on the other backends: weights depend on
the batch size, never on the device, on the size of chunks that fit into memory, or on the number of workers that share
a batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from neuro.base.arrays import Int8, Int16, Int64, Integers, UInt32
from neuro.base.errors import UserError
from neuro.base.fixed_point import image_keys
from neuro.spec.network import Network
from neuro.spec.plasticity import Rate
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.batched.choice import FusedNetwork, fused_network, reason
from sim.backends.batched.cuda_graphs import Graphs, wanted
from sim.backends.batched.memory import room
from sim.backends.batched.network import Batch, TorchNetwork
from sim.backends.batched.plasticity import Learner, Move
from sim.backends.batched.random_bits import spike_streams
from sim.backends.batched.record import Equilibria, Outcome, bytes_per_image, history, infer, settle
from sim.backends.batched.synapses import exact_products
from sim.backends.checks import check_learning
from sim.backends.presentation import Lesson, Presentation, keys_of
from sim.backends.protocol import Backend, Capabilities, Workers
from sim.backends.record import LearningOutcome, Record, Settling, record_from_history
from sim.backends.session import Rates, SigmaDeltaSession
from sim.backends.stock.record import join_records

MEMORY = {"cpu": 64 << 20, "cuda": 4 << 30}  # bytes that images in flight may take, about
ON_DEVICE = 1 << 16  # images that lie on a device at a time where Triton kernels run them
IN_FLIGHT = 1 << 14  # and of them in flight, when nothing is learned
STEP_MEMORY = {"cpu": 4 << 20, "cuda": 2 << 30}  # bytes of changes of weights at a time; of a CPU, what its cache holds
DEVICES = ("cpu", "cuda")


class TorchSession(SigmaDeltaSession):
    """A spec opened in torch; holds the full-resolution weights while it learns.

    kernels: what computes: "Triton", or "torch", with the reason why not Triton where there is a device.
    """

    backend, takes_currents = "torch", True

    def __init__(
        self, spec: NetworkSpec, threads: int | None, batch_size: int, device: torch.device, workers: Workers | None
    ) -> None:
        super().__init__(spec)
        self.threads, self.batch_size, self.device, self.workers = threads, batch_size, device, workers
        self._network = TorchNetwork(spec, device)
        self._learners = [Learner(spec, p, self._network.synapses[p.name], device) for p in spec.plastic]
        self._settle: Callable[[Batch], tuple[Outcome, Equilibria]] = partial(settle, self._network)
        self._infer: dict[int, Callable[[Batch], Outcome]] = {
            n: partial(infer, self._network, n_phases=n) for n in (1, len(spec.schedule.phases))
        }
        if wanted(device):
            self._settle = Graphs(self._settle)
            self._infer = {n: Graphs(function) for n, function in self._infer.items()}
        for projection in spec.projections:
            if projection.weights is not None:
                self._network.load({projection.name: torch.tensor(projection.weights, device=device)})
        why_not = reason(spec, device, workers is not None)
        self.kernels = f"torch: {why_not}" if why_not else "Triton"
        if device.type != "cpu":
            self.remark = f"{device} computes by {self.kernels if why_not else 'Triton kernels'}"
        self._fused = None if why_not else fused_network(spec, self._learners, device, batch_size)

    @contextlib.contextmanager
    def _exactly(self) -> Iterator[None]:
        """Exact products, on as many threads as asked for."""
        before = torch.get_num_threads()
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        try:
            with exact_products():
                yield
        finally:
            if self.threads is not None:
                torch.set_num_threads(before)

    def _batch(self, shown: Presentation) -> Batch:
        def whole(values: Integers) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int32)).to(self.device)

        targets = None if shown.targets is None else whole(shown.targets)
        currents = {name: whole(values) for name, values in (shown.currents or {}).items()}
        streams = torch.from_numpy(spike_streams(keys_of(shown), self.spec.window)).to(self.device)
        return Batch(whole(shown.payloads), targets, whole(self._signs(shown)), streams, currents or None)

    def _kernels_for(self, shown: Presentation) -> FusedNetwork | None:
        """The Triton kernels, which add no currents; None where torch runs the images, with the weights of now."""
        if self._fused is not None and shown.currents:
            self._transmit(None)
            return None
        return self._fused

    def _share(self, count: int, shared: bool = True) -> range:
        """Which of `count` images are this worker's."""
        if self.workers is None or not shared:
            return range(count)
        rank, size = self.workers.rank, self.workers.size
        return range(count * rank // size, count * (rank + 1) // size)

    def _sum(self, values: Int64) -> Int64:
        """The sum over all workers of arrays in which each filled in its own images."""
        if self.workers is None:
            return values
        gathered: Int64 = self.workers.gather(torch.from_numpy(values)).sum(dim=0).numpy()
        return gathered

    def _present(self, shown: Presentation) -> Record:
        n_phases = 1 if shown.targets is None else len(self.spec.schedule.phases)
        with self._exactly():
            if shown.keep_states or shown.keep_spikes:
                return self._run_kept(shown, n_phases)
            return self._run(shown, n_phases)

    def _pieces(self, n: int, whole: int) -> Iterator[slice]:
        """Yield slices of `n` images that lie on the device together, of whole batches but for the last."""
        at_once = whole * max(1, ON_DEVICE // whole)
        for first in range(0, max(n, 1), at_once):
            yield slice(first, min(first + at_once, n))

    def _chunks(self, images: range, kept_steps: int = 0) -> Iterator[slice]:
        """Yield slices of `images` that fit into memory together."""
        at_once = max(1, room(self.device, MEMORY[self.device.type]) // bytes_per_image(self._network, kept_steps))
        for first in range(images.start, max(images.stop, images.start + 1), at_once):
            yield slice(first, min(first + at_once, images.stop))

    def _run(self, shown: Presentation, n_phases: int) -> Record:
        outcomes, fused = _Found(self.spec, len(shown)), self._kernels_for(shown)
        if fused is not None:
            for piece in self._pieces(len(shown), IN_FLIGHT):
                outcomes.fill(piece, fused.run(*self._shown(shown, piece), n_phases, IN_FLIGHT))
        else:
            for chunk in self._chunks(self._share(len(shown))):
                batch = self._batch(shown.images(chunk.start, chunk.stop))
                outcomes.fill(chunk, self._infer[n_phases](batch))
        counts, output, settled, last_spike, _ = (self._sum(values) for values in outcomes.arrays)
        return Record(
            backend=self.backend,
            seed=shown.seed,
            predictions=np.argmax(output, axis=1).astype(np.int32),
            output_states=output.astype(np.int32),
            spike_counts={p.name: counts[:, i, : n_phases + 1] for i, p in enumerate(self.spec.populations)},
            settled=settled.astype(np.bool_),
            last_spike=last_spike.astype(np.int32),
        )

    def _shown(self, shown: Presentation, piece: slice) -> tuple[Integers, Integers | None, Int64, UInt32]:
        """Payloads, targets, signs and keys of a piece of the images."""
        part = shown.images(piece.start, piece.stop)
        return part.payloads, part.targets, self._signs(part), image_keys(part.seed, part.first_image, len(part))

    def _run_kept(self, shown: Presentation, n_phases: int) -> Record:
        """Run and keep everything; every worker for itself. The kernels keep nothing: torch does it."""
        if self._fused is not None:
            self._transmit(None)
        steps, records = 1 + self.spec.schedule.ends[n_phases - 1], []
        for part in self._chunks(range(len(shown)), 3 * steps):
            images = shown.images(part.start, part.stop)
            kept_steps = history(self._network, self._batch(images), n_phases)
            records.append(record_from_history(self.spec, self.backend, images, kept_steps))
        return join_records(records)

    def _learn(self, lesson: Lesson, rates: Rates) -> LearningOutcome:
        chosen, outcomes = check_learning(self.spec, rates), _Found(self.spec, len(lesson))
        fused = self._kernels_for(lesson)
        keys = image_keys(lesson.seed, lesson.first_image, len(lesson))
        if fused is not None:
            for piece in self._pieces(len(lesson), self.batch_size):
                payloads, _, signs, _ = self._shown(lesson, piece)
                shown = payloads, lesson.targets[piece], signs, keys[piece]
                outcomes.fill(piece, fused.learn(*shown, chosen, self.batch_size))
            return self._outcome(outcomes)
        with self._exactly():
            for start in range(0, len(lesson), self.batch_size):
                mine = self._share(min(self.batch_size, len(lesson) - start))
                moves = [learner.no_move() for learner in self._learners] if self.workers else None
                for chunk in self._chunks(range(start + mine.start, start + mine.stop)):
                    batch = self._batch(lesson.images(chunk.start, chunk.stop))
                    outcome, seen = self._settle(batch)
                    self._update(seen, batch.signs, keys[chunk], chosen, moves)
                    outcomes.fill(chunk, outcome)
                self._transmit(moves)
        self._tell_kernels()
        return self._outcome(outcomes)

    def _outcome(self, outcomes: _Found) -> LearningOutcome:
        counts = self._sum(outcomes.counts.sum(axis=0))
        output, settled, last_spike, nudged = (self._sum(values) for values in outcomes.arrays[1:])
        return LearningOutcome(
            np.argmax(output, axis=1).astype(np.int32),
            {p.name: counts[i] for i, p in enumerate(self.spec.populations)},
            Settling(
                settled.astype(np.bool_), last_spike.astype(np.int32), output.astype(np.int32), nudged.astype(np.int32)
            ),
        )

    def _update(
        self, seen: Equilibria, signs: Tensor, keys: UInt32, rates: Mapping[str, Rate],
        moves: list[Move] | None,
    ) -> None:  # fmt: skip
        """Let every rule learn from a few images: move the weights, or, with workers, only note the moves."""
        for index, learner in enumerate(self._learners):
            memory = MEMORY if learner.sparse else STEP_MEMORY
            at_once = max(1, memory[self.device.type] // (12 * learner.full.numel()))
            registers = learner.registers(moves[index] if moves else None)
            for first in range(0, len(signs), at_once):
                part = slice(first, first + at_once)
                learner.learn(seen.of(part), signs[part], keys[part], rates[learner.projection.name], registers)

    def _transmit(self, moves: list[Move] | None) -> None:
        """End a batch: apply the moves of all workers, and let the synapses transmit the new weights."""
        for index, learner in enumerate(self._learners):
            if moves is not None and self.workers is not None:
                learner.merge(moves[index], self.workers)
            learner.synapses.load(learner.effective())

    def weights(self) -> dict[str, Int8]:
        """The rounded weights of now."""
        learned = {part.projection.name: part.effective().to(torch.int8).cpu().numpy() for part in self._learners}
        return {**super().weights(), **learned}

    def full_weights(self) -> dict[str, Int16]:
        """A copy of the plastic weights with their shadow bits."""
        return {
            part.projection.name: part.full.view(part.synapses.shape).to(torch.int16).cpu().numpy()
            for part in self._learners
        }

    def restore(self, full: Mapping[str, Integers]) -> None:
        """Set the plastic weights to what `full_weights` returned."""
        for learner in self._learners:
            learner.restore(full[learner.projection.name])
        self._transmit(None)
        self._tell_kernels()

    def _tell_kernels(self) -> None:
        """Let the Triton kernels, where there are any, transmit the weights of now."""
        if self._fused is not None:
            self._fused.load({part.projection.name: part.effective() for part in self._learners})


class _Found:
    """What is found of n images, on the host; zero where another worker fills it in."""

    def __init__(self, spec: NetworkSpec, n: int) -> None:
        shape = (n, len(spec.populations), 1 + len(spec.schedule.phases))
        self.counts = np.zeros(shape, dtype=np.int64)
        self.output = np.zeros((n, spec.n_classes), dtype=np.int64)
        self.settled = np.zeros(n, dtype=np.int64)
        self.last_spike = np.zeros(n, dtype=np.int64)
        self.nudged = np.zeros((n, 2, spec.n_classes), dtype=np.int64)
        self.arrays = (self.counts, self.output, self.settled, self.last_spike, self.nudged)  # as in `Outcome`

    def fill(self, part: slice, outcome: Outcome) -> None:
        """Fetch the results of images `part`; waits for the device."""
        for into, values in zip(self.arrays, outcome, strict=True):
            into[part] = values.cpu().numpy()


class TorchBackend(Backend[NetworkSpec]):
    """Integers in batches, on a CPU or a CUDA device."""

    name = "torch"
    capabilities = Capabilities(frozenset({"sigma-delta"}), learns=True)

    def open(
        self, spec: Network, *, threads: int | None = None, batch_size: int = 1, device: str = "cpu",
        workers: Workers | None = None,
    ) -> TorchSession:  # fmt: skip
        """Open `spec`. device: "cpu", "cuda" or "cuda:N". threads: of the CPU, None as torch is set.

        Raises: UserError if there is no such device, or if workers have no image each.
        """
        network = self.admitted(spec, threads, batch_size)
        if workers is not None and batch_size < workers.size:
            raise UserError(f"backend torch: {workers.size} workers share a batch of {batch_size}; raise batch_size")
        return TorchSession(network, threads, batch_size, device_of(device), workers)


def device_of(name: str) -> torch.device:
    """The device called `name`. Raises: UserError if there is none here."""
    kind, _, index = name.partition(":")
    if kind not in DEVICES or not (index.isdigit() or name == kind):
        raise UserError(f"device {name!r} is unknown; choose cpu, cuda, or cuda:N")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise UserError(f"device {name}: torch finds {found} CUDA devices here; choose cpu, or install a driver")
    return torch.device(name)
