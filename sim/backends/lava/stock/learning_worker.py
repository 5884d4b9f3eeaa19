"""The process that runs a learning network in Lava: `python -m sim.backends.lava.stock.learning_worker FOLDER
CALLER`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuro.base.arrays import Arrays
from neuro.base.files import array_bytes, parse_arrays, parse_json, read_bytes, write_atomically
from neuro.stock.processes import committed
from sim.backends.lava.stock.run import ARRAYS, GRAPH, result_path
from sim.backends.lava.worker.main import count_done, run_worker_main
from sim.backends.stock.segments import TRACES

if TYPE_CHECKING:
    from sim.backends.lava.stock.graph import StockGraph


def switch_rules(graph: StockGraph, rules: dict[str, dict[str, str]]) -> None:
    """Give plastic synapses new texts."""
    for name, texts in rules.items():
        for key, text in texts.items():
            getattr(graph.synapses[name], key).set(text)


def commit_weights(graph: StockGraph, commit: dict[str, Any]) -> None:
    """Copy weights; Lava rounds what it is built with, but not what is set later."""
    target = next(p for p in graph.content["projections"] if p["name"] == commit["target"])
    weights = graph.synapses[commit["source"]].weights.get()
    oriented = weights.T if commit["transposed"] else weights
    sent = committed(oriented, target["sign_mode"], target["weight_bits"])
    graph.synapses[commit["target"]].weights.set(sent.astype(np.int32))


def read_results(graph: StockGraph, targets: set[str]) -> Arrays:
    """Return what is there at the end."""
    results = {**graph.states(), **graph.learned()}
    for name, dense in graph.plastic.items():
        results.update({f"{trace}.{name}": getattr(dense, trace).get() for trace in TRACES})
    return {**results, **{f"weights.{name}": graph.synapses[name].weights.get().T for name in targets}}


def run_segments(folder: Path) -> None:
    """Build the graph of the job in `folder`, run it segment by segment, and write what is there at the end."""
    from sim.backends.lava.stock.graph import build_stock_graph, record_spikes

    content = parse_json(read_bytes(folder / GRAPH), folder / GRAPH)
    arrays = parse_arrays(read_bytes(folder / ARRAYS), folder / ARRAYS)
    segments = content["segments"]
    for projection in content["projections"]:
        if "rule" in projection:
            projection["rule"].update(segments[0]["rules"][projection["name"]])
    graph = build_stock_graph(content, arrays, arrays["inputs"])
    if content["keep_spikes"]:
        record_spikes(graph, folder, 1, len(arrays["inputs"]))
    try:
        seconds = []
        for index, segment in enumerate(segments):
            start = time.perf_counter()
            if index > 0:
                switch_rules(graph, segment["rules"])
            graph.run(segment["steps"])
            for commit in segment["commits"]:
                commit_weights(graph, commit)
            seconds.append(time.perf_counter() - start)
            count_done(folder, index + 1)
        results = read_results(graph, {commit["target"] for segment in segments for commit in segment["commits"]})
        write_atomically(result_path(folder, 0), array_bytes({**results, "segment_s": np.array(seconds)}))
    finally:
        graph.stop()


if __name__ == "__main__":
    run_worker_main(run_segments)
