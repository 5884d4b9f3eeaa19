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
from neuro.spec.plasticity import Rate
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.batched.cuda_graphs import Graphs, wanted
from sim.backends.batched.network import Batch, TorchNetwork
from sim.backends.batched.plasticity import Learner, Move
from sim.backends.batched.record import Equilibria, Outcome, bytes_per_image, history, infer, settle
from sim.backends.batched.synapses import exact_products
from sim.backends.checks import check_learning
from sim.backends.protocol import Capabilities, SessionBase, Workers, check_options, check_payloads
from sim.backends.record import LearningOutcome, Record, nudge_signs, record_from_history
from sim.backends.stock.record import join_records

MEMORY = {"cpu": 64 << 20, "cuda": 4 << 30}  # bytes that images in flight may take, about
STEP_MEMORY = {"cpu": 4 << 20, "cuda": 2 << 30}  # bytes of changes of weights at a time; of a CPU, what its cache holds
DEVICES = ("cpu", "cuda")


class TorchSession(SessionBase):
    """A spec opened in torch; holds the full-resolution weights while it learns."""

    def __init__(
        self, spec: NetworkSpec, threads: int | None, batch_size: int, device: torch.device, workers: Workers | None
    ) -> None:
        self.spec, self.threads, self.batch_size, self.device, self.workers = spec, threads, batch_size, device, workers
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

    def _batch(self, payloads: Integers, targets: Integers | None, signs: Int64) -> Batch:
        def whole(values: Integers) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int32)).to(self.device)

        return Batch(whole(payloads), None if targets is None else whole(targets), whole(signs))

    def _share(self, count: int, shared: bool = True) -> range:
        """Return which of `count` images are this worker's."""
        if self.workers is None or not shared:
            return range(count)
        rank, size = self.workers.rank, self.workers.size
        return range(count * rank // size, count * (rank + 1) // size)

    def _sum(self, values: Int64) -> Int64:
        """Return the sum over all workers of arrays in which each filled in its own images."""
        if self.workers is None:
            return values
        gathered: Int64 = self.workers.gather(torch.from_numpy(values)).sum(dim=0).numpy()
        return gathered

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
        signs = nudge_signs(self.spec, seed, first_image, len(payloads))
        with self._exactly():
            if keep_states or keep_spikes:
                return self._run_kept(payloads, targets, signs, seed, keep_states, keep_spikes)
            return self._run(payloads, targets, signs, seed)

    def _chunks(self, images: range, kept_steps: int = 0) -> Iterator[slice]:
        """Yield slices of `images` that fit into memory together."""
        at_once = max(1, MEMORY[self.device.type] // bytes_per_image(self._network, kept_steps))
        for first in range(images.start, max(images.stop, images.start + 1), at_once):
            yield slice(first, min(first + at_once, images.stop))

    def _run(self, payloads: Integers, targets: Integers | None, signs: Int64, seed: int) -> Record:
        n_phases = 1 if targets is None else len(self.spec.schedule.phases)
        found = _Found(self.spec, len(payloads))
        for part in self._chunks(self._share(len(payloads))):
            batch = self._batch(payloads[part], None if targets is None else targets[part], signs[part])
            found.fill(part, self._infer[n_phases](batch))
        counts, output, settled = self._sum(found.counts), self._sum(found.output), self._sum(found.settled)
        return Record(
            backend="torch",
            seed=seed,
            predictions=np.argmax(output, axis=1).astype(np.int32),
            output_states=output.astype(np.int32),
            spike_counts={p.name: counts[:, i, : n_phases + 1] for i, p in enumerate(self.spec.populations)},
            settled=settled.astype(np.bool_),
        )

    def _run_kept(self, payloads: Integers, targets: Integers | None, signs: Int64, seed: int, *kept: bool) -> Record:
        """Run and keep everything; every worker for itself."""
        n_phases = 1 if targets is None else len(self.spec.schedule.phases)
        steps = 1 + self.spec.schedule.ends[n_phases - 1]
        records = []
        for part in self._chunks(range(len(payloads)), 3 * steps):
            batch = self._batch(payloads[part], None if targets is None else targets[part], signs[part])
            kept_steps = history(self._network, batch, n_phases)
            records.append(record_from_history(self.spec, "torch", seed, kept_steps, *kept))
        return join_records(records)

    def learn(
        self, payloads: Integers, targets: Integers, rates: Mapping[str, Rate], *, seed: int, first_image: int
    ) -> LearningOutcome:
        """See `sim.backends.protocol.Session.learn`."""
        check_payloads(self.spec, payloads, targets)
        check_learning(self.spec, rates)
        found = _Found(self.spec, len(payloads))
        signs = nudge_signs(self.spec, seed, first_image, len(payloads))
        keys = image_keys(seed, first_image, len(payloads))
        with self._exactly():
            for start in range(0, len(payloads), self.batch_size):
                mine = self._share(min(self.batch_size, len(payloads) - start))
                moves = [learner.no_move() for learner in self._learners] if self.workers else None
                for part in self._chunks(range(start + mine.start, start + mine.stop)):
                    batch = self._batch(payloads[part], targets[part], signs[part])
                    outcome, seen = self._settle(batch)
                    self._update(seen, batch.signs, keys[part], rates, moves)
                    found.fill(part, outcome)
                self._transmit(moves)
        counts = self._sum(found.counts.sum(axis=0))
        return LearningOutcome(
            np.argmax(self._sum(found.output), axis=1).astype(np.int32),
            {p.name: counts[i] for i, p in enumerate(self.spec.populations)},
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
        """See `sim.backends.protocol.Session.weights`."""
        found = {p.name: p.weights.copy() for p in self.spec.projections if p.weights is not None}
        learned = {part.projection.name: part.effective().to(torch.int8).cpu().numpy() for part in self._learners}
        return {**found, **learned}

    def full_weights(self) -> dict[str, Int16]:
        """See `sim.backends.protocol.Session.full_weights`."""
        return {
            part.projection.name: part.full.view(part.synapses.shape).to(torch.int16).cpu().numpy()
            for part in self._learners
        }

    def restore(self, full: Mapping[str, Int16]) -> None:
        """See `sim.backends.protocol.Session.restore`."""
        for learner in self._learners:
            learner.restore(full[learner.projection.name])
            learner.synapses.load(learner.effective())


class _Found:
    """What is found of n images, on the host; zero where another worker fills it in."""

    def __init__(self, spec: NetworkSpec, n: int) -> None:
        shape = (n, len(spec.populations), 1 + len(spec.schedule.phases))
        self.counts = np.zeros(shape, dtype=np.int64)
        self.output = np.zeros((n, spec.n_classes), dtype=np.int64)
        self.settled = np.zeros(n, dtype=np.int64)

    def fill(self, part: slice, outcome: Outcome) -> None:
        """Fetch the results of images `part`; waits for the device."""
        for into, values in zip((self.counts, self.output, self.settled), outcome, strict=True):
            into[part] = values.cpu().numpy()


class TorchBackend:
    """Integers in batches, on a CPU or a CUDA device."""

    name = "torch"
    capabilities = Capabilities(frozenset({"sigma-delta"}), learns=True)

    def open(
        self, spec: NetworkSpec, *, threads: int | None = None, batch_size: int = 1, device: str = "cpu",
        workers: Workers | None = None,
    ) -> TorchSession:  # fmt: skip
        """Open `spec`. device: "cpu", "cuda" or "cuda:N". threads: of the CPU, None as torch is set.

        Raises: UserError if there is no such device, or if workers have no image each.
        """
        if spec.family not in self.capabilities.families:
            raise UserError(f"backend torch: it runs no {spec.family} networks; use chip")
        check_options(self.name, threads, batch_size)
        if workers is not None and batch_size < workers.size:
            raise UserError(f"backend torch: {workers.size} workers share a batch of {batch_size}; raise batch_size")
        return TorchSession(spec, threads, batch_size, device_of(device), workers)


def device_of(name: str) -> torch.device:
    """Return the device called `name`. Raises: UserError if there is none here."""
    kind, _, index = name.partition(":")
    if kind not in DEVICES or not (index.isdigit() or name == kind):
        raise UserError(f"device {name!r} is unknown; choose cpu, cuda, or cuda:N")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise UserError(f"device {name}: torch finds {found} CUDA devices here; choose cpu, or install a driver")
    return torch.device(name)
