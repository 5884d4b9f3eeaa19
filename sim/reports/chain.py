"""A run of a network behind a sparse coder of stock processes."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from matplotlib.axes import Axes

from neuro.base.errors import UserError
from neuro.coding.chain import PREFIX, Chain
from sim.reports import panels
from sim.reports.equations import arrows
from sim.reports.figures import pictures
from sim.reports.panels import accuracy_fact, speed_fact
from sim.reports.probes.raster import Phases
from sim.reports.probes.sigma_delta import Activity, phases_of
from sim.reports.section import Fact, Panel, Table
from sim.reports.subject import Subject

INTRO = (
    "A classifier behind a sparse coder of stock processes. The coder settles first; a host reads its codes and shows "
    "them to the classifier, which settles in turn: two networks of different processes, run one after the other. "
    "Everything here is measured on the integers of both."
)
HELD_OUT = (
    "The classifier, trained on the codes. The validation images are held out of the training set, and the best epoch "
    "(dotted) is chosen on them. The test set was never used for a choice."
)
ATOMS = "Atoms of the coder with the largest values (red positive, blue negative)."
POPULATIONS = ("population", "neurons")
PROJECTIONS = ("projection", "synapses", "largest |weight|")
NOTE = f"Names that begin with {PREFIX} belong to the coder."


class ChainSubject(Subject[Chain]):
    """A run of `settle train ep --front-end` behind a stock coder."""

    @property
    def phases(self) -> Phases:
        """Those of the coder and of the network behind it."""
        return (("coder", self.network.front.free_steps + 1), *phases_of(self.network.back))

    @cached_property
    def activity(self) -> Activity:
        """Refused."""
        raise UserError("report: activity by step is not measured of a chain; report its coder")

    def draw_settling(self, axes: Axes, images: int | None = None) -> None:
        """Refused."""
        raise UserError("report: how a chain settles is not drawn; see the page of its coder")

    def draw_fields(self, axes: Axes) -> None:
        """Draw the atoms of the coder."""
        pictures.receptive_fields(axes, self.network.front.problem.dictionary, self.network.image_shape)

    def intro(self) -> str:
        """What a chain is."""
        return INTRO

    def facts(self) -> list[Fact]:
        """Accuracy, spikes, steps, speed."""
        chain = self.network
        spikes = "spikes per inference, measured, coder and classifier, mean over the test set"
        steps = (
            f"steps of an inference: {chain.front.free_steps} of the {chain.front.title}, the rest of the classifier"
        )
        return [
            accuracy_fact(self.accuracy),
            (f"{self.test.spikes_per_inference:.1f}", spikes),
            (str(chain.free_steps), steps),
            (f"{100 * self.test.settled:.1f} %", "of the test images end with coder and classifier at rest, measured"),
            speed_fact(self.artifact.manifest),
        ]

    def panels(self) -> list[Panel]:
        """How it learned, what the coder looks for, and the errors."""
        return [
            panels.learning(self.draw_learning, HELD_OUT),
            panels.receptive_fields(self.network.front.problem.dictionary, self.network.image_shape, ATOMS),
            panels.confusion(self.test, self.dataset),
        ]

    def tables(self) -> list[Table]:
        """Populations and projections."""
        return [Table(POPULATIONS, self._populations(), NOTE), Table(PROJECTIONS, self._projections(), "")]

    def _populations(self) -> list[tuple[str, ...]]:
        return [(p.name, str(p.size)) for p in self.network.populations]

    def _projections(self) -> list[tuple[str, ...]]:
        own = [(p.name, p.weights) for p in self.network.projections if p.weights is not None]
        return [(arrows(name), f"{weights.size:,}", str(int(np.abs(weights).max(initial=0)))) for name, weights in own]
