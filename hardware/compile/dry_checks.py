"""What can be checked before any board is there: that Lava takes every process, port, weight and learning rule."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from hardware.chip.blocks import SPARSE, Blocks, Deployable, blocks_of, graph_of
from hardware.chip.families import of_kind
from hardware.compile.deployment import Check
from hardware.placement.placement import Placement
from neuro.base.errors import UserError
from neuro.base.files import parse_json, read_bytes
from neuro.base.scratch import scratch
from neuro.coding.chain import is_chain
from neuro.spec.sigma_delta import NetworkSpec
from neuro.stock.family import StockFamily
from neuro.stock.processes import StockSpec
from sim.backends.lava.sigma_delta.jobs import save_job
from sim.backends.lava.stock.run import save_graph
from sim.backends.lava.worker.watch import run_worker

LARGEST_BUILT = 30_000_000  # synapses; Lava keeps four bytes of each, more than once
STALL_S = 120.0
WORKER, ANSWER = "hardware.compile.dry_worker", "answer.json"


def dry_checks(network: Deployable, placement: Placement, learns: bool) -> tuple[Check, ...]:
    """The checks that pass without the extension. Raises: UserError if Lava refuses the network."""
    blocks, limits = placement.blocks, placement.limits
    totals = placement.totals()
    n_synapses = sum(block.n_synapses for block in blocks.synapses)
    widths = (
        f"weights within {limits.weight_bits.value} bits, payloads within {limits.payload_bits.value}; states within "
        "24 by specification"
    )
    return (
        Check("widths", True, widths),
        Check(
            "placement",
            totals["synapses"] == n_synapses,
            f"{totals['synapses']:,} of {n_synapses:,} synapses placed once",
        ),
        *(_graph_check(name, part, blocks_of(part, limits, learns=learns), learns) for name, part in _graphs(network)),
    )


def _graphs(network: Deployable) -> list[tuple[str, Deployable]]:
    """The graphs that a network is built of, with what their checks are called."""
    if is_chain(network):
        return [("graph of the coder", network.front), ("graph behind the coder", network.back)]
    return [("graph", network)]


def _graph_check(name: str, network: Deployable, blocks: Blocks, learns: bool) -> Check:
    synapses = sum(block.n_synapses for block in blocks.synapses)
    if importlib.util.find_spec("lava") is None or importlib.util.find_spec("lava.magma") is None:
        return Check(name, None, "lava-nc is not installed here (it needs Python 3.10): graph not built")
    if synapses > LARGEST_BUILT:
        return Check(name, None, f"{synapses:,} synapses: too many to build in memory ({LARGEST_BUILT:,})")
    answer = _built(network, blocks, learns)
    if "refusal" in answer:
        raise UserError(f"lava refuses the network: {answer['refusal']}; report this as a bug")
    built = f"{answer['processes']} Lava processes built and connected"
    if network.family == "sigma-delta":
        return Check(name, True, f"{built}, sigma-delta units as processes of our own")
    rules = sum(block.learns for block in blocks.synapses)
    return Check(name, True, f"{built}, all stock; {rules} learning rules taken by Loihi2FLearningRule")


def _built(network: Deployable, blocks: Blocks, learns: bool) -> dict[str, Any]:
    """Build the graph in a worker, because Lava changes the program that imports it; return the worker's answer."""
    with scratch("dry") as folder:
        of_kind("dry job", network)(folder, network, blocks, learns)
        run_worker(WORKER, folder, 1, "graph", STALL_S, lambda done: None, "loihi2")
        return parse_json(read_bytes(folder / ANSWER), folder / ANSWER)


def sigma_delta_job(folder: Path, network: NetworkSpec, blocks: Blocks, learns: bool) -> None:
    """Write the job that builds a network of sigma-delta units."""
    nudged = any(phase.nudge for phase in network.schedule.phases)
    targets = np.zeros((1, network.n_classes), dtype=np.int32) if nudged else None
    payloads = np.zeros((1, network.population(network.input).size), dtype=np.int32)
    save_job(folder, network, payloads, targets, np.ones(1, dtype=np.int32), np.zeros(1, dtype=np.uint32))


def stock_job(folder: Path, network: StockFamily | StockSpec, blocks: Blocks, learns: bool) -> None:
    """Write the job that builds a graph of stock processes."""
    graph = graph_of(network, learns)
    sparse = [block.name for block in blocks.synapses if block.kind == SPARSE]
    save_graph(folder, graph, np.zeros((1, 1, graph.n_inputs), dtype=np.int32), sparse=sparse)
