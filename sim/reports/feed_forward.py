"""A baseline: a feed-forward network of LIF neurons that backpropagation trained (SLAYER)."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import numpy as np
from matplotlib.axes import Axes

from neuro.stock.feed_forward import FeedForwardNetwork
from sim.reports import panels
from sim.reports.figures import curves, pictures
from sim.reports.figures.canvas import COLOURS, render
from sim.reports.panels import accuracy_fact, speed_fact
from sim.reports.probes.raster import Phases
from sim.reports.probes.sigma_delta import Activity
from sim.reports.probes.stock import watch_inference
from sim.reports.section import Fact, Panel, Table
from sim.reports.stock import pixel_weights, population_row, projection_row
from sim.reports.subject import Subject

INTRO = (
    "A baseline: layers of LIF neurons without feedback, trained by backpropagation in floats (SLAYER), deployed as "
    "integers. Everything here is measured on those by the chip backend, which computes in the integers of Lava's "
    "fixed-point models; no chip was involved."
)
HELD_OUT = (
    "The validation images are held out of the training set; the learning rate and the best epoch (dotted) are chosen "
    "on them. The test set was never used for a choice."
)
SETTLING = (
    "Accuracy over the first {n} test images if the output spikes were counted up to that step only. An input spike "
    "needs {depth} steps to the output."
)
RASTER = "Every spike of the hidden and output neurons for the first test image, in an inference."
WEIGHTS = "Integer weights as deployed, counted; 8 bits of mixed sign: even numbers from -256 to 254."
POPULATIONS = ("population", "neurons", "process", "parameters", "spikes per inference")
PROJECTIONS = ("projection", "synapses", "scale", "largest |weight|", "at the limit", "operations, inference")
POPULATIONS_NOTE = "Mean spikes per test image."
PROJECTIONS_NOTE = (
    "Synaptic operations: spikes sent times synapses reached, mean per test image. At the limit: share of weights at "
    "an end of their range."
)
WEIGHT_BARS = 40


class FeedForwardSubject(Subject[FeedForwardNetwork]):
    """A run of `settle train slayer`."""

    check: ClassVar[str] = "chip"
    taught: ClassVar[bool] = False

    @property
    def phases(self) -> Phases:
        """There is one only."""
        return (("inference", self.network.steps),)

    @cached_property
    def activity(self) -> Activity:
        """Spikes and operations of the first test images."""
        return watch_inference(self.network, self.dataset)

    def draw_settling(self, axes: Axes, images: int | None = None) -> None:
        """Draw the accuracy if the output spikes were counted up to a step only."""
        found = self.activity if images is None else watch_inference(self.network, self.dataset, images)
        curves.accuracy_curve(axes, found.accuracy_by_step)
        axes.set_xlabel("step of the inference")

    def draw_learning(self, axes: Axes) -> None:
        """Draw accuracy by epoch or, of a network that another tool trained, on the test set alone."""
        if self.artifact.manifest["history"]:
            super().draw_learning(axes)
        else:
            found = self.accuracy
            curves.learned_images(axes, [("test", (found.value, *found.interval))])

    def draw_fields(self, axes: Axes) -> None:
        """Draw the weights of the pixels onto the first layer."""
        pictures.receptive_fields(axes, pixel_weights(self.network), self.network.pixels)

    def draw_weights(self, axes: Axes) -> None:
        """Draw how the integer weights of each projection are distributed, as shares of its synapses."""
        lowest, highest = (int(end([end(p.weights) for p in self.network.projections])) for end in (np.min, np.max))
        width = 2 * -(-(highest - lowest + 2) // (2 * WEIGHT_BARS))  # weights are even
        edges = [float(edge) for edge in range(lowest - width // 2, highest + width, width)]
        for projection, colour in zip(self.network.projections, COLOURS * self.network.depth, strict=False):
            weights = projection.weights.ravel()
            share = np.full(weights.size, 100 / weights.size)
            axes.hist(weights, bins=edges, weights=share, histtype="step", color=colour, label=projection.name)
        axes.set(xlabel="integer weight", ylabel="share of synapses, %")
        axes.legend(loc="best", frameon=False)

    def intro(self) -> str:
        """What a baseline is."""
        return INTRO

    def facts(self) -> list[Fact]:
        """Accuracy, spikes, speed."""
        meaning = "spikes per inference, measured, hidden and output, mean over the test set"
        epochs = self.artifact.manifest["chosen"].get("epochs")
        how = "trained by another tool" if epochs is None else f"backpropagation, {epochs} epochs"
        steps = f"steps of an inference; {how}"
        return [
            accuracy_fact(self.test.accuracy),
            (f"{self.test.spikes_per_inference:.1f}", meaning),
            (str(self.network.steps), steps),
            *([] if epochs is None else [speed_fact(self.artifact.manifest)]),
        ]

    def panels(self) -> list[Panel]:
        """How it learned and answers, its spikes, weights and errors."""
        activity, n = self.activity, self.activity.n_images
        return [
            panels.learning(self.draw_learning, HELD_OUT),
            panels.settling(self.draw_settling, SETTLING.format(n=n, depth=self.network.depth)),
            panels.one_image("One image, step by step", activity, self.dataset, RASTER),
            panels.spikes_per_step(activity, f"Mean over the first {n} test images."),
            panels.spikes_per_inference(activity, f"Hidden and output spikes, for each of the first {n} test images."),
            panels.receptive_fields(pixel_weights(self.network), self.network.pixels),
            Panel("Weights", render(self.draw_weights), WEIGHTS),
            panels.output_counts(activity),
            panels.confusion(self.test, self.dataset),
        ]

    def tables(self) -> list[Table]:
        """Populations and projections."""
        names = {projection.name for projection in self.network.projections}
        populations = [population_row(p, self.activity)[: len(POPULATIONS)] for p in self.network.populations]
        projections = [projection_row(p, self.activity, names)[: len(PROJECTIONS)] for p in self.network.projections]
        return [
            Table(POPULATIONS, populations, POPULATIONS_NOTE),
            Table(PROJECTIONS, projections, PROJECTIONS_NOTE),
        ]
