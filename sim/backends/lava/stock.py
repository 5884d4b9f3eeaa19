"""Stock networks in Lava itself: what `sim.backends.chip` must equal. Imports no lava itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neuro.files import array_bytes, json_bytes, parse_arrays, read_bytes, write_atomically
from neuro.stock import StockPopulation, StockProjection, StockSpec
from sim.backends.chip import ChipRecord
from sim.backends.lava.backend import STALL_S
from sim.backends.lava.engine import rule_to_json
from sim.backends.lava.watch import check_installed, run_worker

WORKER = "sim.backends.lava.stock_worker"
GRAPH, ARRAYS = "graph.json", "arrays.npz"


@dataclass(frozen=True, eq=False)
class LavaStockRun:
    """What Lava did: the record of all sequences and, per sequence, the weights and tags of plastic projections at its
    end, of shape [N_source, N_target] by projection, and the seconds its run took, building the graph included.
    """

    record: ChipRecord
    weights: list[dict[str, npt.NDArray[np.generic]]]
    tags: list[dict[str, npt.NDArray[np.generic]]]
    run_s: list[float]


def run_stock_in_lava(
    spec: StockSpec,
    inputs: npt.NDArray[np.integer[Any]],
    stall_s: float = STALL_S,
    on_image: Callable[[int], None] = lambda done: None,
) -> LavaStockRun:
    """Run B independent sequences, inputs of shape [B, T, n], one after the other in one watched worker.

    Raises:  UserError if Lava is missing, fails, or finishes no sequence for `stall_s` seconds.
    """
    check_installed()
    spec.check_inputs(inputs)
    with tempfile.TemporaryDirectory(prefix="settle-lava-") as name:
        folder = Path(name)
        graph = {
            "populations": [_population_to_json(population) for population in spec.populations],
            "projections": [_projection_to_json(projection) for projection in spec.projections],
        }
        arrays = {f"weights.{projection.name}": projection.weights for projection in spec.projections}
        write_atomically(folder / GRAPH, json_bytes(graph))
        write_atomically(folder / ARRAYS, array_bytes({**arrays, "inputs": np.asarray(inputs, dtype=np.int32)}))
        run_worker(WORKER, folder, len(inputs), "image", stall_s, on_image)
        parts = [_read(folder / f"result-{index}.npz") for index in range(len(inputs))]
    names = [population.name for population in spec.populations]
    spikes, u, v = (
        {name: np.stack([part[f"{key}.{name}"] for part in parts]).astype(np.int32) for name in names}
        for key in ("spikes", "u", "v")
    )
    weights, tags = (
        [{p.name: part[f"{key}.{p.name}"] for p in spec.projections if p.rule is not None} for part in parts]
        for key in ("weights", "tags")
    )
    return LavaStockRun(ChipRecord(spikes, u, v), weights, tags, [float(part["run_s"]) for part in parts])


def _read(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    return parse_arrays(read_bytes(path), path)


def _projection_to_json(projection: StockProjection) -> dict[str, Any]:
    content = {key: value for key, value in vars(projection).items() if key not in ("weights", "rule")}
    if projection.rule is not None:
        content["rule"] = rule_to_json(projection.rule, projection.noise_seed)
    return content


def _population_to_json(population: StockPopulation) -> dict[str, Any]:
    model = type(population.neuron).__name__
    return {"name": population.name, "size": population.size, "model": model, **asdict(population.neuron)}
