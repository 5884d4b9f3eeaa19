"""Which report belongs to which kind of run."""

from __future__ import annotations

from typing import Any

from neuro.artifact.run_folder import Artifact
from neuro.base.errors import UserError
from neuro.data.sets import Dataset
from sim.evaluate import is_coder
from sim.families import of_kind
from sim.reports.subject import Subject


def subject_of(artifact: Artifact, dataset: Dataset) -> Subject[Any]:
    """A run as a report sees it. Raises: UserError if there is no report of its kind."""
    kind: type[Subject[Any]] | None = of_kind("report of a coder" if is_coder(artifact) else "report", artifact.spec)
    if kind is None:
        raise UserError(f"report: there is none of a {artifact.spec.title}; see settle evaluate and settle compile")
    return kind(artifact, artifact.spec, dataset)
