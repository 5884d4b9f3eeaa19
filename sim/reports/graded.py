"""A graded run: what is deployed is stock processes whose states are the messages, what learned is sigma-delta."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import ClassVar

from matplotlib.axes import Axes

from neuro.equilibrium.graded_relu import GradedNetwork
from sim.reports import panels
from sim.reports.figures import curves
from sim.reports.panels import accuracy_fact
from sim.reports.probes.raster import Phases
from sim.reports.probes.sigma_delta import Activity, Relaxation
from sim.reports.probes.stock import watch_graded_relaxation
from sim.reports.section import Fact, Panel, Table
from sim.reports.sigma_delta import HELD_OUT, SigmaDeltaSubject
from sim.reports.subject import Subject

INTRO = (
    "Deployed as a graded network of stock processes (GradedReluVec, Dense), whose states are the messages; trained as "
    "a sigma-delta network with the same int8 weights and boxes open above. The first two figures and the panels that "
    "say so are the deployed form, measured; the others, and the tables, the form it was trained in."
)
SETTLING = (
    "Deployed form, on the chip backend: energy of its states in the free phase, per test image, relative to all "
    "states at zero. Dashed: accuracy if the output were read at that step. Line: median of {n} test "
    "images; shade: 10th to 90th percentile."
)


class GradedSubject(Subject[GradedNetwork]):
    """The deployed form, with the form it was trained in behind it."""

    check: ClassVar[str] = "chip"

    @cached_property
    def trained(self) -> SigmaDeltaSubject:
        """The form it was trained in."""
        return SigmaDeltaSubject(self.artifact, self.network.spec, self.dataset)

    @property
    def phases(self) -> Phases:
        """Free, then nudged both ways."""
        design = self.network.design
        return (("free", design.free_steps), ("nudged +", design.nudged_steps), ("nudged -", design.nudged_steps))

    @property
    def activity(self) -> Activity:
        """Spikes and operations of the form it was trained in."""
        return self.trained.activity

    @cached_property
    def relaxation(self) -> Relaxation:
        """The free phase of the deployed form, over the first test images."""
        return watch_graded_relaxation(self.network, self.dataset)

    def draw_settling(self, axes: Axes, images: int | None = None) -> None:
        """Draw the energy of the deployed states by step."""
        found = self.relaxation if images is None else watch_graded_relaxation(self.network, self.dataset, images)
        curves.energy_curve(axes, found)

    def draw_fields(self, axes: Axes) -> None:
        """Draw the weights of the first layer: both forms have the same."""
        self.trained.draw_fields(axes)

    def intro(self) -> str:
        """Which form is which."""
        return INTRO

    def facts(self) -> list[Fact]:
        """Those of the deployed form, then those of the other."""
        value, meaning = accuracy_fact(self.test.accuracy)
        return [
            (value, f"{meaning}; graded, {self.network.free_steps} steps, on the chip backend"),
            (
                f"{100 * self.test.settled:.1f} %",
                "of test images at rest: no graded state moved by more than a unit",
            ),
            *((number, f"sigma-delta form: {what}") for number, what in self.trained.facts()),
        ]

    def panels(self) -> list[Panel]:
        """Those of the form it was trained in; learning, settling and confusion of the deployed one."""
        confusion = panels.confusion(self.test, self.dataset)
        own = [
            panels.learning(self.draw_learning, HELD_OUT),
            panels.settling(self.draw_settling, SETTLING.format(n=len(self.relaxation.energy))),
            replace(confusion, caption=f"Deployed form. {confusion.caption}"),
        ]
        deployed = {panel.title: panel for panel in own}
        return [deployed.get(panel.title, panel) for panel in self.trained.panels()]

    def tables(self) -> list[Table]:
        """Populations and projections of the form it was trained in."""
        return self.trained.tables()
