"""Report pages about sparse coders of stock processes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from shared_pages import Page

from neuro.artifact.run_folder import load_artifact
from neuro.coding.coder import StockCoder
from neuro.coding.dictionary import unit_norm
from neuro.data.sets import Dataset
from sim.backends.protocol import get_backend
from sim.coding.measure import codes, integer_dictionary, lasso
from sim.reports import plot
from sim.reports.page import write_report
from sim.reports.probes.coder import relative_error, show_examples, use_of_atoms
from sim.reports.probes.stock import watch_codes
from sim.reports.probes.stock_coder import StockCoding, watch_stock_descent

HEADINGS = [
    "Dictionary", "Images from their codes", "Learning", "Settling", "Spikes per image", "One image settles",
    "Spikes per step", "Does another backend compute the same?", "The network", "Provenance",
]  # fmt: skip


@pytest.fixture(scope="module", params=["spiking", "graded"])
def run(request: pytest.FixtureRequest, coders: dict[str, Path]) -> Path:
    return coders[request.param]


@pytest.fixture(scope="module")
def coding(run: Path) -> StockCoding:
    spec = load_artifact(run).spec
    assert isinstance(spec, StockCoder)
    return StockCoding(spec)


def test_a_stock_coder_has_a_page(run: Path, tmp_path: Path) -> None:
    page, manifest = Page(write_report([run], tmp_path / "page.html")), load_artifact(run).manifest
    results = manifest["results"]
    assert page.headings == [str(run), *HEADINGS]
    assert page.tags.count("svg") == 8
    for told in (f"{results['readout_accuracy']:.4f}", f"{results['spikes_per_image']:.1f}",
                 f"{100 * results['lasso']['gap']:.2f} %", manifest["files"]["weights.npz"]):  # fmt: skip
        assert told in page.text
    assert ("biases set by the host" in page.text) == (run.name == "spiking")
    assert ("GradedReluVec" in page.text) == (run.name == "graded")
    assert "--check chip" in page.text
    assert not re.search(r"\b(nan|inf|None)\b", page.text)


def test_a_coder_is_seen_as_it_is_deployed(
    run: Path, coding: StockCoding, coders: dict[str, Path], blob_data: Dataset
) -> None:
    learned = load_artifact(coders["dense"]).spec
    np.testing.assert_allclose(coding.images, unit_norm(integer_dictionary(learned)))
    payloads = coding.signals(blob_data.x_test[:8])
    shown = show_examples(coding, coding.network, blob_data)
    np.testing.assert_allclose(shown.images, blob_data.x_test[:8])
    np.testing.assert_allclose(shown.error, relative_error(coding, payloads, coding.codes(payloads)))
    assert np.abs(shown.reconstructions - shown.images).mean() < 0.2
    use = use_of_atoms(coding, payloads)
    assert use.shape == (coding.n_atoms,)
    assert use.sum() == pytest.approx(np.count_nonzero(codes(coding.network, payloads), axis=1).mean())


def test_a_descent_ends_at_the_solution(coding: StockCoding, blob_data: Dataset) -> None:
    coder, payloads = coding.network, coding.signals(blob_data.x_test[:12])
    descent = watch_stock_descent(coding, payloads)
    assert descent.gap is not None
    assert descent.gap.shape == descent.error.shape == (12, len(descent.steps))
    assert (descent.deployed, descent.steps[-1]) == (coder.free_steps, 2 * coder.free_steps)
    at = descent.steps.tolist().index(coder.free_steps)
    problem, signals = coder.problem, coder.signals_of(payloads)
    exact = lasso(problem.dictionary, problem.sparsity_threshold, signals, positive=True)
    objective = problem.objective(signals, coding.codes(payloads))
    np.testing.assert_allclose(descent.gap[:, at], objective / problem.objective(signals, exact) - 1)
    assert np.median(descent.gap[:, -1]) < 0.02 < np.median(descent.gap[:, 0])


def test_activity_counts_messages(coding: StockCoding, blob_data: Dataset) -> None:
    coder = coding.network
    activity = watch_codes(coder, blob_data, 40)
    with get_backend("chip").open(coder) as session:
        record = session.run(coder.encoder.encode(blob_data.x_test[:40]))
    for population in coder.moving:
        sent = record.spike_counts[population.name].sum(axis=1)
        np.testing.assert_array_equal(activity.per_image[population.name], sent)
        assert activity.per_step[population.name].sum() == pytest.approx(sent.mean())
    assert activity.accuracy is activity.output_counts is None


def test_plots_are_drawn(run: Path) -> None:
    artifact = load_artifact(run)
    for draw in (plot.raster, plot.energy, plot.fields, plot.learning_curve):
        axes = draw(artifact)
        assert axes.has_data() or axes.child_axes
