"""NIR, the neuromorphic intermediate representation: stock networks out of Lava, for other tools; cycles allowed.

A LIF population becomes a CubaLIF node (a LIF node if its current has no memory), a projection a Linear node:

    tau_syn dI/dt = -I + w_in S,   tau_mem dv/dt = -v + R I,   spike where v > v_threshold, then v = 0

read in steps of DT, as snnTorch and others do it: I <- (1 - DT / tau_syn) I + S, v <- (1 - DT / tau_mem) v + I. That is
`neuro.stock.processes.LIF` in units of 2**6 without its rounding. Not expressed, therefore: that decays round towards
zero on the chip, that right shifts floor, and 24-bit states. How much that matters is for whoever exports to measure.

Time: a Dense of the chip delays by one step, an edge of NIR by none. A population that is `level` Denses away from the
input therefore runs `level` steps earlier in NIR. What is left of a projection's delay, level(source) + 1 -
level(target), is one step for every edge that closes a cycle (nirtorch and snnTorch take the value of the step before
there, for lack of any other), and a Delay node for the rest, which few readers know: `neuro.artifact.nir_recurrent`
writes the same network without it. A sequence starts from zero state; there are no resets.

Source: Pedersen et al. 2024; nir 1.0.8, nir/ir/{neuron,linear,delay,graph}.py; snnTorch 1.0.0, import_nir.py.
"""

from __future__ import annotations

import importlib.util
import io
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from neuro.base.arrays import Reals
from neuro.base.errors import UserError
from neuro.base.hdf5 import DAMAGE, require_hdf5
from neuro.stock.processes import DECAY_UNITY, LIF, SpikeInput, StockPopulation, StockProjection, StockSpec

if TYPE_CHECKING:
    import nir

DT = 1e-4  # seconds a step: the one that snnTorch assumes in every file
NO_LEAK = 2.0**40  # tau / DT of a state that does not leak: 1 - 2**-40 is 1 in 32-bit floats
READOUT = "readout"
INSTALL = "pip install 'settle[export]' (nir, nirtorch)"


def check_nir() -> None:
    """Raise UserError if nir is not installed."""
    if importlib.util.find_spec("nir") is None:
        raise UserError(f"nir is not installed; {INSTALL}")


def levels_of(spec: StockSpec) -> dict[str, int]:
    """The number of projections, at least, between the input and each population."""
    levels = {p.name: 0 for p in spec.populations if isinstance(p.neuron, SpikeInput)}
    waiting = deque(levels)
    while waiting:
        name = waiting.popleft()
        for projection in spec.projections:
            if projection.source == name and projection.target not in levels:
                levels[projection.target] = levels[name] + 1
                waiting.append(projection.target)
    return levels


def to_nir(spec: StockSpec, output: str) -> nir.NIRGraph:
    """The graph of a stock network that is read out at population `output`.

    Raises: UserError naming what NIR cannot hold, why, and the remedy; or if nir is missing.
    """
    check_nir()
    import nir

    require_expressible(spec)
    level, graph = levels_of(spec), _Graph()
    populations = sorted(spec.populations, key=lambda p: level[p.name])
    order = [population.name for population in populations]
    for population in populations:
        name = population.name
        for projection in spec.projections:
            if projection.target == name and order.index(projection.source) < order.index(name):
                graph.join(projection, level[projection.source] + 1 - level[name])
        graph.place(name, _node(population))
        for projection in spec.projections:  # those back to populations that stand before, or to itself
            if projection.source == name and order.index(projection.target) <= order.index(name):
                closes = _reaches(spec, projection.target, name)
                graph.join(projection, level[name] + 1 - level[projection.target] - closes)
    readout = graph.place(READOUT, nir.Output({"output": np.array([spec_size(spec, output)])}))
    edges = [(graph.names.get(a, a), graph.names.get(b, b)) for a, b in graph.edges]
    return nir.NIRGraph(graph.nodes, [*edges, (graph.names[output], readout)], {"dt": DT, "level": level[output]})


class _Graph:
    """Nodes and edges as they are collected. Files sort nodes by name, and readers of cycles take them in that order:
    names begin with a number. Edges may name populations by their own names (`names`: to those of the nodes).
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.names: dict[str, str] = {}

    def place(self, name: str, node: nir.NIRNode) -> str:
        """Add a node; return its name in the graph."""
        full = f"n{len(self.nodes):03d}_{''.join(c if c.isascii() and c.isalnum() else '_' for c in name)}"
        self.nodes[full], self.names[name] = node, full
        return full

    def join(self, projection: StockProjection, steps: int) -> None:
        """Add what joins two populations: a Linear node, and before it a Delay of so many steps."""
        import nir

        before = projection.source
        if steps > 0:
            delay = self.place(f"delay of {projection.name}", nir.Delay(np.full(len(projection.weights), steps * DT)))
            self.edges.append((before, delay))
            before = delay
        weights = np.ldexp(projection.effective.T.astype(np.float64), projection.exponent).astype(np.float32)
        linear = self.place(f"synapses of {projection.name}", nir.Linear(weights))
        self.edges += [(before, linear), (linear, projection.target)]


def spec_size(spec: StockSpec, name: str) -> int:
    """The number of neurons of a population. Raises: UserError if there is none of that name."""
    for population in spec.populations:
        if population.name == name:
            return population.size
    raise UserError(f"nir: {name!r} is no population of the network")


def nir_bytes(graph: nir.NIRGraph) -> bytes:
    """The content of a file that holds a graph."""
    import nir

    buffer = io.BytesIO()
    nir.write(buffer, graph)
    return buffer.getvalue()


def read_nir(content: bytes, name: str) -> nir.NIRGraph:
    """The graph in the content of a file, which is data: HDF5, nothing in it is run. `name` is named in errors.

    Raises: UserError if it is damaged, or no NIR file.
    """
    check_nir()
    import nir

    require_hdf5(content, name, "no NIR file")
    try:
        graph = nir.read(io.BytesIO(content))
        _require_one_path(graph)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
    except (*DAMAGE, AssertionError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split()):.200}"
        raise UserError(f"{name}: no NIR file of this version ({reason})") from error
    return graph


def _require_one_path(graph: nir.NIRGraph) -> None:
    """Raise UserError unless every node is reached from the one input, the one output too: else nirtorch never ends."""
    import nir

    kinds = {kind: [n for n, node in graph.nodes.items() if isinstance(node, kind)] for kind in (nir.Input, nir.Output)}
    if any(len(names) != 1 for names in kinds.values()):
        raise UserError(f"{len(kinds[nir.Input])} inputs and {len(kinds[nir.Output])} outputs; readers take one")
    unknown = {name for edge in graph.edges for name in edge} - set(graph.nodes)
    reached, waiting = set(kinds[nir.Input]), list(kinds[nir.Input])
    targets: dict[str, set[str]] = {}
    for source, target in graph.edges:
        targets.setdefault(source, set()).add(target)
    while waiting:
        new = targets.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    if lost := sorted(unknown | (set(graph.nodes) - reached)):
        raise UserError(f"node {lost[0]!r} is not reached from the input, or no node; restore the file")


def require_expressible(spec: StockSpec) -> None:
    """Raise UserError for what NIR cannot hold."""
    inputs = [p.name for p in spec.populations if isinstance(p.neuron, SpikeInput)]
    if len(inputs) != 1:
        raise UserError(f"nir: {len(inputs)} inputs ({', '.join(inputs) or 'none'}); readers take one; export the "
                        "inference, without teachers")  # fmt: skip
    if spec.biased:
        raise UserError(f"nir: population {spec.biased[0]}: the host sets its biases for every signal, a file holds "
                        "constants; give the signal as spikes (input_bits 0)")  # fmt: skip
    levels = levels_of(spec)
    for population in spec.populations:
        neuron, owner = population.neuron, f"nir: population {population.name}"
        if population.name not in levels:
            raise UserError(f"{owner}: nothing leads there from the input; leave it out")
        if isinstance(neuron, SpikeInput):
            continue
        if not isinstance(neuron, LIF):
            raise UserError(f"{owner}: {type(neuron).__name__} sends payloads; spikes of NIR have none. Train with "
                            "--family stock and a rule of the engine (R1..R5, R7, deferred)")  # fmt: skip
        if neuron.bias:
            raise UserError(f"{owner}: its bias would start at another step; use an input that always spikes")
    for projection in spec.projections:
        if projection.rule is not None or not projection.transmits:
            raise UserError(f"nir: projection {projection.name} learns; NIR has no learning: export the inference")


def _node(population: StockPopulation) -> nir.NIRNode:
    """The node of a population."""
    import nir

    neuron, shape = population.neuron, (population.size,)
    if not isinstance(neuron, LIF):
        return nir.Input({"input": np.array(shape)})

    def all_of(value: float) -> Reals:
        return np.full(shape, value)

    memory = DECAY_UNITY / neuron.voltage_decay if neuron.voltage_decay else NO_LEAK
    threshold, leak = all_of(float(neuron.threshold)), all_of(0.0)
    if neuron.current_decay == DECAY_UNITY - 1:
        return nir.LIF(all_of(DT * memory), all_of(memory), leak, threshold)
    current = DECAY_UNITY / (neuron.current_decay + 1)
    return nir.CubaLIF(
        tau_syn=all_of(DT * current), tau_mem=all_of(DT * memory), r=all_of(memory), v_leak=leak,
        v_threshold=threshold, w_in=all_of(current),
    )  # fmt: skip


def _reaches(spec: StockSpec, start: str, end: str) -> bool:
    """Whether projections lead from one population to another, or they are the same."""
    visited, waiting = {start}, [start]
    while waiting:
        name = waiting.pop()
        new = {p.target for p in spec.projections if p.source == name} - visited
        visited |= new
        waiting += new
    return end in visited
