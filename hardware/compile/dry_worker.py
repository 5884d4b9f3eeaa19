"""The process that builds a graph without running it: `python -m hardware.compile.dry_worker FOLDER CALLER`.

A process of its own because Lava, when imported, changes how the program starts processes.
"""

from __future__ import annotations

import warnings
from pathlib import Path

from neuro.base.files import json_bytes, parse_arrays, parse_json, read_bytes, write_atomically
from sim.backends.lava.stock.run import ARRAYS, GRAPH
from sim.backends.lava.worker.main import count_done, run_worker_main

ANSWER = "answer.json"
REFUSALS = (ValueError, TypeError, AssertionError, NotImplementedError)


def build(folder: Path) -> None:
    """Build the graph of the job in `folder`; leave how many processes it has, or what Lava says against it."""
    warnings.simplefilter("ignore")  # of Lava's own imports
    try:
        answer: dict[str, object] = {"processes": _stock(folder) if (folder / GRAPH).is_file() else _job(folder)}
    except REFUSALS as error:
        answer = {"refusal": " ".join(str(error).split())}
    write_atomically(folder / ANSWER, json_bytes(answer))
    count_done(folder, 1)


def _stock(folder: Path) -> int:
    from hardware.board.graph import build_board_graph

    content = parse_json(read_bytes(folder / GRAPH), folder / GRAPH)
    arrays = parse_arrays(read_bytes(folder / ARRAYS), folder / ARRAYS)
    graph = build_board_graph(content, arrays, arrays["inputs"][0], None)
    return len(graph.neurons) + len(graph.synapses)


def _job(folder: Path) -> int:
    from sim.backends.lava.sigma_delta.graph import build_graph
    from sim.backends.lava.sigma_delta.jobs import load_job

    return len(build_graph(load_job(folder), folder))


if __name__ == "__main__":
    run_worker_main(build)
