"""A sparse coder of stock processes."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import numpy as np

from neuro.base.arrays import Reals
from neuro.coding.coder import StockCoder
from neuro.stock.processes import LIF, GradedRelu, StockPopulation
from sim.reports.coder import INTRO, CodingSubject
from sim.reports.probes.coder import Descent
from sim.reports.probes.raster import Phases
from sim.reports.probes.sigma_delta import Activity
from sim.reports.probes.stock import watch_codes
from sim.reports.probes.stock_coder import StockCoding, watch_stock_descent
from sim.reports.section import Cell, Fact, Table
from sim.reports.stock import projection_row

STOCK = (
    "It learned as a coder of sigma-delta units and is deployed as processes that Lava ships, its atoms scaled to "
    "length 1. Everything but the learning curve is measured on the deployed integers by the chip backend, which "
    "computes in the integers of Lava's fixed-point models; no chip was involved."
)
POPULATIONS = ("population", "neurons", "process", "parameters", "messages per image")
PROJECTIONS = ("projection", "synapses", "scale", "largest |weight|", "at the limit", "operations per image")
NOTE = "Mean messages per test image; binary spikes of LIF neurons, else payloads."
OPERATIONS = "Synaptic operations: messages sent times synapses reached, mean per test image."


class StockCoderSubject(CodingSubject[StockCoder]):
    """A coder of LIF neurons, or of graded ReLU neurons."""

    check: ClassVar[str] = "chip"
    raster_caption: ClassVar[str] = "Every message that the neurons send for the first test image, binary or graded."
    dictionary: ClassVar[str] = "real"

    @cached_property
    def coder(self) -> StockCoding:
        """The coder as a page sees it."""
        return StockCoding(self.network)

    @property
    def phases(self) -> Phases:
        """There is one only."""
        return (("inference", self.network.free_steps),)

    @cached_property
    def activity(self) -> Activity:
        """Messages and operations of the first test images."""
        return watch_codes(self.network, self.dataset)

    @cached_property
    def atoms(self) -> Reals:
        """The atoms as pictures."""
        return np.ascontiguousarray(self.coder.dictionary.T).reshape(-1, *self.network.image_shape)

    def descent(self, images: int) -> Descent:
        """How the codes of the first test images settle."""
        return watch_stock_descent(self.coder, self.signals(images))

    def intro(self) -> str:
        """What a sparse coder is, and how this one was made."""
        return INTRO + STOCK

    def facts(self) -> list[Fact]:
        """Those of any coder, and how long an inference takes."""
        return [*super().facts(), (str(self.network.free_steps), f"steps of an inference, {self.network.title}")]

    def tables(self) -> list[Table]:
        """Populations and projections."""
        names = {projection.name for projection in self.network.projections}
        projections = [projection_row(p, self.activity, names)[:-1] for p in self.network.projections]
        return [
            Table(POPULATIONS, [self._row(population) for population in self.network.populations], NOTE),
            Table(PROJECTIONS, projections, OPERATIONS),
        ]

    def _row(self, population: StockPopulation) -> tuple[Cell, ...]:
        neuron, process, parts = population.neuron, "RingBuffer", ["sent by the host"]
        if isinstance(neuron, LIF):
            process = "LIF"
            parts = [f"current decay {neuron.current_decay}, threshold {neuron.threshold}"]
        elif isinstance(neuron, GradedRelu):
            process, parts = "GradedReluVec", []
        if population.name in self.network.graph.biased:
            parts.append("biases set by the host for each image")
        sent = f"{self.activity.sent[population.name].sum():,.1f}"
        return population.name, str(population.size), process, "; ".join(parts), sent
