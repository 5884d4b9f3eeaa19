"""One self-contained HTML page about finished runs. Says of every figure how it was obtained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from neuro.base.files import write_atomically
from sim.evaluate import data_of, load_run, read_results
from sim.reports.beside import attacks_of, chip_of
from sim.reports.certified import certificates_of
from sim.reports.compare import comparison_section, contestants
from sim.reports.document import document
from sim.reports.kinds import subject_of
from sim.reports.panels import latest
from sim.reports.perturbed import perturbations_of
from sim.reports.section import Section
from sim.reports.subject import Subject

TITLE = "Settle report"
LEAD = (
    "Spiking networks that settle to an equilibrium and learn by local, spike-driven rules. Every number on this page "
    "was measured on the integers that are deployed, or says that it is modelled."
)


def write_report(folders: Sequence[Path], path: Path) -> Path:
    """Write the page for the runs in `folders` to `path` and return it.

    Raises: UserError if a run or its data set cannot be read.
    """
    artifacts = [load_run(folder) for folder in folders]
    subjects = [subject_of(artifact, data_of(artifact)) for artifact in artifacts]
    sections = [_section(folder, subject, path) for folder, subject in zip(folders, subjects, strict=True)]
    if len(folders) > 1:
        sections.insert(0, comparison_section(contestants(folders, artifacts, subjects)))
    write_atomically(path, document(TITLE, LEAD, sections).encode())
    return path


def _section(folder: Path, subject: Subject[Any], path: Path) -> Section:
    artifact = subject.artifact
    asides = (
        attacks_of(folder, artifact, path), certificates_of(folder, artifact),
        perturbations_of(folder, artifact, subject.dataset), chip_of(folder, artifact, path),
    )  # fmt: skip
    beside = [aside for aside in asides if aside is not None]
    section = subject.section(str(folder), latest(read_results(folder, artifact)), [aside.box for aside in beside])
    return replace(
        section,
        facts=[*section.facts, *(fact for aside in beside for fact in aside.facts)],
        panels=[*section.panels, *(panel for aside in beside for panel in aside.panels)],
    )
