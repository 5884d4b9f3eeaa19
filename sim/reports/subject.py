"""A run as a report sees it: measured when first asked, drawn on a page (`section`) or on a notebook's axes (`draw_*`).

A kind of network fills in what its pages show; `sim.families` says which class belongs to which kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar, Generic, TypeVar

from matplotlib.axes import Axes

from neuro.artifact.run_folder import Artifact
from neuro.base.metrics import Accuracy
from neuro.data.sets import Dataset
from neuro.spec.network import Network
from sim.backends.protocol import one_hot_targets
from sim.evaluate import Evaluation
from sim.reports import panels
from sim.reports.figures import curves, spikes
from sim.reports.probes.raster import Phases, Raster, watch_image
from sim.reports.probes.sigma_delta import Activity, TestResult, measure_test
from sim.reports.section import Box, Fact, Panel, Section, Table, provenance

N = TypeVar("N", bound=Network)


class Subject(ABC, Generic[N]):
    """A run, its network (as it is deployed or as it learned) and its data."""

    check: ClassVar[str] = "events"  # the backend to compare others with
    taught: ClassVar[bool] = True  # whether its phases need a target

    def __init__(self, artifact: Artifact, network: N, dataset: Dataset) -> None:
        self.artifact, self.network, self.dataset = artifact, network, dataset

    @cached_property
    def test(self) -> TestResult:
        """The whole test set, classified again."""
        return measure_test(self.network, self.dataset)

    @property
    def accuracy(self) -> Accuracy:
        """Test accuracy, as it was measured when the training ended; measured again where that is not known."""
        told = self.artifact.manifest["results"].get("test")
        return self.test.accuracy if told is None else Accuracy(**told)

    @property
    def spikes(self) -> float:
        """Spikes of an inference, mean over the test set."""
        told = self.artifact.manifest["results"].get("spikes_per_inference")
        return self.test.spikes_per_inference if told is None else float(told)

    @property
    @abstractmethod
    def phases(self) -> Phases:
        """Name and steps of each phase of `raster`."""

    @property
    def shown(self) -> tuple[str, ...]:
        """Populations of `raster`."""
        return tuple(population.name for population in self.network.moving)

    @cached_property
    @abstractmethod
    def activity(self) -> Activity:
        """Spikes and operations of the first test images."""

    def raster(self, image: int) -> Raster:
        """Every spike of a test image, through all phases."""
        labels = self.dataset.y_test[image : image + 1]
        target = one_hot_targets(self.network, labels)[0] if self.taught else None
        return watch_image(self.network, self.dataset.x_test[image], target, self.phases, self.shown,
                           seed=self.artifact.manifest["seed"], number=image)  # fmt: skip

    def draw_raster(self, axes: Axes, image: int) -> None:
        """Draw every spike of a test image."""
        spikes.raster(axes, self.raster(image))

    def draw_learning(self, axes: Axes) -> None:
        """Draw how the run learned."""
        manifest, found = self.artifact.manifest, self.accuracy
        curves.learning_curve(axes, manifest["history"], manifest["best_epoch"], (found.value, *found.interval))

    @abstractmethod
    def draw_settling(self, axes: Axes, images: int | None = None) -> None:
        """Draw how an inference comes about, over so many test images (None: as many as a page shows)."""

    @abstractmethod
    def draw_fields(self, axes: Axes) -> None:
        """Draw what the first layer looks for in an image."""

    @abstractmethod
    def intro(self) -> str:
        """What a reader has to know first."""

    @abstractmethod
    def facts(self) -> list[Fact]:
        """Figures, each with how it was obtained."""

    @abstractmethod
    def panels(self) -> list[Panel]:
        """Figures."""

    @abstractmethod
    def tables(self) -> list[Table]:
        """The network in numbers."""

    def section(self, name: str, evaluations: list[Evaluation], beside: Sequence[Box] = ()) -> Section:
        """All of it; beside: what else the page says of the run."""
        boxes = [*beside, panels.backends(evaluations, name, self.check), Box("The network", self.tables()),
                 provenance(self.artifact.manifest)]  # fmt: skip
        return Section(name, self.intro(), self.facts(), self.panels(), boxes)
