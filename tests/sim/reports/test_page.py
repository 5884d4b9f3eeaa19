from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_pages import Page, check_page

from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError
from neuro.data.sets import Dataset, load_dataset
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend, one_hot_targets
from sim.evaluate import add_result, evaluate
from sim.reports.equations import arrows
from sim.reports.page import write_report
from sim.reports.probes.sigma_delta import measure_test, watch_activity, watch_relaxation
from sim.training.config import TrainConfig
from sim.training.equilibrium import infer


@pytest.fixture(scope="module")
def spec(finished: Path) -> NetworkSpec:
    return load_artifact(finished).spec


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of a finished run that may be changed."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def run_on(arrays: dict[str, np.ndarray], path: Path, train: Callable[..., Any], **config: Any) -> Path:
    """Keep `arrays` as a data file, train on it briefly, return the folder of the run."""
    np.savez(path, **arrays)
    config = {"hidden": (8,), "epochs": 2, "learning_rate": 1.4, "output_share": 0.125, **config}
    train(load_dataset(str(path)), TrainConfig(**config), path.with_suffix(".run"))
    return path.with_suffix(".run")


def test_the_whole_test_set_is_measured(spec: NetworkSpec, blob_data: Dataset, finished: Path) -> None:
    found = measure_test(spec, blob_data)
    assert found.accuracy.n_correct == load_artifact(finished).manifest["results"]["test"]["n_correct"]
    assert found.accuracy.n == found.n_images == found.confusion.sum() == 90
    assert np.trace(found.confusion) == found.accuracy.n_correct
    assert np.array_equal(found.confusion.sum(axis=1), np.bincount(blob_data.y_test))
    assert 0 <= found.settled <= 1


def test_energy_falls_and_the_last_step_reads_like_inference(spec: NetworkSpec, blob_data: Dataset) -> None:
    found = watch_relaxation(spec, blob_data)
    steps = spec.schedule.phases[0].steps
    assert found.energy.shape == (90, steps)
    assert (found.energy[:, -1] < found.energy_at_rest).all()
    assert (np.diff(found.energy.mean(axis=0)) < 1e-3).all()
    assert found.accuracy[-1] == np.mean(infer(spec, blob_data.x_test).predictions == blob_data.y_test)


def test_activity_counts_every_spike_of_a_run(spec: NetworkSpec, blob_data: Dataset) -> None:
    found = watch_activity(spec, blob_data, seed=3)
    payloads, targets = spec.encoder.encode(blob_data.x_test), one_hot_targets(spec, blob_data.y_test)
    with get_backend("events").open(spec) as session:
        record = session.run(payloads, targets, seed=3, keep_spikes=True)
    assert record.spikes is not None
    assert found.first.spikes is not None
    free = 1 + spec.schedule.phases[0].steps
    for name, per_step in found.per_step.items():
        assert per_step.shape == (spec.schedule.last_step + 1,)
        assert per_step.sum() * 90 == pytest.approx(record.spike_counts[name].sum())
        assert per_step[1:free].sum() * 90 == pytest.approx(found.per_image[name].sum())
    assert set(found.per_step) == {"hidden1", "output"}
    assert set(found.operations) == {projection.name for projection in spec.projections}
    for projection in spec.projections:
        sent = record.spikes.step[record.spikes.population == spec.population_index[projection.source]]
        reached = spec.population(projection.target).size
        at_presentation, in_free_phase = found.operations[projection.name] * 90
        assert at_presentation == pytest.approx(np.count_nonzero(sent == 0) * reached)
        assert in_free_phase == pytest.approx(np.count_nonzero((sent > 0) & (sent < free)) * reached)
    expected = record.spikes.rows()[record.spikes.image == 0]
    assert np.array_equal(found.first.spikes.rows(), expected)


def test_a_report_is_one_whole_page_and_reproducible(run: Path, tmp_path: Path, blob_data: Dataset) -> None:
    artifact = load_artifact(run)
    assert write_report([run], tmp_path / "first.html") == tmp_path / "first.html"
    page = Page(tmp_path / "first.html")
    check_page(page, [run])
    assert "Not checked yet" in page.text
    assert "never used for a choice" in page.text
    activity = watch_activity(artifact.spec, blob_data, artifact.manifest["seed"])
    assert sum(counts[1] for counts in activity.operations.values()) > 0
    for name, counts in activity.operations.items():
        row = re.search(rf"<tr><td>{re.escape(arrows(name))}</td>.*?</tr>", page.source, re.DOTALL)
        assert row is not None
        assert re.findall(r'<td class="number">([^<]*)</td>', row[0])[-2:] == [f"{count:,.1f}" for count in counts]
    write_report([run], tmp_path / "second.html")
    assert (tmp_path / "second.html").read_bytes() == (tmp_path / "first.html").read_bytes()
    evaluation = evaluate(artifact, run, blob_data, get_backend("events"), 10, get_backend("reference"))
    add_result(run, artifact, evaluation)
    assert evaluation.differences is not None
    add_result(
        run, artifact, replace(evaluation, backend="lava", differences=replace(evaluation.differences, spikes=7))
    )
    write_report([run], tmp_path / "checked.html")
    page = Page(tmp_path / "checked.html")
    check_page(page, [run])
    assert "Not checked yet" not in page.text
    assert "equal: 10 images" in page.text
    assert "DIFFERENT: 10 images" in page.text
    assert "7 spikes, 0 states, 0 predictions differ" in page.text


@pytest.mark.parametrize(
    ("shape", "n_classes", "config"),
    [((7,), 3, {}), ((4, 5, 3), 12, {"hidden": (6, 5)}), ((4, 4, 1), 3, {"rule": "y3"}), ((1,), 2, {"refit": False})],
    ids=["vectors", "colour, two layers", "one channel", "one value"],
)
def test_any_run_has_a_report(
    shape: tuple[int, ...], n_classes: int, config: dict[str, Any], blobs: Callable[..., Any],
    train: Callable[..., Any], tmp_path: Path,
) -> None:  # fmt: skip
    folder = run_on(blobs(shape, n_classes), tmp_path / "data.npz", train, **config)
    check_page(Page(write_report([folder], tmp_path / "page.html")), [folder])


def test_two_runs_share_a_page(run: Path, blobs: Callable[..., Any], train: Callable[..., Any], tmp_path: Path) -> None:
    colour = run_on(blobs((4, 4, 3)), tmp_path / "colour.npz", train)
    page = Page(write_report([run, colour], tmp_path / "page.html"))
    check_page(page, [run, colour])
    identifiers = set(re.findall(r'\bid="([^"]+)"', page.source))
    assert {reference[1:] for reference in page.references if reference.startswith("#")} <= identifiers


def test_a_network_that_is_always_wrong_has_a_report(
    blobs: Callable[..., Any], train: Callable[..., Any], tmp_path: Path
) -> None:
    arrays = blobs(n_test=100)
    arrays["y_train"] = np.where(arrays["y_train"] == 2, 4, arrays["y_train"])
    arrays["y_train"][0] = 3
    arrays["y_test"] = np.full_like(arrays["y_test"], 3)  # a class with hardly a training image
    folder = run_on(arrays, tmp_path / "wrong.npz", train)
    page = Page(write_report([folder], tmp_path / "page.html"))
    check_page(page, [folder])
    assert "0.0000" in page.text


def test_names_cannot_inject_markup(run: Path, tmp_path: Path, edit_manifest: Callable[..., None]) -> None:
    evil = "<script>alert('x')</script>&\"<b>"
    folder = run.rename(tmp_path / "a<u>&'b")
    edit_manifest(folder, lambda manifest: manifest["data"].update(name=evil))
    page = Page(write_report([folder], tmp_path / "page.html"))
    check_page(page, [folder])
    assert evil in page.text
    assert "<script" not in page.source
    assert "u" not in page.tags


def test_a_report_of_what_cannot_be_read_is_refused(
    run: Path, tmp_path: Path, edit_manifest: Callable[..., None]
) -> None:
    page = tmp_path / "page.html"
    for folders in ([tmp_path / "missing"], [run, tmp_path / "missing"]):
        with pytest.raises(UserError, match="missing"):
            write_report(folders, page)
    edit_manifest(run, lambda manifest: manifest["data"].update(source=str(tmp_path / "gone.npz")))
    with pytest.raises(UserError, match=r"gone\.npz"):
        write_report([run], page)
    assert not page.exists()


@pytest.mark.parametrize("key", ["seed", "config", "chosen", "data", "versions", "results", "history", "best_epoch"])
def test_a_manifest_that_lacks_a_part_is_refused(
    key: str, run: Path, tmp_path: Path, edit_manifest: Callable[..., None]
) -> None:
    edit_manifest(run, lambda manifest: manifest.pop(key))
    with pytest.raises(UserError, match=key):
        write_report([run], tmp_path / "page.html")
