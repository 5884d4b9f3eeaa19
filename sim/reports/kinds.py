"""Which report belongs to which kind of run."""

from __future__ import annotations

from typing import Any

from neuro.artifact.run_folder import Artifact
from neuro.data.sets import Dataset
from neuro.equilibrium.graded_network import GradedNetwork
from neuro.spec.sigma_delta import NetworkSpec
from neuro.stock.feed_forward import FeedForwardNetwork
from neuro.stock.network import StockNetwork
from sim.evaluate import is_coder
from sim.reports.coder import CoderSubject
from sim.reports.feed_forward import FeedForwardSubject
from sim.reports.graded import GradedSubject
from sim.reports.sigma_delta import SigmaDeltaSubject
from sim.reports.stock import StockSubject
from sim.reports.subject import Subject

SUBJECTS: dict[type, type[Subject[Any]]] = {
    NetworkSpec: SigmaDeltaSubject,
    StockNetwork: StockSubject,
    GradedNetwork: GradedSubject,
    FeedForwardNetwork: FeedForwardSubject,
}


def subject_of(artifact: Artifact, dataset: Dataset) -> Subject[Any]:
    """A run as a report sees it."""
    kind: type[Subject[Any]] = CoderSubject if is_coder(artifact) else SUBJECTS[type(artifact.spec)]
    return kind(artifact, artifact.spec, dataset)
