"""One self-contained HTML page about finished runs. Says of every figure how it was obtained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape

from neuro.base.errors import UserError
from neuro.base.files import write_atomically
from neuro.equilibrium.graded_network import GradedNetwork
from neuro.stock.feed_forward import FeedForwardNetwork
from neuro.stock.network import StockNetwork
from sim.evaluate import data_of, equality_sentence, is_coder, load_run, read_results
from sim.reports.coder import coder_section
from sim.reports.section import Section, latest
from sim.reports.sigma_delta import graded_section, sigma_delta_section
from sim.reports.stock import stock_section


def write_report(folders: Sequence[Path], path: Path) -> Path:
    """Write the page for the runs in `folders` to `path` and return it.

    Raises: UserError if a run or its data set cannot be read.
    """
    write_atomically(path, render([_section(folder) for folder in folders]).encode())
    return path


def render(sections: Sequence[Section]) -> str:
    """Return the page of some sections."""
    environment = Environment(loader=PackageLoader("sim"), autoescape=select_autoescape(["html"]))
    return environment.get_template("report.html").render(sections=sections)


def _section(folder: Path) -> Section:
    artifact = load_run(folder)
    dataset = data_of(artifact)
    evaluations = [(found, equality_sentence(found)) for found in latest(read_results(folder, artifact))]
    if isinstance(artifact.spec, FeedForwardNetwork):
        raise UserError(
            f"run {folder}: a baseline has no page of its own; see settle evaluate and settle compile --report"
        )
    if isinstance(artifact.spec, StockNetwork):
        return stock_section(str(folder), artifact, artifact.spec, dataset, evaluations)
    if isinstance(artifact.spec, GradedNetwork):
        return graded_section(str(folder), artifact, artifact.spec, dataset, evaluations)
    if is_coder(artifact):
        return coder_section(str(folder), artifact, artifact.spec, dataset, evaluations)
    return sigma_delta_section(str(folder), artifact, artifact.spec, dataset, evaluations)
