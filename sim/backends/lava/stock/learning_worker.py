"""The process that runs a learning network in Lava: `python -m sim.backends.lava.stock.learning_worker FOLDER
CALLER`.

A sequence that goes on elsewhere: Lava rounds the weights that it is built with, at its first step, and holds its
random generators where nobody can set them. So the generators are wound forward while the graph is built, the graph
runs a few steps without input until it stands in the same phase, and then every variable is set to what it was.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuro.base.arrays import Arrays
from neuro.base.files import array_bytes, parse_arrays, parse_json, read_bytes, write_atomically
from neuro.stock.processes import committed
from sim.backends.lava.stock.learning import SEGMENT_S, START, STEPS
from sim.backends.lava.stock.run import ARRAYS, GRAPH, result_path
from sim.backends.lava.worker.main import count_done, run_worker_main
from sim.backends.stock.segments import TRACES

if TYPE_CHECKING:
    from sim.backends.lava.stock.graph import StockGraph


HELD = (*TRACES, "tx", "ty")  # by a synapse that learns, besides weights and tags; tx, ty: spikes of this epoch


def wind_forward(steps: int) -> None:
    """Let every generator that Lava makes from now on skip what it would have drawn in so many steps: two numbers a
    step for each side's traces, one an epoch for the weights. The processes of a graph are forked, and inherit it.
    """
    from lava.magma.core.model.py.connection import LearningConnectionModelBitApproximate as Model

    begin = Model._init_randoms

    def begin_later(model: Any) -> None:
        begin(model)
        for _ in range(2 * steps):
            model._x_random.advance()
            model._y_random.advance()
        for _ in range(steps // model._learning_rule.t_epoch):
            model._conn_var_random.advance()

    Model._init_randoms = begin_later


def set_state(graph: StockGraph, state: Arrays) -> None:
    """Set every variable that `read_state` read."""
    variables = {"tags": "tag_1"}
    for key, values in state.items():
        kind, _, name = key.partition(".")
        process = (graph.neurons if kind in ("u", "v") else graph.synapses)[name]
        if hasattr(process, variables.get(kind, kind)):
            turned = kind in ("weights", "tags")
            getattr(process, variables.get(kind, kind)).set((values.T if turned else values).astype(np.int32))


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


def read_state(graph: StockGraph, targets: set[str]) -> Arrays:
    """All that changes while the network runs; targets: projections that weights are copied into."""
    results = {**graph.states(), **graph.learned()}
    for name, dense in graph.plastic.items():
        results.update({f"{variable}.{name}": getattr(dense, variable).get() for variable in HELD})
    results.update({f"a_buff.{name}": dense.a_buff.get() for name, dense in graph.synapses.items()})
    return {**results, **{f"weights.{name}": graph.synapses[name].weights.get().T for name in targets}}


def run_segments(folder: Path) -> None:
    """Build the graph of the job in `folder`, run it segment by segment, and write what is there after each."""
    from sim.backends.lava.stock.graph import build_stock_graph, record_spikes

    content = parse_json(read_bytes(folder / GRAPH), folder / GRAPH)
    arrays = parse_arrays(read_bytes(folder / ARRAYS), folder / ARRAYS)
    segments = content["segments"]
    for projection in content["projections"]:
        if "rule" in projection:
            projection["rule"].update(segments[0]["rules"][projection["name"]])
    wind_forward(content.get("wound", 0))
    graph = build_stock_graph(content, arrays, arrays["inputs"])
    if content["keep_spikes"]:
        record_spikes(graph, folder, 1, len(arrays["inputs"]))
    targets = {commit["target"] for segment in segments for commit in segment["commits"]}
    try:
        seconds, steps = [], 0
        if "lead" in content:
            graph.run(content["lead"])
            state = parse_arrays(read_bytes(folder / START), folder / START)
            set_state(graph, state)
            targets |= {key.partition(".")[2] for key in state if key.startswith("weights.")}
        for index, segment in enumerate(segments):
            start = time.perf_counter()
            if index > 0:
                switch_rules(graph, segment["rules"])
            graph.run(segment["steps"])
            for commit in segment["commits"]:
                commit_weights(graph, commit)
            seconds.append(time.perf_counter() - start)
            steps += segment["steps"]
            results = {**read_state(graph, targets), SEGMENT_S: np.array(seconds), STEPS: np.array(steps)}
            write_atomically(result_path(folder, 0), array_bytes(results))
            count_done(folder, index + 1)
    finally:
        graph.stop()


if __name__ == "__main__":
    run_worker_main(run_segments)
