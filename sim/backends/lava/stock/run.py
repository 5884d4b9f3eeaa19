"""Stock networks in Lava itself: what `sim.backends.stock.emulator` must equal. Imports no lava itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuro.base.arrays import Array, Int32, Integers
from neuro.base.errors import UserError
from neuro.base.files import array_bytes, json_bytes, parse_arrays, read_bytes, write_atomically
from neuro.base.scratch import scratch
from neuro.stock.processes import LIF, StockPopulation, StockProjection, StockSpec
from sim.backends.lava.stock.learning_engine import rule_to_json
from sim.backends.lava.worker.watch import STALL_S, check_installed, run_worker
from sim.backends.stock.emulator import NONE, StockRun

WORKER = "sim.backends.lava.stock.worker"
GRAPH, ARRAYS, BIAS = "graph.json", "arrays.npz", "bias."


@dataclass(frozen=True, eq=False)
class LavaStockRun:
    """What Lava did: the record of all sequences and, per sequence, the weights and tags of plastic projections at its
    end, of shape [N_source, N_target] by projection, and the seconds its run took, building the graph included (once if
    it is shared).
    """

    record: StockRun
    weights: list[dict[str, Array]]
    tags: list[dict[str, Array]]
    run_s: list[float]


def run_stock_in_lava(
    spec: StockSpec,
    inputs: Integers,
    stall_s: float = STALL_S,
    on_image: Callable[[int], None] = lambda done: None,
    biases: Mapping[str, Integers] = NONE,
) -> LavaStockRun:
    """Run B independent sequences, inputs of shape [B, T, n], one after the other in one watched worker, and in one
    graph if they can share it. biases: see `sim.backends.stock.emulator.emulate`.

    Raises:  UserError if Lava is missing, fails, or finishes no sequence for `stall_s` seconds.
    """
    check_installed()
    spec.check_inputs(inputs)
    spec.check_biases(biases, len(inputs))
    with scratch("lava") as folder:
        together = can_share_graph(spec, inputs.shape[1])
        save_network(folder, spec, inputs, biases, together=together)
        run_worker(WORKER, folder, len(inputs), "image", stall_s, on_image)
        spikes = read_spikes(spec, folder, 1 if together else len(inputs))
        results = [read_arrays(result_path(folder, index)) for index in range(len(inputs))]
    names = [population.name for population in spec.populations]
    u, v = (
        {name: np.stack([result[f"{key}.{name}"] for result in results]).astype(np.int32) for name in names}
        for key in "uv"
    )
    weights, tags = (
        [{p.name: result[f"{key}.{p.name}"] for p in spec.projections if p.rule is not None} for result in results]
        for key in ("weights", "tags")
    )
    return LavaStockRun(StockRun(spikes, u, v), weights, tags, [float(result["run_s"]) for result in results])


def can_share_graph(spec: StockSpec, steps: int) -> bool:
    """Whether sequences of so many steps may follow each other in one graph: time goes on there, so that every
    LIFReset must begin each sequence in the same phase; and nothing may learn.
    """
    intervals = [p.neuron.reset_interval for p in spec.populations if isinstance(p.neuron, LIF)]
    in_phase = all(interval == 0 or steps % interval == 0 for interval in intervals)
    return in_phase and all(projection.rule is None for projection in spec.projections)


def result_path(folder: Path, index: int) -> Path:
    """File for what a sequence left behind."""
    return folder / f"result-{index}.npz"


def spikes_path(folder: Path, group: int, population: int) -> Path:
    """File for the spikes of a population (by index) in the sequences of a group."""
    return folder / f"spikes-{group}-{population}.npz"


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays a worker left."""
    return parse_arrays(read_bytes(path), path)


def read_spikes(spec: StockSpec, folder: Path, n_groups: int) -> dict[str, Int32]:
    """The spikes of all groups of sequences, of shape [B, T, N] by population."""
    return {
        population.name: np.concatenate(
            [read_arrays(spikes_path(folder, group, index))["spikes"] for group in range(n_groups)]
        ).astype(np.int32)
        for index, population in enumerate(spec.populations)
    }


def save_network(
    folder: Path,
    spec: StockSpec,
    inputs: Integers,
    biases: Mapping[str, Integers] = NONE,
    **settings: Any,
) -> None:
    """Write network, inputs, biases and whatever else a worker needs to know.

    Raises: UserError if a projection learns in a way that Lava's simulator has not.
    """
    for projection in spec.projections:
        if projection.rule is not None and (projection.noise, projection.lsb) != ("shared", 1):
            raise UserError(
                f"backend lava: projection {projection.name}: Lava learns with shared noise and lsb 1 only; set them"
            )
    save_graph(folder, spec, inputs, biases, **settings)


def graph_content(spec: StockSpec) -> dict[str, Any]:
    """A network as `stock_graph` reads it, without weights."""
    return {
        "populations": [_population_to_json(population) for population in spec.populations],
        "projections": [_projection_to_json(projection) for projection in spec.projections],
    }


def graph_weights(spec: StockSpec) -> dict[str, Array]:
    """The weights as `stock_graph` reads them."""
    return {f"weights.{projection.name}": projection.weights for projection in spec.projections}


def save_graph(
    folder: Path,
    spec: StockSpec,
    inputs: Integers,
    biases: Mapping[str, Integers] = NONE,
    **settings: Any,
) -> None:
    """Write network, inputs, biases and settings, whatever backend may run them."""
    content, arrays = {**graph_content(spec), **settings}, graph_weights(spec)
    write_atomically(folder / GRAPH, json_bytes(content))
    arrays |= {f"{BIAS}{name}": mantissas.astype(np.int16) for name, mantissas in biases.items()}
    write_atomically(folder / ARRAYS, array_bytes({**arrays, "inputs": np.asarray(inputs, dtype=np.int32)}))


def _projection_to_json(projection: StockProjection) -> dict[str, Any]:
    content = {key: value for key, value in vars(projection).items() if key not in ("weights", "rule")}
    if projection.rule is not None:
        content["rule"] = rule_to_json(projection.rule, projection.noise_seed)
    return content


def _population_to_json(population: StockPopulation) -> dict[str, Any]:
    model = type(population.neuron).__name__
    return {"name": population.name, "size": population.size, "model": model, **asdict(population.neuron)}
