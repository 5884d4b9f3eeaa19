"""The snntorch backend: both families simulated in PyTorch, on the CPU, with the dynamics of the differentiable twins.

It runs what an attacker differentiates, so that the twin itself passes the contract of every backend. LIF populations
are snnTorch neurons with the chip's integer step (`sim.twins.lif_unit` says why snnTorch's own step is not used);
sigma-delta and graded units are plain tensors, since snnTorch has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import numpy as np
import torch

from neuro.base.arrays import Int8, Int16, Int32, Int64, Integers
from neuro.base.errors import UserError
from neuro.equilibrium.graded_network import AnyNetwork, AnyStock
from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.sigma_delta import NetworkSpec
from neuro.stock.processes import LIF, SpikeInput, StockSpec
from sim.backends.protocol import Capabilities, SessionBase, check_options, check_payloads
from sim.backends.record import LearningOutcome, Record, nudge_signs, record_from_history
from sim.backends.stock.emulator import ChipRecord
from sim.backends.stock.record import check_images, join_records, make_record
from sim.backends.stock.session import StockSession, stock_inputs
from sim.twins.sigma_delta_graph import SigmaDeltaGraph
from sim.twins.stock_graph import StockGraph, Train
from sim.twins.surrogates import Firing, Surrogate
from sim.twins.units import State

AT_ONCE = 128  # images whose spikes are in memory at once
History = dict[str, dict[str, Int64]]


def _refuse() -> NoReturn:
    raise UserError("backend snntorch: it does not learn; train on events or chip, then evaluate here")


class SigmaDeltaTorchSession(SessionBase):
    """A sigma-delta network opened in torch."""

    def __init__(self, spec: NetworkSpec) -> None:
        self.spec = spec
        self._graph = SigmaDeltaGraph(spec, Firing(Surrogate()), rounds=True, dtype=torch.float64)

    def run(
        self,
        payloads: Integers,
        targets: Integers | None = None,
        *,
        seed: int = 0,
        first_image: int = 0,
        keep_states: bool = False,
        keep_spikes: bool = False,
    ) -> Record:
        """See `sim.backends.protocol.Session.run`."""
        check_payloads(self.spec, payloads, targets)
        signs = nudge_signs(self.spec, seed, first_image, len(payloads))
        records = []
        for first in range(0, max(len(payloads), 1), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            goal = None if targets is None else torch.tensor(np.asarray(targets[part], dtype=np.float64))
            with torch.no_grad():
                history = self._history(payloads[part], goal, signs[part])
            records.append(record_from_history(self.spec, "snntorch", seed, history, keep_states, keep_spikes))
        return join_records(records)

    def _history(self, payloads: Integers, goal: torch.Tensor | None, signs: Int64) -> History:
        """Return, by population, spikes and states of shape [B, 1 + steps, N]."""
        schedule, graph = self.spec.schedule, self._graph
        drive = graph.drive(torch.tensor(np.asarray(payloads, dtype=np.float64)))
        steps = schedule.ends[0] if goal is None else schedule.last_step
        states = [graph.rest(drive)]
        for time, phase in enumerate(schedule.phase_of_step()[1 : steps + 1]):
            nudge = schedule.phases[phase].nudge
            force = None if goal is None or not nudge else self._force(states[-1], goal, torch.tensor(nudge * signs))
            states.append(graph.step(states[-1], drive, time, force))
        return {p.name: self._of_population(p.name, payloads, states) for p in self.spec.populations}

    def _force(self, state: State, goal: torch.Tensor, signs: torch.Tensor) -> torch.Tensor:
        """Return the pull of the nudge on the output, of shape [B, K], in state units."""
        strength = self.spec.schedule.nudge_multiplier / 2**self.spec.schedule.nudge_shift
        return signs[:, None] * torch.floor((goal - state[f"u {self.spec.output}"]) * strength)

    def _of_population(self, name: str, payloads: Integers, states: list[State]) -> dict[str, Int64]:
        population, length = self.spec.population(name), len(states)
        if isinstance(population.neuron, SigmaDelta):
            u, sent = (np.stack([s[f"{kind} {name}"].numpy() for s in states], axis=1) for kind in "us")
            return {"spikes": np.diff(sent, axis=1, prepend=0).astype(np.int64), "states": u.astype(np.int64)}
        assert isinstance(population.neuron, Source)
        constant = population.neuron.constant
        sent = payloads if constant is None else np.full((len(payloads), population.size), constant)
        spikes = np.zeros((len(payloads), length, population.size), dtype=np.int64)
        spikes[:, 0] = sent
        return {"spikes": spikes, "states": spikes.cumsum(axis=1)}

    def learn(
        self, payloads: Integers, targets: Integers, rates: Mapping[str, object], *, seed: int, first_image: int
    ) -> LearningOutcome:
        """Refused."""
        _refuse()

    def weights(self) -> dict[str, Int8]:
        """See `sim.backends.protocol.Session.weights`."""
        return {p.name: p.weights.copy() for p in self.spec.projections if p.weights is not None}

    def full_weights(self) -> dict[str, Int16]:
        """Refused, like `learn`."""
        _refuse()

    def restore(self, full: Mapping[str, Int16]) -> None:
        """Refused, like `learn`."""
        _refuse()


class StockTorchSession(StockSession):
    """A stock network opened in torch; graphs are built once, snnTorch neurons included."""

    def __init__(self, network: AnyStock) -> None:
        super().__init__(network)
        self._built: dict[int, tuple[StockSpec, StockGraph]] = {}

    def run(
        self,
        payloads: Integers,
        targets: Integers | None = None,
        *,
        seed: int = 0,
        first_image: int = 0,
        keep_states: bool = False,
        keep_spikes: bool = False,
    ) -> Record:
        """See `sim.backends.protocol.Session.run`; with targets, all slots of a sample with the teacher, not
        learning.
        """
        check_images(self.spec, payloads, targets)
        records = []
        for first in range(0, max(len(payloads), 1), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            wanted = None if targets is None else targets[part]
            spec, inputs = stock_inputs(self.spec, payloads[part], wanted)
            record = run_stock(self._graph_of(spec), inputs)
            records.append(make_record(self.spec, "snntorch", seed, record, keep_states, keep_spikes))
        return join_records(records)

    def _graph_of(self, spec: StockSpec) -> StockGraph:
        """Return the graph of `spec`, built once; the spec is kept so that no other takes its id."""
        if id(spec) not in self._built:
            self._built[id(spec)] = (spec, build_graph(spec))
        return self._built[id(spec)][1]

    def learn(
        self, payloads: Integers, targets: Integers, rates: Mapping[str, object], *, seed: int, first_image: int
    ) -> LearningOutcome:
        """Refused."""
        _refuse()


def build_graph(spec: StockSpec) -> StockGraph:
    """Return the graph of a stock network in integers."""
    return StockGraph(spec, Firing(Surrogate()), rounds=True)


def run_stock(graph: StockGraph, inputs: Integers) -> ChipRecord:
    """Run B sequences as `sim.backends.stock.emulator.run_chip` does; inputs of shape [B, T, n] of all SpikeInputs.

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
    return ChipRecord(trains, ends["u"], ends["v"])


class SnnTorchBackend:
    """Both families in PyTorch and snnTorch; does not learn."""

    name = "snntorch"
    capabilities = Capabilities(frozenset({"sigma-delta", "stock"}), learns=False)

    def open(
        self, spec: AnyNetwork, *, threads: int | None = None, batch_size: int = 1
    ) -> SigmaDeltaTorchSession | StockTorchSession:
        """Open `spec`; torch shares the work among its own threads, whatever `threads` says."""
        check_options(self.name, threads, batch_size)
        if spec.family not in self.capabilities.families:
            raise UserError(f"backend snntorch: it runs no {spec.family} networks")
        return SigmaDeltaTorchSession(spec) if isinstance(spec, NetworkSpec) else StockTorchSession(spec)
