"""The process that runs a stock network in Lava: `python -m sim.backends.lava.stock_worker FOLDER CALLER`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neuro.files import array_bytes, parse_arrays, parse_json, read_bytes, write_atomically
from sim.backends.lava.stock import ARRAYS, GRAPH
from sim.backends.lava.worker_main import count_done, run_worker_main

Arrays = dict[str, npt.NDArray[np.generic]]


def make_neurons(population: dict[str, Any], inputs: npt.NDArray[np.generic]) -> Any:
    """Return the Lava process of a population; inputs of shape [T, N] for a SpikeInput."""
    from lava.proc.graded.process import GradedReluVec
    from lava.proc.io.source import RingBuffer
    from lava.proc.lif.process import LIF, LIFReset

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


def make_synapses(projection: dict[str, Any], weights: npt.NDArray[np.generic]) -> Any:
    """Return the Dense or LearningDense of a projection."""
    from lava.magma.core.learning.learning_rule import Loihi2FLearningRule
    from lava.proc.dense.process import Dense, LearningDense
    from lava.utils.weightutils import SignMode

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


def run_sequence(graph: dict[str, Any], arrays: Arrays, inputs: npt.NDArray[np.generic]) -> Arrays:
    """Build the graph, run one sequence of shape [T, n], and return every spike, and u and v at the end."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink

    steps, column = len(inputs), 0
    neurons, sinks, plastic = {}, {}, {}
    for population in graph["populations"]:
        neurons[population["name"]] = make_neurons(population, inputs[:, column : column + population["size"]])
        if population["model"] == "SpikeInput":
            column += population["size"]
        sinks[population["name"]] = Sink(shape=(population["size"],), buffer=steps)
        neurons[population["name"]].s_out.connect(sinks[population["name"]].a_in)
    for projection in graph["projections"]:
        dense = make_synapses(projection, arrays[f"weights.{projection['name']}"])
        neurons[projection["source"]].s_out.connect(dense.s_in)
        if projection["transmits"]:
            dense.a_out.connect(neurons[projection["target"]].a_in)
        if "rule" in projection:
            neurons[projection["target"]].s_out.connect(dense.s_in_bap)
            plastic[projection["name"]] = dense
    first = next(iter(neurons.values()))
    try:
        start = time.perf_counter()
        first.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
        result: Arrays = {"run_s": np.array(time.perf_counter() - start)}
        for population in graph["populations"]:
            name = population["name"]
            leaky = population["model"] == "LIF"
            result[f"spikes.{name}"] = sinks[name].data.get().T
            for key in ("u", "v"):
                result[f"{key}.{name}"] = getattr(neurons[name], key).get() if leaky else np.zeros(population["size"])
        for name, dense in plastic.items():
            result[f"weights.{name}"], result[f"tags.{name}"] = dense.weights.get().T, dense.tag_1.get().T
        return result
    finally:
        first.stop()


def run_sequences(folder: Path) -> None:
    """Run every sequence of the job in `folder`, one after the other."""
    graph = parse_json(read_bytes(folder / GRAPH), folder / GRAPH)
    arrays = parse_arrays(read_bytes(folder / ARRAYS), folder / ARRAYS)
    for index, inputs in enumerate(arrays["inputs"]):
        write_atomically(folder / f"result-{index}.npz", array_bytes(run_sequence(graph, arrays, inputs)))
        count_done(folder, index + 1)


if __name__ == "__main__":
    run_worker_main(run_sequences)
