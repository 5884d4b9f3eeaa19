"""Networks of the stock family: what those of graded and of spiking processes share, and what those of LIF neurons do.

The wiring is a `neuro.stock.processes.StockSpec`; the network adds its task: how images become input, what is nudged
and when, and where the answer is read.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

import numpy as np

from neuro.base.arrays import Bools, Int32, Int64, Integers, Reals, Spikes, Trains
from neuro.base.errors import UserError
from neuro.front_ends.trains import pixel_trains
from neuro.spec.network import Network
from neuro.stock.processes import LIF, StockPopulation, StockProjection, StockSpec

INPUT, OUTPUT = "input", "output"
Self = TypeVar("Self", bound="LifNetwork")


class StockFamily(Network):
    """A network whose processes are those of `graph`.

    graph:        all processes, with what only learning needs.
    rule:         what trains it, one word.
    commit_every: samples between two copies by the host, for rules that need them; else 0.
    nudge_needs_output: whether `phase_inputs` needs the free output.
    """

    native_backend: ClassVar[str] = "chip"
    first_step: ClassVar[int] = 1
    nudge_needs_output: ClassVar[bool] = False
    family = "stock"
    commit_every = 0
    graph: StockSpec
    rule: str
    populations: tuple[StockPopulation, ...]
    projections: tuple[StockProjection, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "populations", self.graph.populations)
        object.__setattr__(self, "projections", self.graph.projections)

    def population(self, name: str) -> StockPopulation:
        """The population called `name`. Raises: KeyError."""
        return {population.name: population for population in self.populations}[name]

    @property
    def plastic(self) -> tuple[StockProjection, ...]:
        """The projections that learn on the chip."""
        return tuple(projection for projection in self.projections if projection.rule is not None)

    @property
    def one(self) -> int:
        """One spike."""
        return 1

    @property
    @abstractmethod
    def moving(self) -> Sequence[StockPopulation]:
        """Hidden and output populations: what an inference computes."""

    def fan_out(self, projection: StockProjection) -> Int64:
        """See `Network.fan_out`: all neurons of the target."""
        source, target = self.population(projection.source), self.population(projection.target)
        return np.full(source.size, target.size, dtype=np.int64)

    @property
    @abstractmethod
    def inference(self) -> StockSpec:
        """What classifies."""

    @property
    @abstractmethod
    def still(self) -> StockSpec:
        """What runs through all phases without learning."""

    def deployed(self, learns: bool) -> StockSpec:
        """What goes onto a chip: all that learning there needs, or what classifies."""
        return self.graph if learns else self.inference

    @abstractmethod
    def free_inputs(self, payloads: Integers) -> Integers:
        """The input of `inference` for payloads of shape [B, N]."""

    def free_biases(self, payloads: Integers) -> Mapping[str, Integers]:
        """Bias mantissas that the host sets for an inference, of shape [B, N] by population of `graph.biased`."""
        return {}

    @abstractmethod
    def phase_inputs(self, payloads: Integers, targets: Integers, free_outputs: Integers | None) -> Integers:
        """The input of `still` through all phases; targets of shape [B, K], 0 or 1; free_outputs, see `scores`."""

    def free_slice(self, steps: int) -> slice:
        """The steps of the free phase in what was recorded over so many steps: an inference, or all phases."""
        return slice(0, self.free_steps)

    def phases_of(self, steps: int) -> Int64:
        """The phase of each step of a record of so many steps, of shape [steps]; see `Network.phases`."""
        return self.phases()[:steps]

    def learning_inputs(self, payloads: Integers, labels: Integers) -> Trains:
        """The input of `graph` while it learns, of shape [B, steps, n]. Raises: UserError if it does not."""
        raise UserError(f"{self.title}: has no rule of the learning engine; a host trains it")

    @abstractmethod
    def scores(self, spikes: Spikes) -> Int32:
        """What the answer is read from, of shape [B, K]; spikes of shape [B, T, N] by population."""

    @abstractmethod
    def settled(self, spikes: Spikes) -> Bools:
        """Whether the network came to rest in the free phase, of shape [B]."""

    @abstractmethod
    def signals(self, spikes: Spikes) -> dict[str, Reals]:
        """What each moving population says in an inference, of shape [B, N] by name."""


class LifNetwork(StockFamily):
    """A network of LIF neurons: pixels come as regular spike trains, and the answer is what spikes most.

    spacing: steps between two spikes of a pixel of value 1.    pixels: shape of an image.
    """

    input = INPUT
    output = OUTPUT
    spacing: int
    pixels: tuple[int, ...]

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of an image."""
        return self.pixels

    def _with_projections(self: Self, projections: tuple[StockProjection, ...]) -> Self:
        own: Any = self
        changed: Self = replace(own, graph=replace(self.graph, projections=projections))
        return changed

    def trains(self, payloads: Integers, steps: int) -> Trains:
        """Regular spike trains of shape [B, steps, N + 1] for payloads of shape [B, N], the bias unit last."""
        return pixel_trains(payloads, steps, self.spacing, 1 << self.encoder.activation_bits)

    def scores(self, spikes: Spikes) -> Int32:
        """Output spikes counted over the free phase, of shape [B, K]."""
        sent = spikes[OUTPUT]
        counts: Int32 = sent[:, self.free_slice(sent.shape[1])].sum(axis=1, dtype=np.int32)
        return counts

    def signals(self, spikes: Spikes) -> dict[str, Reals]:
        """Spikes counted, of shape [B, N] by name."""
        return {p.name: spikes[p.name].sum(axis=1, dtype=np.float64) for p in self.moving}


def with_reset(population: StockPopulation, **reset: int) -> StockPopulation:
    """The population with other resets (reset_interval, reset_offset), if it is of LIF neurons."""
    if not isinstance(population.neuron, LIF):
        return population
    return replace(population, neuron=replace(population.neuron, **reset))


def steady(spikes: Integers, steps: int) -> Bools:
    """Whether the last two quarters of `steps` hold as many spikes of every neuron, +-1; spikes of shape [B, T, N].

    Returns: of shape [B].
    """
    part = max(steps // 4, 1)
    last, before = (spikes[:, steps - k * part : steps - (k - 1) * part].sum(axis=1, dtype=np.int64) for k in (1, 2))
    return np.asarray((np.abs(last - before) <= 1).all(axis=1))
