"""Stock networks without feedback that classify: what backpropagation trains, where equilibrium propagation has loops.

    input (+ bias unit) -> hidden .. -> output          LIF neurons, one Dense between neighbours

Images come in as the same spike trains as those of `neuro.stock.network`, and the answer is the output neuron that
spiked most. A Dense delays by one step, so that an input spike of the last `depth` steps cannot reach the output any
more: it is not sent.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from neuro.base.arrays import Bools, Int64, Integers, Spikes, Trains
from neuro.base.checks import MOST_STEPS, Range, require_integers
from neuro.base.errors import UserError
from neuro.front_ends.pixels import PixelEncoder
from neuro.stock.family import INPUT, OUTPUT, LifNetwork, with_reset
from neuro.stock.processes import LIF, SpikeInput, StockPopulation, StockProjection, StockSpec


@dataclass(frozen=True, eq=False)
class FeedForwardNetwork(LifNetwork):
    """A stock network whose layers each hear the one before, and nothing else.

    graph:   populations from "input" (pixels, and last a bias unit that always spikes) to "output", the others between.
    steps:   of an inference.    rule: what trained it, one word.
    spacing: steps between two spikes of a pixel of value 1.    pixels: shape of an image.
    """

    graph: StockSpec
    steps: int
    encoder: PixelEncoder
    rule: str
    spacing: int
    pixels: tuple[int, ...]
    kind: ClassVar[str] = "feed-forward"
    title: ClassVar[str] = "feed-forward network"

    def __post_init__(self) -> None:
        super().__post_init__()
        names = [population.name for population in self.populations]
        if not names or names[0] != INPUT or names[-1] != OUTPUT or not all(_spiking(p) for p in self.populations[1:]):
            raise UserError(f"feed-forward network: populations {names}; give {INPUT} first, LIF layers, {OUTPUT} last")
        if [(p.source, p.target) for p in self.projections] != list(itertools.pairwise(names)):
            raise UserError("feed-forward network: needs one projection between neighbours, in their order, no other")
        if self.population(INPUT).size != math.prod(self.pixels) + 1:
            raise UserError(f"feed-forward network: {INPUT} must hold the pixels and a bias unit")
        require_integers("feed-forward network", steps=self.steps, spacing=self.spacing)
        Range(1, MOST_STEPS).require("feed-forward network", steps=self.steps)
        if self.steps <= self.depth or self.spacing < 1:
            raise UserError(f"feed-forward network: {self.steps} steps, spacing {self.spacing}; an input needs "
                            f"{self.depth} steps to the output, and a spacing of at least 1")  # fmt: skip
        if self.encoder.signed or self.encoder.transform is not None:
            raise UserError("feed-forward network: spikes have no sign; use an encoder without offset or whitening")

    @property
    def depth(self) -> int:
        """Projections, and steps, from the input to the output."""
        return len(self.projections)

    @property
    def moving(self) -> tuple[StockPopulation, ...]:
        """Hidden and output populations: what an inference computes."""
        return self.populations[1:]

    @property
    def free_steps(self) -> int:
        """Steps of an inference."""
        return self.steps

    @cached_property
    def inference(self) -> StockSpec:
        """The graph, reset at the start of every image."""
        populations = tuple(with_reset(p, reset_interval=self.steps, reset_offset=1) for p in self.populations)
        return replace(self.graph, populations=populations)

    @property
    def still(self) -> StockSpec:
        """What runs through all phases: there is one only."""
        return self.inference

    def free_inputs(self, payloads: Integers) -> Trains:
        """The input of an inference; what could not reach the output in time is not sent."""
        trains = self.trains(payloads, self.steps)
        trains[:, self.steps - self.depth :] = 0
        return trains

    def phase_inputs(self, payloads: Integers, targets: Integers, free_outputs: Integers | None) -> Trains:
        """The input of all phases, which is that of the free one; targets and free_outputs are not used."""
        return self.free_inputs(payloads)

    def phases(self) -> Int64:
        """The phase of each step, of shape [steps]: 0, free."""
        return np.zeros(self.steps, dtype=np.int64)

    def settled(self, spikes: Spikes) -> Bools:
        """True for every image, of shape [B]: without feedback there is nothing to settle."""
        return np.ones(len(spikes[OUTPUT]), dtype=np.bool_)


def _spiking(population: StockPopulation) -> bool:
    return isinstance(population.neuron, LIF)


def feed_forward_graph(weights: Sequence[Integers], neuron: LIF) -> StockSpec:
    """The graph of layers joined by `weights`, of shape [N_l, N_l+1] each, in steps of 2 within -256..254.

    Raises: UserError if they do not fit each other, or 8 bits.
    """
    hidden = (
        [f"hidden{k + 1}" for k in range(len(weights) - 1)] if len(weights) > 2 else ["hidden"] * (len(weights) - 1)
    )
    names = [INPUT, *hidden, OUTPUT]
    sizes = [weights[0].shape[0], *(matrix.shape[1] for matrix in weights)]
    populations = [
        StockPopulation(name, (size,), SpikeInput() if name == INPUT else neuron)
        for name, size in zip(names, sizes, strict=True)
    ]
    projections = [
        StockProjection(f"{source}->{target}", source, target, np.asarray(matrix))
        for (source, target), matrix in zip(itertools.pairwise(names), weights, strict=True)
    ]
    return StockSpec(tuple(populations), tuple(projections))
