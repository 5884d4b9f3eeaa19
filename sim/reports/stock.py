"""A run of the stock family: spiking processes that Lava ships, rules of the chip's learning engine."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from neuro.base.arrays import Int16
from neuro.base.metrics import Accuracy
from neuro.stock.family import INPUT, StockFamily
from neuro.stock.learning_engine import WEIGHT_RANGES
from neuro.stock.network import GATE, LABEL, RELAY, StockNetwork
from neuro.stock.processes import LIF, StockPopulation, StockProjection
from sim.backends.stock.session import learned_names
from sim.reports import panels
from sim.reports.equations import ENGINE_FACTORS, arrows, engine_rule, moments_of, power, variable
from sim.reports.figures import curves, pictures
from sim.reports.panels import accuracy_fact, speed_fact
from sim.reports.probes.raster import Phases
from sim.reports.probes.sigma_delta import Activity
from sim.reports.probes.stock import slots_of, watch_stock_activity
from sim.reports.section import Cell, Fact, Panel, Table
from sim.reports.subject import Subject
from sim.training.stock_recipe import STOCK_FINAL_RATE

HELD_OUT = (
    "The validation images are held out of the training set, and the best epoch (dotted) is chosen on them. The test "
    "set was never used for a choice."
)
FEW_IMAGES = (
    "Learned inside Lava, image by image: there are no epochs and no curve. Accuracies with 95 % intervals, measured "
    "on the chip backend."
)
RASTER = (
    "Every spike of the hidden, output and relay neurons for the first test image, with its teacher; no weight "
    "changes. Free: an inference. Nudged: the teacher excites the neuron of the true class, and the relay sends the "
    "output's own spikes back, inhibiting."
)
SETTLING = "Accuracy over {watched} if the output spikes were counted up to that step only."
INTRO = (
    "Stock family: processes that Lava ships, rules of the chip's learning engine. Measured by the chip backend, which "
    "computes in the integers of Lava's fixed-point models; no chip was involved."
)
POPULATIONS = ("population", "neurons", "process", "parameters", "spikes, free", "spikes, whole sample")
POPULATIONS_NOTE = "Mean spikes per test image in the free slots, which are an inference, and in all slots of a sample."
PROJECTIONS = (
    "projection", "synapses", "scale", "largest |weight|", "at the limit", "operations, free",
    "operations, whole sample",
)  # fmt: skip
PROJECTIONS_NOTE = (
    "Synaptic operations: spikes sent times synapses reached, mean per test image, with the teacher; an inference "
    "needs those between input, hidden and output neurons only. At the limit: share of weights at an end of their "
    "range."
)
RULES = (
    "learns", Markup("change of the weight, Δ<i>w</i>"), Markup("change of the tag, Δ<i>t</i>"), "when",
    "traces: impulse, decay in steps", "noise", "weight step",
)  # fmt: skip
SHOWN_OF_TEACHER = {LABEL: "teacher", GATE: "opens the relay", RELAY: "output spikes back, inhibiting"}


class StockSubject(Subject[StockNetwork]):
    """A network that settles by spikes of LIF neurons and learned by two-factor rules."""

    check: ClassVar[str] = "chip"

    @property
    def phases(self) -> Phases:
        """The slots of a sample."""
        return slots_of(self.network)

    @property
    def shown(self) -> tuple[str, ...]:
        """Hidden, output and relay."""
        return (*super().shown, RELAY)

    @cached_property
    def activity(self) -> Activity:
        """Spikes and operations of the first test images through all slots."""
        return watch_stock_activity(self.network, self.dataset)

    @property
    def in_lava(self) -> bool:
        """Whether it learned inside Lava, image by image."""
        return not self.artifact.manifest["history"]

    def draw_learning(self, axes: Axes) -> None:
        """Draw accuracy by epoch or, learned inside Lava, before and after."""
        if not self.in_lava:
            super().draw_learning(axes)
            return
        names = {"val_before": "validation, before", "val": "validation, after"}
        results = self.artifact.manifest["results"]
        found = [(title, Accuracy(**results[key])) for key, title in names.items() if key in results]
        found.append(("test, after", self.accuracy))
        curves.learned_images(axes, [(title, (value.value, *value.interval)) for title, value in found])

    def draw_settling(self, axes: Axes, images: int | None = None) -> None:
        """Draw the accuracy if the output spikes were counted up to a step only."""
        found = self.activity if images is None else watch_stock_activity(self.network, self.dataset, images)
        curves.accuracy_curve(axes, found.accuracy_by_step)

    def draw_fields(self, axes: Axes) -> None:
        """Draw the weights of the pixels onto the first layer."""
        pictures.receptive_fields(axes, pixel_weights(self.network), self.network.pixels)

    def intro(self) -> str:
        """The family, and how it learned if that was inside Lava."""
        if not self.in_lava:
            return INTRO
        manifest = self.artifact.manifest
        found = manifest["results"].get("differences", {})
        counted = ", ".join(f"{count} {kind}" for kind, count in found.items()) or "not compared"
        return (
            f"{INTRO} Learned inside Lava itself, {manifest['chosen'].get('images', 0)} images, without epochs. "
            f"Compared at the end with the same learning on the chip backend: {counted} differ."
        )

    def facts(self) -> list[Fact]:
        """Accuracy, spikes, steadiness, speed."""
        manifest = self.artifact.manifest
        facts = [
            accuracy_fact(self.test.accuracy),
            (
                f"{self.test.spikes_per_inference:.1f}",
                "spikes per inference, measured, hidden and output, free slots, mean over the test set",
            ),
            (
                f"{100 * self.test.settled:.1f} %",
                "of test images with steady rates: every neuron as many spikes, +-1, in the last two quarters of the "
                "free slots",
            ),
        ]
        if not self.in_lava:
            return [*facts, speed_fact(manifest)]
        if "lava_s" not in manifest["results"]:
            return facts
        seconds = manifest["results"]["lava_s"] / max(manifest["chosen"].get("images", 1), 1)
        return [*facts, (f"{seconds:.1f} s", "per image learned inside Lava, measured, building the graph included")]

    def panels(self) -> list[Panel]:
        """How it learns and settles, its spikes, fields and errors."""
        activity = self.activity
        watched, slots = f"the first {activity.n_images} test images", ", ".join(self.network.schedule.slots)
        resets = "every slot" if self.network.schedule.silent else "a sample only"
        return [
            panels.learning(self.draw_learning, FEW_IMAGES if self.in_lava else HELD_OUT),
            panels.settling(self.draw_settling, SETTLING.format(watched=watched)),
            panels.one_image(f"One image through its slots: {slots}", activity, self.dataset, RASTER),
            panels.spikes_per_step(
                activity,
                f"Mean over {watched}, through all slots with the teacher. Neurons are reset at the start of {resets}.",
            ),
            panels.spikes_per_inference(
                activity, f"Hidden and output spikes in the free slots, per image, for {watched}."
            ),
            panels.receptive_fields(pixel_weights(self.network), self.network.pixels),
            panels.confusion(self.test, self.dataset),
        ]

    def tables(self) -> list[Table]:
        """Populations, projections and rules."""
        network, learned = self.network, learned_names(self.network)
        return [
            Table(POPULATIONS, [population_row(p, self.activity) for p in network.populations], POPULATIONS_NOTE),
            Table(
                PROJECTIONS,
                [projection_row(p, self.activity, learned) for p in network.projections if p.transmits],
                PROJECTIONS_NOTE,
            ),
            Table(RULES, [_rule_row(p) for p in network.plastic], self._rules_note()),
        ]

    def _rules_note(self) -> Cell:
        text = f"Rule {self.network.rule}, which Lava's Loihi2FLearningRule takes"
        if not self.in_lava:
            share = round(1 / STOCK_FINAL_RATE)
            text += f"; in the first epoch. The rate falls to 1/{share} by the last, at least one step"
        if self.network.commit_every:
            text += (
                ". A host copies what was learned into the transmitting synapses every "
                f"{self.network.commit_every} images"
            )
        return Markup("{}. {}").format(text, ENGINE_FACTORS)


def pixel_weights(network: StockFamily) -> Int16:
    """The weights of the pixels onto the first layer, of shape [pixels, hidden]; those of the bias are left out."""
    first = next(p for p in network.projections if p.transmits and p.source == INPUT)
    return first.weights[:-1]


def population_row(population: StockPopulation, activity: Activity) -> tuple[Cell, ...]:
    """A row of the table of populations."""
    neuron, name = population.neuron, population.name
    sent = activity.sent[name]
    counts = f"{sent[1]:,.1f}", f"{sent.sum():,.1f}"
    role = SHOWN_OF_TEACHER.get(name, "")
    if not isinstance(neuron, LIF):
        return name, " × ".join(map(str, population.shape)), "RingBuffer", role or "pixels and a bias unit", *counts
    facts = [
        f"current decay {neuron.current_decay}, voltage decay {neuron.voltage_decay}, threshold {neuron.threshold}",
        f"reset every {neuron.reset_interval} steps" if neuron.reset_interval else "",
        role,
    ]
    process = "LIFReset" if neuron.reset_interval else "LIF"
    return name, str(population.size), process, "; ".join(filter(None, facts)), *counts


def projection_row(projection: StockProjection, activity: Activity, learned: set[str]) -> tuple[Cell, ...]:
    """A row of the table of projections; learned: the names of those whose weights change."""
    weights = projection.weights.astype(int)
    free, whole = activity.operations[projection.name]
    return (
        arrows(projection.name),
        f"{weights.shape[0]} × {weights.shape[1]}",
        power(projection.exponent),
        str(np.abs(weights).max()),
        f"{100 * saturated_share(projection):.1f} %" if projection.name in learned else "fixed",
        f"{free:,.0f}",
        f"{whole:,.0f}",
    )


def saturated_share(projection: StockProjection) -> float:
    """Share of weights at an end of their range, as they transmit: even if of mixed sign."""
    lowest, highest = WEIGHT_RANGES[projection.sign_mode]
    step = 2 if projection.sign_mode == "mixed" else 1
    weights = projection.weights
    return float(((weights <= lowest) | (weights >= highest // step * step)).mean())


def _rule_row(projection: StockProjection) -> tuple[Cell, ...]:
    rule = projection.rule
    assert rule is not None  # plastic
    equations, used = engine_rule(rule), " ".join(rule.render().values())
    traces = [Markup("{}: {}, {}").format(variable(name), getattr(rule, name).impulse, getattr(rule, name).tau)
              for name in ("x1", "x2", "y1", "y2") if name in used]  # fmt: skip
    return (
        arrows(projection.name), equations.get("dw", ""), equations.get("dt", ""), moments_of(rule),
        Markup("<br>").join(traces), projection.noise, str(projection.lsb),
    )  # fmt: skip
