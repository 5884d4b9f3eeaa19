"""The process that runs a stock network in Lava: `python -m sim.backends.lava.stock.worker FOLDER CALLER`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from neuro.base.arrays import Array, Arrays
from neuro.base.files import array_bytes, parse_arrays, parse_json, read_bytes, write_atomically
from sim.backends.lava.stock.run import ARRAYS, BIAS, GRAPH, result_path
from sim.backends.lava.worker.main import count_done, run_worker_main


def run_group(folder: Path, group: int, content: dict[str, Any], arrays: Arrays, inputs: Array) -> None:
    """Build the graph, run sequences of shape [B, T, n] in it, and write their spikes, and u and v at each end.

    arrays: the weights, and the biases of these sequences.
    """
    from sim.backends.lava.stock.graph import build_stock_graph, record_spikes

    batch, steps, _ = inputs.shape
    biases = {key.removeprefix(BIAS): values for key, values in arrays.items() if key.startswith(BIAS)}
    first = {name: values[0] for name, values in biases.items()}
    graph = build_stock_graph(content, arrays, inputs.reshape(batch * steps, inputs.shape[2]), first)
    record_spikes(graph, folder, batch, steps, group)
    try:
        for index in range(batch):
            start = time.perf_counter()
            if index > 0:
                graph.clear()
                graph.set_biases({name: values[index] for name, values in biases.items()})
            graph.run(steps)
            run_s = np.array(time.perf_counter() - start)
            result = {"run_s": run_s, **graph.states(), **graph.learned()}
            write_atomically(result_path(folder, group + index), array_bytes(result))
            count_done(folder, group + index + 1)
    finally:
        graph.stop()


def run_groups(folder: Path) -> None:
    """Run the sequences of the job in `folder`, one after the other, in one graph or each in its own."""
    content = parse_json(read_bytes(folder / GRAPH), folder / GRAPH)
    arrays = parse_arrays(read_bytes(folder / ARRAYS), folder / ARRAYS)
    inputs = arrays["inputs"]
    size = len(inputs) if content["together"] else 1
    for first in range(0, len(inputs), size):
        part = slice(first, first + size)
        mine = {key: values[part] if key.startswith(BIAS) else values for key, values in arrays.items()}
        run_group(folder, first, content, mine, inputs[part])


if __name__ == "__main__":
    run_worker_main(run_groups)
