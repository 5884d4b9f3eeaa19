"""NIR without Delay nodes: all neurons as one recurrent layer, whose back edge is the one step that a Dense takes.

    input -> Linear -> CubaLIF -> Linear (of the answer's neurons) -> output
                       ^     |
          Linear (identity) <- Linear (every projection between neurons)

Every projection of the chip delays by one step. So does an edge of NIR that closes a cycle, in readers that take the
value of the step before there (snnTorch, Norse): with all neurons in one layer, all projections between them are that
edge, and those from the input run one step earlier than on the chip, all alike. The identity stands there because
snnTorch 1.0 makes neurons of its own of a layer and a single Linear in a cycle, which fail in their first step. Neurons
without memory of their current are CubaLIF nodes, too, tau_syn = DT: Norse leaves r of a LIF node out.

Source: snnTorch 1.0.0, import_nir.py; norse 1.1.0, utils/import_nir.py; nirtorch 2.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuro.artifact.nir_graph import DT, NO_LEAK, READOUT, check_nir, require_expressible, spec_size
from neuro.base.arrays import Reals
from neuro.stock.processes import DECAY_UNITY, LIF, StockSpec

if TYPE_CHECKING:
    import nir

LEVEL = 1  # steps that every neuron is earlier than on the chip


def to_recurrent_nir(spec: StockSpec, output: str) -> nir.NIRGraph:
    """The graph of a stock network that is read out at population `output`, as one recurrent layer.

    Raises: UserError naming what NIR cannot hold, why, and the remedy; or if nir is missing.
    """
    check_nir()
    import nir

    require_expressible(spec)
    first, n_neurons = _places(spec)
    (source,) = (p for p in spec.populations if p.name not in first)
    n_outputs = spec_size(spec, output)
    start = first[output]
    arriving, between = np.zeros((n_neurons, source.size)), np.zeros((n_neurons, n_neurons))
    for projection in spec.projections:
        weights = np.ldexp(projection.effective.T.astype(np.float64), projection.exponent)
        rows = slice(first[projection.target], first[projection.target] + len(weights))
        if projection.source == source.name:
            arriving[rows] += weights
        else:
            columns = slice(first[projection.source], first[projection.source] + weights.shape[1])
            between[rows, columns] += weights
    nodes = {
        "n000_input": nir.Input({"input": np.array([source.size])}),
        "n001_synapses_of_the_input": nir.Linear(arriving.astype(np.float32)),
        "n002_neurons": _neurons(spec),
        "n003_synapses_between_neurons": nir.Linear(between.astype(np.float32)),
        "n004_as_they_are": nir.Linear(np.eye(n_neurons, dtype=np.float32)),
        "n005_neurons_of_the_answer": nir.Linear(np.eye(n_neurons, dtype=np.float32)[start : start + n_outputs]),
        f"n006_{READOUT}": nir.Output({"output": np.array([n_outputs])}),
    }
    names = list(nodes)
    edges = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 2), (2, 5), (5, 6)]
    return nir.NIRGraph(nodes, [(names[a], names[b]) for a, b in edges], {"dt": DT, "level": LEVEL})


def _places(spec: StockSpec) -> tuple[dict[str, int], int]:
    """The number of the first neuron of each population among all, and how many there are."""
    first, total = {}, 0
    for population in spec.populations:
        if isinstance(population.neuron, LIF):
            first[population.name] = total
            total += population.size
    return first, total


def _neurons(spec: StockSpec) -> nir.NIRNode:
    import nir

    populations = [(p.size, p.neuron) for p in spec.populations if isinstance(p.neuron, LIF)]

    def all_of(values: list[float]) -> Reals:
        return np.repeat(values, [size for size, _ in populations])

    current = all_of([DECAY_UNITY / (neuron.current_decay + 1) for _, neuron in populations])
    memory = all_of([DECAY_UNITY / n.voltage_decay if n.voltage_decay else NO_LEAK for _, n in populations])
    return nir.CubaLIF(
        tau_syn=DT * current, tau_mem=DT * memory, r=memory, v_leak=0 * memory,
        v_threshold=all_of([float(neuron.threshold) for _, neuron in populations]), w_in=current,
    )  # fmt: skip
