"""The snntorch backend: both families simulated in PyTorch, on the CPU, with the dynamics of the differentiable twins.

It runs what an attacker differentiates, so that the twin itself passes the contract of every backend. LIF populations
are snnTorch neurons with the chip's integer step (`sim.twins.lif_unit` says why snnTorch's own step is not used);
sigma-delta and graded units are plain tensors, since snnTorch has none.
"""

from __future__ import annotations

import numpy as np
import torch

from neuro.base.arrays import Int32, Int64, Integers
from neuro.spec.network import Network
from neuro.spec.neurons import SigmaDelta, Source, generated
from neuro.spec.schedule import CONSTANT
from neuro.spec.sigma_delta import NetworkSpec
from neuro.stock.family import StockFamily
from neuro.stock.processes import LIF, SpikeInput, StockSpec
from sim.backends.presentation import Presentation, keys_of
from sim.backends.protocol import Backend, Capabilities
from sim.backends.record import Record, record_from_history
from sim.backends.session import SigmaDeltaSession
from sim.backends.stock.emulator import StockRun
from sim.backends.stock.record import join_records, make_record
from sim.backends.stock.session import StockSession, refuse_biases, stock_inputs
from sim.families import of_kind
from sim.twins.sigma_delta_graph import SigmaDeltaGraph
from sim.twins.stock_graph import StockGraph, Train
from sim.twins.surrogates import Firing, Surrogate
from sim.twins.units import State

NAME = "snntorch"
REFUSAL = "it does not learn; train on events or chip, then evaluate here"
AT_ONCE = 128  # images whose spikes are in memory at once
History = dict[str, dict[str, Int64]]


class SigmaDeltaTorchSession(SigmaDeltaSession):
    """A sigma-delta network opened in torch."""

    backend, refusal = NAME, REFUSAL

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        self._graph = SigmaDeltaGraph(spec, Firing(Surrogate()), rounds=True, dtype=torch.float64)

    def _present(self, shown: Presentation) -> Record:
        records = []
        for batch in shown.batches(AT_ONCE):
            with torch.no_grad():
                records.append(record_from_history(self.spec, self.backend, batch, self._history(batch)))
        return join_records(records)

    def _history(self, shown: Presentation) -> History:
        """By population: spikes and states of shape [B, 1 + steps, N]."""
        schedule, graph, signs = self.spec.schedule, self._graph, self._signs(shown)
        goal = None if shown.targets is None else torch.tensor(np.asarray(shown.targets, dtype=np.float64))
        sent = self._sent_by_input(shown)
        steps = schedule.ends[0] if goal is None else schedule.last_step
        counts = torch.tensor(sent.cumsum(axis=1).astype(np.float64))
        drive = graph.drive(counts[:, 0])
        states, held = [graph.rest(drive)], None
        for time, phase in enumerate(schedule.phase_of_step()[1 : steps + 1]):
            nudge = schedule.phases[phase].nudge
            force = None
            if goal is not None and nudge:
                pull = self._pull(states[-1], goal) if held is None else held
                force = torch.tensor(nudge * signs)[:, None] * pull
            if 0 < time <= self.spec.window:
                drive = graph.drive(counts[:, time])
            states.append(graph.step(states[-1], drive, time, force))
            if schedule.force == CONSTANT and goal is not None and len(states) == schedule.ends[0] + 1:
                held = self._pull(states[-1], goal)
        return {p.name: self._of_population(p.name, sent, states) for p in self.spec.populations}

    def _sent_by_input(self, shown: Presentation) -> Int64:
        """What the input sends at the presentation and at the steps of its window, of shape [B, 1 + window, N]."""
        payloads: Int64 = shown.payloads.astype(np.int64)[:, None]
        if self.spec.window == 0:
            return payloads
        keys = keys_of(shown)[:, None]
        units = np.arange(payloads.shape[2], dtype=np.uint32)
        drawn = [generated(shown.payloads, keys, units, step) for step in range(1, self.spec.window + 1)]
        sent: Int64 = np.stack([np.zeros_like(shown.payloads), *drawn], axis=1).astype(np.int64)
        return sent

    def _pull(self, state: State, goal: torch.Tensor) -> torch.Tensor:
        """The force of a nudge on the output in `state`, of shape [B, K], in state units."""
        strength = self.spec.schedule.nudge_multiplier / 2**self.spec.schedule.nudge_shift
        return torch.floor((goal - state[f"u {self.spec.output}"]) * strength)

    def _of_population(self, name: str, given: Int64, states: list[State]) -> dict[str, Int64]:
        population, length = self.spec.population(name), len(states)
        if isinstance(population.neuron, SigmaDelta):
            u, sent = (np.stack([s[f"{kind} {name}"].numpy() for s in states], axis=1) for kind in "us")
            return {"spikes": np.diff(sent, axis=1, prepend=0).astype(np.int64), "states": u.astype(np.int64)}
        assert isinstance(population.neuron, Source)
        constant = population.neuron.constant
        sent = given if constant is None else np.full((len(given), 1, population.size), constant)
        spikes = np.zeros((len(given), length, population.size), dtype=np.int64)
        spikes[:, : sent.shape[1]] = sent
        return {"spikes": spikes, "states": spikes.cumsum(axis=1)}


class StockTorchSession(StockSession):
    """A stock network opened in torch; graphs are built once, snnTorch neurons included."""

    backend, refusal = NAME, REFUSAL

    def __init__(self, network: StockFamily) -> None:
        refuse_biases("snntorch", network)
        super().__init__(network)
        self._built: dict[int, tuple[StockSpec, StockGraph]] = {}

    def _present(self, shown: Presentation) -> Record:
        records = []
        for batch in shown.batches(AT_ONCE):
            spec, inputs, _ = stock_inputs(self.spec, batch.payloads, batch.targets)
            record = run_stock(self._graph_of(spec), inputs)
            records.append(make_record(self.spec, self.backend, batch, record))
        return join_records(records)

    def _graph_of(self, spec: StockSpec) -> StockGraph:
        """The graph of `spec`, built once; the spec is kept so that no other takes its id."""
        if id(spec) not in self._built:
            self._built[id(spec)] = (spec, build_graph(spec))
        return self._built[id(spec)][1]


def build_graph(spec: StockSpec) -> StockGraph:
    """The graph of a stock network in integers."""
    return StockGraph(spec, Firing(Surrogate()), rounds=True)


def run_stock(graph: StockGraph, inputs: Integers) -> StockRun:
    """Run B sequences as `sim.backends.stock.emulator.emulate` does; inputs of shape [B, T, n] of all SpikeInputs.

    Raises: UserError if the inputs have another width or exceed the payload limit.
    """
    spec, (batch, steps, _) = graph.graph, inputs.shape
    spec.check_inputs(inputs)
    sent, column = {}, 0
    for population in spec.populations:
        if isinstance(population.neuron, SpikeInput):
            sent[population.name] = inputs[:, :, column : column + population.size].astype(np.int32)
            column += population.size
    with torch.no_grad():
        arrivals = graph.arrivals({name: Train(torch.tensor(values)) for name, values in sent.items()})
        state = graph.rest(batch, torch.device("cpu"))
        history: dict[str, list[Int32]] = {name: [] for name in graph.moving}
        for time in range(steps):
            state = graph.step(state, arrivals, time)
            for name, spikes in history.items():
                spikes.append(state[f"sent {name}"].numpy().astype(np.int32))
    trains = {p.name: sent[p.name] if p.name in sent else np.stack(history[p.name], axis=1) for p in spec.populations}
    ends = {
        kind: {
            p.name: state[f"{kind} {p.name}"].numpy().astype(np.int32)
            if isinstance(p.neuron, LIF)
            else np.zeros((batch, p.size), dtype=np.int32)
            for p in spec.populations
        }
        for kind in "uv"
    }
    return StockRun(trains, ends["u"], ends["v"])


class SnnTorchBackend(Backend[Network]):
    """Both families in PyTorch and snnTorch; does not learn."""

    name = NAME
    capabilities = Capabilities(frozenset({"sigma-delta", "stock"}), learns=False)

    def open(
        self, spec: Network, *, threads: int | None = None, batch_size: int = 1
    ) -> SigmaDeltaTorchSession | StockTorchSession:
        """Open `spec`; torch shares the work among its own threads, whatever `threads` says."""
        network = self.admitted(spec, threads, batch_size)
        session: SigmaDeltaTorchSession | StockTorchSession = of_kind("snntorch session", network)(network)
        return session
