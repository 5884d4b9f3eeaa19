"""The backend on the chip: stock networks on a Loihi 2 through Lava, the same contract as every other backend.

Never run on a chip here; its logic runs in tests with another module in the place of `hardware.board.door`. A worker
process holds the board and is ended, with all it started, when it stalls. Two things a board may do otherwise are not
known to the public: whether two silent steps suffice to let messages arrive before the state is cleared, and the delay
that the adapters between host and chip add. So the first thing to do with a board is to compare spikes with the chip
backend (tests/hardware/board/test_backend.py says how).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hardware.board.detect import require_extension
from hardware.chip.blocks import SPARSE, blocks_of
from hardware.chip.limits import DEFAULT_LIMITS, limits_of
from hardware.chip.microcode import program
from hardware.placement.partition import partition
from neuro.base.arrays import Array, Int32, Integers
from neuro.base.errors import UserError
from neuro.base.quantities import Measured
from neuro.base.scratch import scratch
from neuro.spec.network import Network
from neuro.spec.sigma_delta import NetworkSpec
from neuro.stock.family import StockFamily
from neuro.stock.processes import LIF, SpikeInput, StockSpec
from sim.backends.lava.stock.run import read_arrays, result_path, save_graph, spikes_path
from sim.backends.lava.worker.watch import run_worker
from sim.backends.presentation import Lesson, Presentation
from sim.backends.protocol import Backend, Capabilities
from sim.backends.record import LearningOutcome, Record
from sim.backends.session import Rates
from sim.backends.stock.emulator import StockRun
from sim.backends.stock.record import check_images, make_record
from sim.backends.stock.session import StockSession, commit_pairs, engine_rules, refuse_biases, stock_inputs

STALL_S = 300.0  # booting a board takes tens of seconds
WORKER = "hardware.board.worker"
DOOR = "hardware.board.door"


@dataclass(frozen=True)
class BoardMeasurement:
    """What Lava's profiler read on the chip, per image. energy: None where the board has no energy probe."""

    latency: Measured
    energy: Measured | None
    static_energy: Measured | None


class BoardSession(StockSession):
    """A stock network opened on a board. Every run is a worker process of its own; none outlives it. u and v are not
    read from the chip.
    """

    backend = "loihi2"

    def __init__(self, network: StockFamily, door: str, stall_s: float, on_image: Callable[[int], None]) -> None:
        refuse_biases("loihi2", network)
        super().__init__(network)
        self.door, self.stall_s, self.on_image = door, stall_s, on_image

    def _present(self, shown: Presentation) -> Record:
        if shown.keep_states:
            raise UserError("backend loihi2: reads spikes only, states cross one element a message; drop keep_states")
        graph, inputs, _ = stock_inputs(self.spec, shown.payloads, shown.targets)
        apart, together = unreset(graph, inputs.shape[1])
        with scratch("board") as folder:
            self._work(folder, apart, inputs, mode="run", together=together)
            spikes = _spikes(graph, inputs, folder, 1 if together else len(inputs))
        return make_record(self.spec, self.backend, shown, _without_states(spikes))

    def measure(self, payloads: Integers) -> BoardMeasurement:
        """Measure time and energy of inferences, one after the other, with Lava's profiler."""
        check_images(self.spec, payloads, None)
        if not len(payloads):
            raise UserError("backend loihi2: no images to measure; give at least one")
        graph, inputs, _ = stock_inputs(self.spec, payloads, None)
        with scratch("board") as folder:
            self._work(folder, graph, inputs, mode="measure")
            found = read_arrays(result_path(folder, 0))
        return measurement(found, len(payloads), inputs.shape[1])

    def _learn(self, lesson: Lesson, rates: Rates) -> LearningOutcome:
        """Learn the samples on the chip."""
        network = self.spec
        if not network.plastic or commit_pairs(network):
            raise UserError(
                "backend loihi2: the host has a part in this rule; train with R1..R5 or R7, or on another backend"
            )
        rules = engine_rules(rates)
        plastic = tuple(replace(p, rule=rules[p.name]) if p.name in rules else p for p in network.projections)
        graph = replace(network.graph, projections=plastic)
        inputs = network.learning_inputs(lesson.payloads, lesson.targets.argmax(axis=1))
        with scratch("board") as folder:
            self._work(folder, graph, inputs, mode="learn")
            spikes = _spikes(graph, inputs, folder, 1)
            arrays = read_arrays(result_path(folder, 0))
        record = make_record(network, self.backend, lesson, _without_states(spikes))
        self._spec = network.with_weights(
            {p.name: np.rint(arrays[f"weights.{p.name}"]).astype(np.int16) for p in network.plastic}
        )
        counts = {key: values.sum(axis=0) for key, values in record.spike_counts.items()}
        return LearningOutcome(record.predictions, counts)

    def _work(self, folder: Path, graph: StockSpec, inputs: Integers, **settings: Any) -> None:
        """Run a job on the board in a watched worker."""
        run_job(folder, graph, inputs, self.door, self.stall_s, self.on_image, **settings)


def compile_on_board(graph: StockSpec, *, door: str = DOOR, stall_s: float = STALL_S) -> str:
    """Let Lava's compiler for the chip take a graph; returns what happened, in words.

    Raises: UserError if the extension is missing, or the compiler refuses.
    """
    require_extension()
    silence = np.zeros((1, 1, graph.n_inputs), dtype=np.int32)
    with scratch("board") as folder:
        run_job(folder, graph, silence, door, stall_s, lambda done: None, mode="compile")
    return "taken by Lava's compiler for Loihi 2"


def run_job(
    folder: Path, graph: StockSpec, inputs: Integers, door: str, stall_s: float, on_image: Callable[[int], None],
    **settings: Any,
) -> None:  # fmt: skip
    """Run a job on the board in a watched worker, which leaves its results in `folder`."""
    blocks = blocks_of(graph, limits_of(DEFAULT_LIMITS))
    sparse = [block.name for block in blocks.synapses if block.kind == SPARSE]
    save_graph(folder, graph, inputs, sparse=sparse, door=door, **settings)
    run_worker(WORKER, folder, len(inputs), "image", stall_s, on_image, "loihi2")


def unreset(graph: StockSpec, steps: int) -> tuple[StockSpec, bool]:
    """The graph for images that each start from zero state, and whether they can share it.

    A neuron that is reset once an image needs no reset: its state is cleared before. Others count steps of their own,
    so each image gets a graph.
    """
    intervals = {p.neuron.reset_interval for p in graph.populations if isinstance(p.neuron, LIF)}
    if not all(interval == 0 or interval >= steps for interval in intervals):
        return graph, False
    populations = tuple(
        replace(p, neuron=replace(p.neuron, reset_interval=0)) if isinstance(p.neuron, LIF) else p
        for p in graph.populations
    )
    return replace(graph, populations=populations), True


def _spikes(graph: StockSpec, inputs: Integers, folder: Path, n_groups: int) -> dict[str, Int32]:
    """The spikes of all populations, of shape [B, T, N]: of inputs as they were sent, of others as recorded."""
    spikes, column, steps = {}, 0, inputs.shape[1]
    for index, population in enumerate(graph.populations):
        if isinstance(population.neuron, SpikeInput):
            spikes[population.name] = inputs[:, :, column : column + population.size].astype(np.int32)
            column += population.size
        else:
            parts = [read_arrays(spikes_path(folder, group, index))["spikes"] for group in range(n_groups)]
            spikes[population.name] = np.concatenate(parts)[:, :steps].astype(np.int32)
    return spikes


def _without_states(spikes: dict[str, Int32]) -> StockRun:
    unread = {name: np.zeros_like(trains[:, 0]) for name, trains in spikes.items()}
    return StockRun(spikes, unread, unread)


def measurement(found: Mapping[str, Array], n_images: int, steps: int) -> BoardMeasurement:
    """The readings of the profiler as quantities per image."""
    probe = "Lava profiler on Loihi 2, {} probe, {} steps an image"

    def energy(name: str) -> Measured | None:
        if name not in found:
            return None
        joules = float(found[name].astype(np.float64).sum())
        return Measured(joules / n_images, "J", probe.format(name, steps), n_images)

    seconds = float(found["execution_time"].astype(np.float64).sum())
    latency = Measured(seconds / n_images, "s", probe.format("execution time", steps), n_images)
    return BoardMeasurement(latency, energy("energy"), energy("static_energy"))


class BoardBackend(Backend[StockFamily]):
    """Stock networks on a Loihi 2."""

    name = "loihi2"
    capabilities = Capabilities(frozenset({"stock"}), learns=True, batches=False)

    def __init__(self, door: str = DOOR) -> None:
        self.door = door

    def open(
        self,
        spec: Network,
        *,
        threads: int | None = None,
        batch_size: int = 1,
        stall_s: float = STALL_S,
        on_image: Callable[[int], None] = lambda done: None,
    ) -> BoardSession:
        """Open a network. stall_s: end a run that finishes no image for so long. on_image is told the images done.

        Raises: UserError if the extension is missing, if a neuron needs microcode, if the network does not fit.
        """
        if isinstance(spec, NetworkSpec):
            raise UserError(_needs_microcode(spec))
        network = self.admitted(spec, threads, batch_size)
        require_extension()
        limits = limits_of(DEFAULT_LIMITS)
        partition(blocks_of(network, limits), limits)
        return BoardSession(network, self.door, stall_s, on_image)


def _needs_microcode(spec: NetworkSpec) -> str:
    sizes = ", ".join(f"{p.name} ({len(program(spec.unit(p.name)))} micro-operations)" for p in spec.moving)
    return (
        f"backend loihi2: it runs no {spec.family} networks: {sizes} need microcode that Lava does not ship; train "
        "with --family stock, or evaluate on events or lava"
    )
