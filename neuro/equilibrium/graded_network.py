"""A graded equilibrium network with its task: what `neuro.stock.network` is for networks of spiking neurons.

The weights live in a `NetworkSpec` (boxes opened above, trained by the sigma-delta engine); the processes that run are
those of `neuro.equilibrium.graded_relu`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from neuro.base.arrays import Array, Bools, Int32, Int64, Integers, Spikes
from neuro.equilibrium.graded_relu import GradedDesign, graded_from, output_forces
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.sigma_delta import NetworkSpec
from neuro.stock.feed_forward import FeedForwardNetwork
from neuro.stock.graded import present, readout
from neuro.stock.network import OfStockGraph, StockNetwork
from neuro.stock.processes import GradedRelu, StockPopulation, StockSpec


@dataclass(frozen=True, eq=False)
class GradedNetwork(OfStockGraph):
    """A network of GradedRelu populations that classifies; `graph` holds the processes that run.

    Raises: UserError on construction if the chip's 32-bit sums cannot hold it
    (`neuro.equilibrium.graded_relu.graded_from`).
    """

    spec: NetworkSpec
    design: GradedDesign
    graph: StockSpec = field(init=False)
    family: ClassVar[str] = "stock"
    rule: ClassVar[str] = "graded"
    nudge_needs_output: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "graph", graded_from(self.spec, self.design))

    @property
    def encoder(self) -> PixelEncoder:
        """How images become payloads."""
        return self.spec.encoder

    @property
    def input(self) -> str:
        """Name of the input population."""
        return self.spec.input

    @property
    def output(self) -> str:
        """Name of the output population."""
        return self.spec.output

    @property
    def n_inputs(self) -> int:
        """Values per image."""
        return self.spec.n_inputs

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.spec.n_classes

    @property
    def free_steps(self) -> int:
        """Steps of an inference."""
        return self.design.free_steps

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of an image."""
        return self.spec.image_shape

    @cached_property
    def moving(self) -> tuple[StockPopulation, ...]:
        """Hidden and output populations: what an inference computes."""
        return tuple(p for p in self.populations if isinstance(p.neuron, GradedRelu))

    def with_weights(self, weights: Mapping[str, Array]) -> GradedNetwork:
        """Return the network with new int8 weights in the named projections of its spec."""
        return replace(self, spec=self.spec.with_weights(weights))

    def phases(self, steps: int) -> Int64:
        """Return, of shape [steps], the phase of each step: 0 free, 1 and 2 nudged."""
        lengths = (self.design.free_steps, self.design.nudged_steps, self.design.nudged_steps)
        return np.repeat(np.arange(3), lengths)[:steps].astype(np.int64)

    def scores(self, spikes: Spikes) -> Int32:
        """Return, of shape [B, K], the output state at the end of the free phase, in state units.

        Raises: UserError if some state ran away.
        """
        return readout(self.graph, spikes, self.output, self.free_steps)

    def settled(self, spikes: Spikes) -> Bools:
        """Return, of shape [B], whether no state moved in the last step of the free phase by more than a unit."""
        last, end = (slice(None), self.free_steps - 1), self.free_steps - 2
        moved = [np.abs(spikes[p.name][last] - spikes[p.name][:, end]).max(axis=1) for p in self.moving]
        return np.asarray(np.max(moved, axis=0) <= 1)

    @property
    def inference(self) -> StockSpec:
        """What classifies: the same graph, without forces."""
        return self.graph

    @property
    def still(self) -> StockSpec:
        """What runs through all phases."""
        return self.graph

    def free_inputs(self, payloads: Integers) -> Int32:
        """Return the input of the graph in the free phase, for payloads of shape [B, N]."""
        return present(self.graph, payloads, self.design.free_steps)

    def phase_inputs(self, payloads: Integers, targets: Integers, free_outputs: Integers | None) -> Int32:
        """Return the input through all phases; targets of shape [B, K] 0 or 1, free_outputs the free equilibrium."""
        if free_outputs is None:
            raise ValueError("graded network: the force depends on the free output; give it")
        forces = output_forces(self.design, free_outputs, targets.astype(np.float64))
        return present(self.graph, payloads, self.design.all_steps, forces)


AnyStock = StockNetwork | GradedNetwork | FeedForwardNetwork
AnyNetwork = NetworkSpec | AnyStock
