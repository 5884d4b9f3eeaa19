"""Report pages about runs of the stock family."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_pages import Page, check_page

from neuro.artifact.run_folder import Artifact, load_artifact, save_artifact
from neuro.data.sets import Dataset, load_dataset
from neuro.stock.network import RELAY, StockNetwork
from sim.backends.protocol import get_backend, one_hot_targets
from sim.evaluate import add_result, evaluate
from sim.reports.equations import arrows, engine_rule
from sim.reports.page import write_report
from sim.reports.probes.sigma_delta import measure_test
from sim.reports.probes.stock import watch_stock_activity
from sim.reports.stock import saturated_share
from sim.training.config import TrainConfig


@pytest.fixture
def run(finished_stock: Path, tmp_path: Path) -> Path:
    """A copy of a finished run that may be changed."""
    return Path(shutil.copytree(finished_stock, tmp_path / "run"))


@pytest.fixture(scope="module")
def network(finished_stock: Path) -> StockNetwork:
    spec = load_artifact(finished_stock).spec
    assert isinstance(spec, StockNetwork)
    return spec


def row_of(page: Page, name: str, columns: int, place: int = -1) -> list[str]:
    """The cells of the last (or another) table row that begins with a name and has so many cells."""
    rows = re.findall(rf"<tr>(<td>{re.escape(arrows(name))}</td>.*?)</tr>", page.source, re.DOTALL)
    cells = [[html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)] for row in rows]
    return [row for row in cells if len(row) == columns][place]


def test_the_whole_test_set_is_measured(network: StockNetwork, blob_data: Dataset, finished_stock: Path) -> None:
    found = measure_test(network, blob_data)
    results = load_artifact(finished_stock).manifest["results"]
    assert (found.accuracy.n_correct, found.spikes_per_inference) == (
        results["test"]["n_correct"],
        results["spikes_per_inference"],
    )
    assert found.accuracy.n == found.n_images == found.confusion.sum() == 90
    assert np.trace(found.confusion) == found.accuracy.n_correct
    assert 0 <= found.settled <= 1


def test_activity_counts_every_spike_of_a_sample(network: StockNetwork, blob_data: Dataset) -> None:
    found = watch_stock_activity(network, blob_data)
    payloads, targets = network.encoder.encode(blob_data.x_test), one_hot_targets(network, blob_data.y_test)
    with get_backend("chip").open(network) as session:
        record = session.run(payloads, targets, keep_spikes=True)
        first = session.run(payloads[:1], targets[:1], keep_spikes=True)
    assert record.spikes is not None
    assert first.spikes is not None
    assert found.first.spikes is not None
    assert set(found.per_step) == {"hidden", "output", RELAY}
    for name, per_step in found.per_step.items():
        assert per_step.shape == (network.schedule.steps + 1,)
        assert per_step.sum() * 90 == pytest.approx(record.spike_counts[name].sum())
    for name, counts in found.per_image.items():
        np.testing.assert_array_equal(counts, record.spike_counts[name][:, 1])
    for name, sent in found.sent.items():
        np.testing.assert_allclose(sent * 90, record.spike_counts[name].sum(axis=0))
    wanted = record.synaptic_operations(network)
    assert set(found.operations) == {projection.name for projection in network.projections}
    for name, (free, whole) in found.operations.items():
        assert free * 90 == pytest.approx(wanted[name][:, :2].sum())
        assert whole * 90 == pytest.approx(wanted[name].sum())
    np.testing.assert_array_equal(found.first.spikes.rows(), first.spikes.rows())
    assert sum(steps for _, steps in found.phases) == network.schedule.steps
    assert found.accuracy is not None
    assert found.accuracy[-1] == np.mean(record.predictions == blob_data.y_test)
    assert found.accuracy.shape == (network.schedule.free_steps,)


def test_a_report_is_one_whole_page_and_reproducible(
    run: Path, network: StockNetwork, tmp_path: Path, blob_data: Dataset
) -> None:
    page = Page(write_report([run], tmp_path / "first.html"))
    check_page(page, [run])
    assert "no chip was involved" in page.text
    assert "--backend lava --check chip" in page.text
    assert "best epoch (dotted)" in page.text
    assert f"{load_artifact(run).manifest['results']['images_per_s']:,.0f}" in page.text
    for projection in network.plastic:
        assert projection.rule is not None
        texts = row_of(page, projection.name, 7)
        assert texts[1:3] == list(engine_rule(projection.rule).values())
        assert texts[5:] == ["per-synapse", "1"]
        measured = row_of(page, projection.name, 7, place=0)
        assert measured[2:5] == [
            f"2<sup>{projection.exponent}</sup>", str(abs(projection.weights.astype(int)).max()),
            f"{100 * saturated_share(projection):.1f} %",
        ]  # fmt: skip
    assert row_of(page, "label->output", 7)[4] == "fixed"
    neuron: Any = network.population("hidden").neuron
    assert f"threshold {neuron.threshold}" in row_of(page, "hidden", 6)[3]
    assert {row_of(page, name, 6)[2] for name in ("input", "label", "gate")} == {"RingBuffer"}
    write_report([run], tmp_path / "second.html")
    assert (tmp_path / "second.html").read_bytes() == (tmp_path / "first.html").read_bytes()
    artifact, chip = load_artifact(run), get_backend("chip")
    add_result(run, artifact, replace(evaluate(artifact, run, blob_data, chip, 10, chip), backend="lava"))
    page = Page(write_report([run], tmp_path / "checked.html"))
    check_page(page, [run])
    assert "equal: 10 images" in page.text


@pytest.mark.slow
def test_families_share_a_page(run: Path, finished: Path, tmp_path: Path) -> None:
    check_page(Page(write_report([run, finished], tmp_path / "page.html")), [run, finished])


@pytest.mark.parametrize(
    ("shape", "n_classes", "config"),
    [((7,), 3, {"hidden": (6, 5), "rule": "deferred", "weight_lsb": 2}), ((4, 4, 3), 12, {"rule": "R2"})],
    ids=["two layers, host-assisted", "colour"],
)
def test_any_run_has_a_report(
    shape: tuple[int, ...], n_classes: int, config: dict[str, Any], blobs: Callable[..., Any],
    train: Callable[..., Any], tmp_path: Path,
) -> None:  # fmt: skip
    np.savez(tmp_path / "data.npz", **blobs(shape, n_classes, 120, 60))
    settings = TrainConfig(**{"hidden": (6,), "epochs": 1, "family": "stock", "refit": False, **config})
    train(load_dataset(str(tmp_path / "data.npz")), settings, tmp_path / "run")
    page = Page(write_report([tmp_path / "run"], tmp_path / "page.html"))
    check_page(page, [tmp_path / "run"])
    assert ("A host copies what was learned" in page.text) is (config["rule"] == "deferred")


def as_learned_in_lava(run: Path, **results: Any) -> None:
    """Save a run again with the manifest of one that learned inside Lava."""
    artifact = load_artifact(run)
    network = artifact.spec
    assert isinstance(network, StockNetwork)
    manifest = {
        **artifact.manifest, "kind": "ep in lava", "history": [], "best_epoch": 0,
        "chosen": {"learning_rate": 0.01, "images": 4}, "results": {"val": {"n_correct": 3, "n": 30}, **results},
    }  # fmt: skip
    save_artifact(run, Artifact(network, manifest))


def test_a_run_learned_inside_lava_says_so(run: Path, tmp_path: Path) -> None:
    counted = {"weights": 0, "tags": 7, "traces": 0}
    as_learned_in_lava(run, val_before={"n_correct": 1, "n": 30}, differences=counted, lava_s=10.0)
    page = Page(write_report([run], tmp_path / "page.html"))
    check_page(page, [run])
    text = re.sub(r"\s+", " ", page.text)
    assert "Learned inside Lava itself, 4 images" in text
    assert "0 weights, 7 tags, 0 traces differ" in text
    assert "there are no epochs and no curve" in text
    assert "2.5 s" in text
    assert "while training" not in text
    assert "in the first epoch" not in text


def test_a_run_learned_inside_lava_by_an_older_version_has_a_report(run: Path, tmp_path: Path) -> None:
    as_learned_in_lava(run)
    page = Page(write_report([run], tmp_path / "page.html"))
    check_page(page, [run])
    assert "not compared" in page.text
    assert "per image learned" not in page.text


def test_saturation_is_counted_at_both_ends_as_weights_transmit(network: StockNetwork) -> None:
    projection = network.plastic[0]
    weights = np.zeros(projection.weights.shape, np.int16)
    weights.flat[:4] = -256, 254, 255, 253
    assert saturated_share(replace(projection, weights=weights)) == pytest.approx(3 / weights.size)
