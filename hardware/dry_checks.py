"""What can be checked before any board is there: that Lava takes every process, port, weight and learning rule."""

from __future__ import annotations

import importlib.util
import tempfile
import warnings
from pathlib import Path

import numpy as np

from hardware.blocks import SPARSE, Blocks, Deployable, graph_of
from hardware.deployment import Check
from hardware.placement import Placement
from neuro.errors import UserError
from neuro.spec import NetworkSpec

LARGEST_BUILT = 30_000_000  # synapses; Lava keeps four bytes of each, more than once


def dry_checks(network: Deployable, placement: Placement, learns: bool) -> tuple[Check, ...]:
    """Return what was checked without the extension. Raises: UserError if Lava refuses the network."""
    blocks, limits = placement.blocks, placement.limits
    totals = placement.totals()
    wanted = sum(block.n_synapses for block in blocks.synapses)
    checks = [
        Check("widths", True, f"weights within {limits.weight_bits.value} bits, payloads within "
                              f"{limits.payload_bits.value}; states within 24 by specification"),
        Check("placement", totals["synapses"] == wanted, f"{totals['synapses']:,} of {wanted:,} synapses placed once"),
    ]  # fmt: skip
    return (*checks, _graph_check(network, blocks, learns))


def _graph_check(network: Deployable, blocks: Blocks, learns: bool) -> Check:
    synapses = sum(block.n_synapses for block in blocks.synapses)
    if importlib.util.find_spec("lava") is None or importlib.util.find_spec("lava.magma") is None:
        return Check("graph", None, "lava-nc is not installed here (it needs Python 3.10): graph not built")
    if synapses > LARGEST_BUILT:
        return Check("graph", None, f"{synapses:,} synapses: too many to build in memory ({LARGEST_BUILT:,})")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Lava's own imports
            detail = _built_sigma_delta(network) if isinstance(network, NetworkSpec) else ""
            detail = detail or _built_stock(network, blocks, learns)
    except (ValueError, TypeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"lava refuses the network: {' '.join(str(error).split())}; report this as a bug") from error
    return Check("graph", True, detail)


def _built_sigma_delta(spec: NetworkSpec) -> str:
    from sim.backends.lava.graph import Job, build_graph

    payloads = np.zeros((1, spec.n_inputs), dtype=np.int32)
    phases = spec.schedule.phases
    targets = np.zeros((1, spec.n_classes), dtype=np.int32) if any(phase.nudge for phase in phases) else None
    with tempfile.TemporaryDirectory(prefix="settle-dry-") as folder:
        graph = build_graph(Job(spec, payloads, targets, np.ones(1, dtype=np.int32)), Path(folder))
    return f"{len(graph)} Lava processes built and connected, sigma-delta units as processes of our own"


def _built_stock(network: Deployable, blocks: Blocks, learns: bool) -> str:
    from hardware.board_graph import dry_graph

    assert not isinstance(network, NetworkSpec)  # `_graph_check`
    sparse = tuple(block.name for block in blocks.synapses if block.kind == SPARSE)
    graph = dry_graph(graph_of(network, learns), sparse)
    rules = sum(block.learns for block in blocks.synapses)
    n_processes = len(graph.neurons) + len(graph.synapses)
    return f"{n_processes} stock processes built and connected, {rules} learning rules taken by Loihi2FLearningRule"
