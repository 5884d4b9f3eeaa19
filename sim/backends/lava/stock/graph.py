"""From a stock network, as `stock.save_network` wrote it, to a graph of Lava processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.learning.learning_rule import Loihi2FLearningRule
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import Dense, LearningDense
from lava.proc.graded.process import GradedReluVec
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIF, LIFReset
from lava.utils.weightutils import SignMode

from neuro.base.arrays import Array, Arrays
from sim.backends.lava.units.processes import Recorder

Content = dict[str, Any]


@dataclass(frozen=True)
class StockGraph:
    """The connected processes, by the names of populations and projections."""

    content: Content
    neurons: dict[str, AbstractProcess]
    synapses: dict[str, Dense]

    @property
    def plastic(self) -> dict[str, LearningDense]:
        """Synapses that learn."""
        return {p["name"]: self.synapses[p["name"]] for p in self.content["projections"] if "rule" in p}

    def run(self, steps: int) -> None:
        """Run so many steps more."""
        first = next(iter(self.neurons.values()))
        first.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))

    def stop(self) -> None:
        """End all processes."""
        next(iter(self.neurons.values())).stop()

    def clear(self) -> None:
        """Go back to the state before the first step, but for the time: no u, no v, no message under way."""
        for population in self.content["populations"]:
            if population["model"] == "LIF":
                silence = np.zeros(population["size"], dtype=np.int32)
                self.neurons[population["name"]].u.set(silence)
                self.neurons[population["name"]].v.set(silence)
        for dense in self.synapses.values():
            dense.a_buff.set(np.zeros(dense.a_buff.shape, dtype=np.int32))

    def set_biases(self, biases: Arrays) -> None:
        """Set the bias mantissas, of shape [N], of the named populations."""
        for name, mantissas in biases.items():
            self.neurons[name].bias_mant.set(mantissas.astype(np.int32))

    def states(self) -> Arrays:
        """The u and v of every population, zeros where there are none."""
        states: Arrays = {}
        for population in self.content["populations"]:
            name = population["name"]
            for key in ("u", "v"):
                leaky = population["model"] == "LIF"
                states[f"{key}.{name}"] = (
                    getattr(self.neurons[name], key).get() if leaky else np.zeros(population["size"])
                )
        return states

    def learned(self) -> Arrays:
        """Weights and tags of the synapses that learn, of shape [N_source, N_target]."""
        arrays: Arrays = {}
        for name, dense in self.plastic.items():
            arrays[f"weights.{name}"], arrays[f"tags.{name}"] = dense.weights.get().T, dense.tag_1.get().T
        return arrays


def build_stock_graph(content: Content, arrays: Arrays, inputs: Array, biases: Arrays | None = None) -> StockGraph:
    """The graph of a network; inputs of shape [T, n], sent one by one from the first step on.

    biases: mantissas of shape [N] by population, in place of that of the neuron.
    """
    neurons, synapses, column = {}, {}, 0
    for population in content["populations"]:
        size = population["size"]
        bias = (biases or {}).get(population["name"], population.get("bias_mantissa"))
        known = {**population, "bias_mantissa": bias}
        neurons[population["name"]] = make_neurons(known, inputs[:, column : column + size])
        column += size if population["model"] == "SpikeInput" else 0
    for projection in content["projections"]:
        dense = make_synapses(projection, arrays[f"weights.{projection['name']}"])
        neurons[projection["source"]].s_out.connect(dense.s_in)
        if projection["transmits"]:
            dense.a_out.connect(neurons[projection["target"]].a_in)
        if "rule" in projection:
            neurons[projection["target"]].s_out.connect(dense.s_in_bap)
        synapses[projection["name"]] = dense
    return StockGraph(content, neurons, synapses)


def record_spikes(graph: StockGraph, folder: Path, batch: int, steps: int, group: int = 0) -> None:
    """Let every population leave its spikes, of shape [batch, steps, N], in a file (see `stock.spikes_path`)."""
    from sim.backends.lava.stock.run import spikes_path

    for index, population in enumerate(graph.content["populations"]):
        recorder = Recorder(
            size=population["size"],
            period=steps,
            n_images=batch,
            keep=(),
            path=str(spikes_path(folder, group, index)),
            progress="",
            name=f"record {population['name']}",
        )
        graph.neurons[population["name"]].s_out.connect(recorder.s_in)


def make_neurons(population: Content, inputs: Array) -> AbstractProcess:
    """The process of a population; inputs of shape [T, N] for a SpikeInput."""
    shape = (population["size"],)
    if population["model"] == "SpikeInput":
        return RingBuffer(data=inputs.T.astype(np.int32))
    if population["model"] == "GradedRelu":
        return GradedReluVec(shape=shape, vth=population["threshold"])
    parameters = {
        "shape": shape,
        "du": population["current_decay"],
        "dv": population["voltage_decay"],
        "vth": population["threshold"],
        "bias_mant": population["bias_mantissa"],
        "bias_exp": population["bias_exponent"],
    }
    if population["reset_interval"] == 0:
        return LIF(**parameters)
    return LIFReset(**parameters, reset_interval=population["reset_interval"], reset_offset=population["reset_offset"])


def make_synapses(projection: Content, weights: Array) -> Dense:
    """The Dense or LearningDense of a projection."""
    parameters = {
        "weights": weights.T.astype(np.int32),
        "weight_exp": projection["exponent"],
        "num_weight_bits": projection["weight_bits"],
        "sign_mode": SignMode[projection["sign_mode"].upper()],
        "num_message_bits": projection["message_bits"],
    }
    if "rule" not in projection:
        return Dense(**parameters)
    tags = np.full(weights.T.shape, projection["tag"], dtype=np.int32)
    return LearningDense(**parameters, tag_1=tags, learning_rule=Loihi2FLearningRule(**projection["rule"]))
