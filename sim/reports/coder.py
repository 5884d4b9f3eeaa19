"""A sparse coder: what pages of all kinds show, and those of sigma-delta units, alone or behind others."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import ClassVar

import numpy as np
from matplotlib.axes import Axes

from neuro.base.arrays import Integers, Reals
from neuro.base.metrics import Accuracy
from neuro.spec.sigma_delta import NetworkSpec
from sim.reports import panels
from sim.reports.figures import coder as figures
from sim.reports.figures import spikes
from sim.reports.figures.canvas import HALF_PAGE, PAGE, render, render_grid
from sim.reports.panels import speed_fact
from sim.reports.probes.coder import (
    DESCENT_IMAGES,
    SWEEP_IMAGES,
    Coding,
    Descent,
    LoneCoder,
    atom_pictures,
    lone_coder,
    show_examples,
    sweep_thresholds,
    use_of_atoms,
    watch_descent,
)
from sim.reports.probes.raster import Phases
from sim.reports.probes.sigma_delta import Activity, phases_of, watch_activity
from sim.reports.section import Fact, Panel, Table
from sim.reports.sigma_delta import network_tables
from sim.reports.subject import N, Subject

INTRO = (
    "A sparse coder: units compete by inhibition until each image is a sum of few atoms of a dictionary, which was "
    "learned by a local rule, residual times activity. "
)
STACKED = "It codes the codes of the coder in front of it; the atoms are drawn as what they add to an image. "
RASTER = (
    "Every spike of the first test image. Blue dots: an activation rose, orange squares: it fell. Between the spikes "
    "nothing is sent."
)
LEARNING = "Training images, mean over each epoch, before each update."
MOST_EXAMPLES = 8
TALL = (4.95, 3.6)  # inches


class CodingSubject(Subject[N]):
    """A coder of any kind.

    raster_caption: what the raster shows.   dictionary: that of the LASSO solution it is compared with.
    """

    taught: ClassVar[bool] = False
    raster_caption: ClassVar[str] = RASTER
    dictionary: ClassVar[str] = "integer"

    @property
    def accuracy(self) -> Accuracy:
        """That of a linear readout of the codes, on the test set."""
        results = self.artifact.manifest["results"]
        return Accuracy(round(results["readout_accuracy"] * results["n_test"]), results["n_test"])

    @property
    def spikes(self) -> float:
        """Spikes of a code, mean over the test set."""
        return float(self.artifact.manifest["results"]["spikes_per_image"])

    @property
    @abstractmethod
    def coder(self) -> Coding:
        """The coder without what stands in front of it."""

    @property
    @abstractmethod
    def atoms(self) -> Reals:
        """The atoms as pictures, of shape [K, ...]."""

    @abstractmethod
    def descent(self, images: int) -> Descent:
        """How the codes of the first test images settle."""

    def signals(self, images: int) -> Integers:
        """What the coder is given for the first test images."""
        return self.coder.signals(self.dataset.x_test[:images])

    def draw_learning(self, axes: Axes) -> None:
        """Draw objective and active units by epoch."""
        figures.coder_learning(axes, self.artifact.manifest["history"])

    def draw_settling(self, axes: Axes, images: int | None = None) -> None:
        """Draw how far the objective lies above the LASSO solution, by step."""
        figures.descent(axes, self.descent(images or DESCENT_IMAGES))

    def draw_fields(self, axes: Axes) -> None:
        """Draw the atoms used most."""
        figures.atoms(axes, self.atoms, use_of_atoms(self.coder, self.signals(SWEEP_IMAGES)))

    def intro(self) -> str:
        """What a sparse coder is."""
        return INTRO

    def facts(self) -> list[Fact]:
        """Worth of the codes, spikes, sparsity, convergence, speed."""
        manifest = self.artifact.manifest
        results, chosen = manifest["results"], manifest["chosen"]
        lasso, size = results["lasso"], self.network.n_classes
        facts = [
            (f"{results['readout_accuracy']:.4f}", f"test accuracy of a linear readout of the codes, measured, "
             f"n = {results['n_test']}; it learned from {results['n_readout']} training images"),
            (f"{results['spikes_per_image']:.1f}", "spikes of the code per test image, measured"),
            (f"{results['active']:.1f}", f"of {size:,} units active, mean of validation images, measured"),
            (f"{100 * results['converged']:.1f} %", "of validation images converged: twice the steps would lower the "
             "objective by less than 1 %"),
            (f"{chosen['sparsity_threshold']:g}", "sparsity threshold"),
            speed_fact(manifest),
        ]  # fmt: skip
        if lasso is not None:
            meaning = (
                f"objective above the LASSO solution (scikit-learn, same {self.dictionary} dictionary), median of "
                f"{lasso['n']} validation images, measured; {100 * lasso['support_overlap']:.0f} % of the atoms in use "
                "are the same"
            )
            facts.insert(0, (f"{100 * lasso['gap']:.2f} %", meaning))
        return facts

    def panels(self) -> list[Panel]:
        """What the atoms are and what they are worth; how codes come about."""
        return [*self._code_panels(), *self._time_panels()]

    def _code_panels(self) -> list[Panel]:
        kind = "kernels" if self.network.population(self.network.output).shape[1:] else "atoms"
        atoms = len(self.atoms)
        shown, signals = min(atoms, figures.ATOMS_SHOWN), self.signals(SWEEP_IMAGES)
        examples = show_examples(self.coder, self.network, self.dataset)
        count = len(examples.images)
        few = min(count, figures.NARROW_EXAMPLES)
        return [
            Panel(
                "Dictionary",
                render(self.draw_fields, size=figures.atoms_size(self.atoms)),
                f"{shown} of {atoms} {kind}, those most used first (over {len(signals)} test images); red positive, "
                "blue negative, each on its own scale.",
                wide=True,
            ),
            Panel(
                "Images from their codes",
                render_grid(
                    lambda grid: figures.examples(grid, examples), (PAGE * count / MOST_EXAMPLES, 3.2), 2, count
                ),
                "The first test images and the sum of their active atoms, measured; left: share of the squared length "
                "of the signal that the code does not explain.",
                wide=True,
                narrow=render_grid(lambda grid: figures.examples(grid, examples), (HALF_PAGE[0], 3.2), 2, few),
            ),
            panels.learning(self.draw_learning, LEARNING),
        ]

    def _time_panels(self) -> list[Panel]:
        activity, n = self.activity, self.activity.n_images
        sent, codes = activity.per_image[self.network.output], self.coder.codes(self.signals(n))
        active = np.count_nonzero(codes, axis=1)
        drawn = render_grid(lambda grid: spikes.code_spikes(grid[0], sent, active), HALF_PAGE, 1, 2, sharey=True)
        return [
            panels.settling(self.draw_settling, self._settling_caption()),
            Panel(
                "Spikes per image",
                drawn,
                f"Spikes that the code sends, and units that end active, for each of {n} test images.",
            ),
            Panel("One image settles", render(spikes.raster, activity.raster, size=TALL), self.raster_caption),
            panels.spikes_per_step(activity, f"Mean over {n} test images."),
        ]

    def _settling_caption(self) -> str:
        solution = f"Objective against the LASSO solution on the same {self.dictionary} dictionary. "
        if self.artifact.manifest["results"]["lasso"] is None:
            solution = "Reconstruction error: a hard threshold has no LASSO solution to compare with. "
        n = min(DESCENT_IMAGES, len(self.dataset.y_test))
        spread = "Line: median; shade: 10th to 90th percentile; dotted: the steps it is given."
        return f"{solution}Measured on {n} test images. {spread}"


class CoderSubject(CodingSubject[NetworkSpec]):
    """A coder that settles by sigma-delta spikes."""

    @cached_property
    def coder(self) -> LoneCoder:
        """The coder without what stands in front of it."""
        return lone_coder(self.network)

    @property
    def phases(self) -> Phases:
        """There is one only."""
        return phases_of(self.network)

    @cached_property
    def activity(self) -> Activity:
        """Spikes and operations of the first test images."""
        return watch_activity(self.network, self.dataset, self.artifact.manifest["seed"], classes=False)

    def descent(self, images: int) -> Descent:
        """How the codes of the first test images settle."""
        steps = self.artifact.manifest["chosen"].get("steps", self.network.schedule.last_step)
        return watch_descent(self.coder, self.signals(images), steps)

    @cached_property
    def atoms(self) -> Reals:
        """The atoms as pictures."""
        return atom_pictures(self.coder, self.network.image_shape)

    def intro(self) -> str:
        """What a sparse coder is, and what stands in front of this one."""
        return INTRO + (STACKED if self.coder.front else "")

    def tables(self) -> list[Table]:
        """Populations and projections."""
        return network_tables(self.network, self.activity)

    def _code_panels(self) -> list[Panel]:
        sweep = sweep_thresholds(self.coder, self.signals(SWEEP_IMAGES))
        caption = (
            f"The same dictionary at other thresholds; measured on {sweep.n} test images. Dotted: the threshold it "
            "learned with and is deployed at."
        )
        drawn = render(figures.threshold_sweep, sweep)
        return [*super()._code_panels(), Panel("Sparsity and reconstruction", drawn, caption)]
