"""From a stock network to the graph of Lava processes that a Loihi 2 runs: host, door, chip, door, host.

Without the extension the same graph is built with host and chip joined directly (`door` None): all but the door itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from lava.magma.core.process.process import AbstractProcess
from lava.proc.sparse.process import Sparse
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix

from neuro.base.arrays import Array, Arrays
from sim.backends.lava.stock.graph import make_neurons, make_synapses
from sim.backends.lava.units.processes import Recorder

BINARY, GRADED = 0, 24  # message bits


@dataclass(frozen=True)
class BoardGraph:
    """The connected processes, by the names of populations and projections."""

    content: dict[str, Any]
    neurons: dict[str, AbstractProcess]
    synapses: dict[str, Any]
    ports: dict[str, Any]

    @property
    def first(self) -> AbstractProcess:
        """Any process: Lava runs all that are connected to it."""
        return next(iter(self.neurons.values()))

    def learned(self) -> Arrays:
        """The weights of the synapses that learn, of shape [N_source, N_target]."""
        plastic = [p["name"] for p in self.content["projections"] if "rule" in p]
        return {f"weights.{name}": self.synapses[name].weights.get().T for name in plastic}


def build_board_graph(content: dict[str, Any], arrays: Arrays, inputs: Array, door: ModuleType | None) -> BoardGraph:
    """The graph; inputs of shape [T, n], sent one by one from the first step on.

    content: of `sim.backends.lava.stock.run.graph_content`, with the names of projections to store sparsely as
    "sparse".
    """
    neurons, ports, synapses, column = {}, {}, {}, 0
    for population in content["populations"]:
        name, size = population["name"], population["size"]
        neurons[name] = make_neurons(population, inputs[:, column : column + size])
        ports[name] = neurons[name].s_out
        if population["model"] == "SpikeInput":
            column += size
            if door is not None:
                ports[name] = door.to_chip(ports[name], size, message_bits(population))
    for projection in content["projections"]:
        weights = arrays[f"weights.{projection['name']}"]
        sparse = projection["name"] in content.get("sparse", ())
        made = _sparse(projection, weights) if sparse else make_synapses(projection, weights)
        ports[projection["source"]].connect(made.s_in)
        if projection["transmits"]:
            made.a_out.connect(neurons[projection["target"]].a_in)
        if "rule" in projection:
            neurons[projection["target"]].s_out.connect(made.s_in_bap)
        synapses[projection["name"]] = made
    return BoardGraph(content, neurons, synapses, ports)


def message_bits(population: dict[str, Any]) -> int:
    """The width of the spikes of a population: 0 for binary ones."""
    binary = population["model"] == "LIF" or population.get("payload_limit", 0) == 1
    return BINARY if binary else GRADED


def _sparse(projection: dict[str, Any], weights: Array) -> Sparse:
    return Sparse(
        weights=csr_matrix(weights.T.astype(np.int32)),
        weight_exp=projection["exponent"],
        num_weight_bits=projection["weight_bits"],
        sign_mode=SignMode[projection["sign_mode"].upper()],
        num_message_bits=projection["message_bits"],
    )


def record(graph: BoardGraph, paths: dict[str, Path], batch: int, period: int, door: ModuleType) -> None:
    """Let the host keep the spikes of populations in files, of shape [batch, period, N] each, by population."""
    for population in graph.content["populations"]:
        name, size = population["name"], population["size"]
        if name in paths:
            recorder = Recorder(
                size=size, period=period, n_images=batch, keep=(), path=str(paths[name]), progress="",
                name=f"record {name}",
            )  # fmt: skip
            door.from_chip(graph.neurons[name].s_out, size, message_bits(population)).connect(recorder.s_in)
