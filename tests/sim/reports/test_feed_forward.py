"""Report pages about baselines."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from shared_pages import Page

from neuro.artifact.run_folder import load_artifact
from neuro.data.sets import Dataset
from neuro.stock.feed_forward import FeedForwardNetwork
from sim.backends.protocol import get_backend
from sim.evaluate import add_result, evaluate
from sim.reports.page import write_report
from sim.reports.probes.stock import watch_inference

HEADINGS = [
    "Learning", "Settling", "One image, step by step", "Spikes per step", "Spikes per inference", "Receptive fields",
    "Weights", "Output spikes by class", "Confusion", "Does another backend compute the same?", "The network",
    "Provenance",
]  # fmt: skip


@pytest.fixture(scope="module")
def network(finished_baseline: Path) -> FeedForwardNetwork:
    spec = load_artifact(finished_baseline).spec
    assert isinstance(spec, FeedForwardNetwork)
    return spec


def test_activity_counts_every_spike(network: FeedForwardNetwork, blob_data: Dataset) -> None:
    found = watch_inference(network, blob_data)
    with get_backend("chip").open(network) as session:
        record = session.run(network.encoder.encode(blob_data.x_test), keep_spikes=True)
    assert record.spikes is not None
    assert set(found.per_step) == {"hidden", "output"}
    for name, per_step in found.per_step.items():
        assert per_step.shape == (network.steps + 1,)
        assert per_step.sum() * 90 == pytest.approx(record.spike_counts[name].sum())
        np.testing.assert_array_equal(found.per_image[name], record.spike_counts[name][:, 1])
    operations = record.synaptic_operations(network)
    for name, (free, whole) in found.operations.items():
        assert free == pytest.approx(whole)
        assert free * 90 == pytest.approx(operations[name].sum())
    assert found.accuracy_by_step.shape == (network.steps,)
    assert found.accuracy_by_step[-1] == np.mean(record.predictions == blob_data.y_test)
    assert found.output_counts is not None
    for label in range(3):
        mean = record.output_states[blob_data.y_test == label].mean(axis=0)
        np.testing.assert_allclose(found.output_counts[label], mean)
    first = record.spikes.rows()[record.spikes.image == 0]
    np.testing.assert_array_equal(found.raster.spikes.rows(), first)


def test_fewer_images_can_be_watched(network: FeedForwardNetwork, blob_data: Dataset) -> None:
    assert watch_inference(network, blob_data, 7).n_images == 7


def test_a_baseline_has_a_page(finished_baseline: Path, blob_data: Dataset, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished_baseline, tmp_path / "run"))
    page = Page(write_report([run], tmp_path / "page.html"))
    artifact = load_artifact(run)
    assert page.headings == [str(run), *HEADINGS]
    assert page.tags.count("svg") == 11
    assert {"script", "link", "iframe", "a"}.isdisjoint(page.tags)
    results = artifact.manifest["results"]
    for told in ("A baseline", "--backend lava --check chip", f"{results['spikes_per_inference']:.1f}",
                 f"{results['test']['n_correct'] / 90:.4f}", artifact.manifest["files"]["weights.npz"]):  # fmt: skip
        assert told in page.text
    add_result(run, artifact, evaluate(artifact, run, blob_data, get_backend("chip"), 10, get_backend("chip")))
    again = Page(write_report([run], tmp_path / "again.html"))
    assert "equal: 10 images" in again.text
