"""The process that runs a stock network in Lava: `python -m sim.backends.lava.stock_worker FOLDER CALLER`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neuro.files import array_bytes, parse_arrays, parse_json, read_bytes, write_atomically
from sim.backends.lava.stock import ARRAYS, GRAPH, result_path
from sim.backends.lava.worker_main import count_done, run_worker_main

Arrays = dict[str, npt.NDArray[np.generic]]


def run_sequence(
    folder: Path, index: int, content: dict[str, Any], arrays: Arrays, inputs: npt.NDArray[np.generic]
) -> None:
    """Build the graph, run one sequence of shape [T, n], and write its spikes, and u and v at the end."""
    from sim.backends.lava.stock_graph import build_stock_graph, record_spikes

    graph = build_stock_graph(content, arrays, inputs)
    record_spikes(graph, folder, 1, len(inputs), index)
    try:
        start = time.perf_counter()
        graph.run(len(inputs))
        run_s = np.array(time.perf_counter() - start)
        result = {"run_s": run_s, **graph.states(), **graph.learned()}
        write_atomically(result_path(folder, index), array_bytes(result))
    finally:
        graph.stop()


def run_sequences(folder: Path) -> None:
    """Run every sequence of the job in `folder`, one after the other."""
    content = parse_json(read_bytes(folder / GRAPH), folder / GRAPH)
    arrays = parse_arrays(read_bytes(folder / ARRAYS), folder / ARRAYS)
    for index, inputs in enumerate(arrays["inputs"]):
        run_sequence(folder, index, content, arrays, inputs)
        count_done(folder, index + 1)


if __name__ == "__main__":
    run_worker_main(run_sequences)
