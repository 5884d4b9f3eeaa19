"""The process that drives a board: `python -m hardware.board.worker FOLDER CALLER`. Ends with its caller.

Modes of a job: "run" gives the spikes of every image, each from zero state; "measure" runs all images back to back in
one go under Lava's profiler, which serves a single run; "learn" runs all samples back to back in a graph that learns;
"compile" goes through Lava's compiler for the chip, and runs nothing.
"""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from neuro.base.arrays import Arrays, Int32
from neuro.base.files import array_bytes, parse_arrays, parse_json, read_bytes, write_atomically
from sim.backends.lava.stock.run import ARRAYS, GRAPH, result_path, spikes_path
from sim.backends.lava.worker.main import count_done, run_worker_main


def run_board_job(folder: Path) -> None:
    """Run the job in `folder`."""
    content = parse_json(read_bytes(folder / GRAPH), folder / GRAPH)
    arrays = parse_arrays(read_bytes(folder / ARRAYS), folder / ARRAYS)
    inputs = arrays["inputs"].astype(np.int32)
    door = importlib.import_module(content["door"])
    if content["mode"] == "compile":
        _compile(folder, content, arrays, inputs, door)
        return
    if content["mode"] != "run":
        _run_at_once(folder, content, arrays, inputs, door)
        return
    size = len(inputs) if content["together"] else 1
    for first in range(0, len(inputs), size):
        _run_apart(folder, first, content, arrays, inputs[first : first + size], door)


def _compile(folder: Path, content: dict[str, Any], arrays: Arrays, inputs: Int32, door: ModuleType) -> None:
    """Compile the graph as it would run."""
    from hardware.board.graph import build_board_graph

    graph = build_board_graph(content, arrays, inputs.reshape(-1, inputs.shape[2]), door)
    _record(graph, folder, 0, 1, inputs.shape[1], door)
    graph.first.compile(door.run_configuration())
    count_done(folder, len(inputs))


def _run_apart(
    folder: Path, group: int, content: dict[str, Any], arrays: Arrays, inputs: Int32, door: ModuleType
) -> None:
    """Run images one after the other in one graph, silence and a cleared state between them."""
    from hardware.board.graph import build_board_graph

    batch, _, width = inputs.shape
    silence = np.zeros((batch, door.FLUSH_STEPS, width), dtype=np.int32)
    padded = np.concatenate([inputs, silence], axis=1)
    period = padded.shape[1]
    graph = build_board_graph(content, arrays, padded.reshape(batch * period, width), door)
    _record(graph, folder, group, batch, period, door)
    try:
        configuration = door.run_configuration()
        for index in range(batch):
            if index > 0:
                door.clear(graph.neurons, graph.synapses)
            _run(graph, period, configuration)
            count_done(folder, group + index + 1)
    finally:
        graph.first.stop()


def _run_at_once(folder: Path, content: dict[str, Any], arrays: Arrays, inputs: Int32, door: ModuleType) -> None:
    """Run all images in a single run; leave what the profiler read, or the spikes and what was learned."""
    from hardware.board.graph import build_board_graph

    batch, steps, width = inputs.shape
    graph = build_board_graph(content, arrays, inputs.reshape(batch * steps, width), door)
    measures = content["mode"] == "measure"
    if not measures:
        _record(graph, folder, 0, batch, steps, door)
    try:
        configuration = door.run_configuration()
        profiler = door.profiler(configuration, batch * steps) if measures else None
        start = time.perf_counter()
        _run(graph, batch * steps, configuration)
        results: Arrays = {"wall_s": np.array(time.perf_counter() - start), **graph.learned()}
    finally:
        graph.first.stop()
    if profiler is not None:
        results.update(_readings(profiler))
    write_atomically(result_path(folder, 0), array_bytes(results))
    count_done(folder, batch)


def _run(graph: Any, steps: int, configuration: Any) -> None:
    from lava.magma.core.run_conditions import RunSteps

    graph.first.run(condition=RunSteps(num_steps=steps), run_cfg=configuration)


def _record(graph: Any, folder: Path, group: int, batch: int, period: int, door: ModuleType) -> None:
    from hardware.board.graph import record

    paths = {
        population["name"]: spikes_path(folder, group, index)
        for index, population in enumerate(graph.content["populations"])
        if population["model"] != "SpikeInput"
    }
    record(graph, paths, batch, period, door)


def _readings(profiler: Any) -> Arrays:
    """The readings of the probes; public scripts report that the energy probe is missing on some boards."""
    readings: Arrays = {"execution_time": np.atleast_1d(np.asarray(profiler.execution_time, dtype=np.float64))}
    for name in ("energy", "static_energy", "power"):
        value = getattr(profiler, name, None)
        if value is not None:
            readings[name] = np.atleast_1d(np.asarray(value, dtype=np.float64))
    return readings


if __name__ == "__main__":
    run_worker_main(run_board_job)
