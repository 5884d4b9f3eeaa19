"""Perturbations of runs: equal however they are shared, closed forms of the means, the page, refusals, the command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_keys import PERTURB_KEYS
from shared_pages import Page

import settle
from neuro.base.errors import UserError
from neuro.base.resampling import interval_of, resampling
from neuro.data.sets import load_dataset
from sim.evaluate import data_of, load_run
from sim.perturbation.config import PerturbConfig
from sim.perturbation.corruptions import Corruptor
from sim.perturbation.result import Answers, PerturbResult
from sim.perturbation.run import PerturbRun, do_request
from sim.reports.page import write_report
from sim.reports.perturbed import perturbations_of
from sim.robustness.defences.same_shape import KEPT_TUNED
from sim.training.config import TrainConfig

FEW = PerturbConfig(kinds=("contrast", "saturate", "snow"), severities=(2, 5), images=20)


@pytest.fixture(scope="module")
def pictures(blobs: Callable[..., Any], train: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on pictures of 8 pixels a side. Not to be written to."""
    folder = tmp_path_factory.mktemp("pictures")
    np.savez(folder / "blobs.npz", **blobs((8, 8), 3, 120, 40))
    config = TrainConfig(seed=3, hidden=(8,), epochs=3, learning_rate=1.4, output_share=0.125, threads=1, refit=False)
    train(load_dataset(str(folder / "blobs.npz")), config, folder / "run")
    return folder / "run"


@pytest.fixture
def run(pictures: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pictures, tmp_path / "run"))


def do_all(run: Path, config: PerturbConfig = FEW, against: Path | None = None) -> PerturbResult:
    job = PerturbRun(run, config, against)
    for shard in job.missing():
        job.do(shard)
    return job.result()


def test_answers_are_those_of_the_deployed_network_on_corrupted_images(run: Path) -> None:
    result = do_all(run)
    artifact = load_run(run)
    dataset = data_of(artifact)
    perturbed = Corruptor("cifar")(dataset.x_test[:20], "snow", 5)
    right = settle.load(run).predict(perturbed / 255.0) == dataset.y_test[:20]
    assert np.array_equal(result.network.perturbed[2, 1], right)
    assert result.accuracy["snow"][5] == right.mean()
    assert result.network.accuracy.value > 0.9
    assert result.identical == ("saturate",)
    assert (run / KEPT_TUNED).is_file()


def test_a_later_call_measures_only_what_is_missing_and_shards_are_the_same(run: Path) -> None:
    job = PerturbRun(run, replace(FEW, severities=(2,)))
    job.prepare()
    do_request(job.request(3))
    assert job.missing() == [1, 2]
    with pytest.raises(UserError, match=r"shards \[1, 2\] are missing"):
        job.result()
    told: list[str] = []
    PerturbRun(run, FEW).do(3, told.append)
    assert told == ["snow, severity 5"]
    other = Path(shutil.copytree(run, run.with_name("other"), ignore=shutil.ignore_patterns("perturbations")))
    apart, together = do_all(run), do_all(other)
    assert np.array_equal(apart.network.perturbed, together.network.perturbed)
    assert np.array_equal(apart.baseline.perturbed, together.baseline.perturbed)
    assert apart.to_json() == {**together.to_json(), "run": str(run)}
    assert PerturbRun(run, replace(FEW, seed=1)).missing() == [1, 2, 3]


def test_a_run_against_itself_has_an_mce_of_one(run: Path) -> None:
    other = Path(shutil.copytree(run, run.with_name("other")))
    result = do_all(run, PerturbConfig(kinds=("contrast", "fog", "glass_blur"), images=30), other)
    assert result.mce is not None
    assert result.mce.value == pytest.approx(1.0)
    assert result.mce.interval == pytest.approx((1.0, 1.0))
    assert result.relative_mce is not None
    assert result.relative_mce.value == pytest.approx(1.0)


def answers(name: str, clean: float, *rows: tuple[float, float]) -> Answers:
    """Answers of which such shares of 100 are right, by kind and severity."""
    order = np.arange(100)
    return Answers(name, order < 100 * clean, np.array([[order < 100 * share for share in row] for row in rows]))


def test_means_are_those_of_hendrycks() -> None:
    config = PerturbConfig(kinds=("fog", "snow", "contrast"), severities=(1, 2), images=100)
    names = {kind: kind for kind in config.kinds or ()}
    network = answers("network", 0.9, (0.8, 0.6), (0.9, 0.5), (0.7, 0.9))
    baseline = answers("perceptron", 0.95, (0.9, 0.7), (0.8, 0.6), (1.0, 1.0))
    result = PerturbResult("run", config, names, network, baseline)
    assert result.corruption_errors == pytest.approx({"fog": 0.6 / 0.4, "snow": 0.6 / 0.6})
    assert result.mce is not None
    assert result.mce.value == pytest.approx(1.25)
    assert (result.mce.kinds, result.mce.interval[0] < 1.25 < result.mce.interval[1]) == (2, True)
    assert result.relative_mce is not None
    assert result.relative_mce.value == pytest.approx(((0.6 - 0.2) / (0.4 - 0.1) + (0.6 - 0.2) / (0.6 - 0.1)) / 2)
    assert result.corrupted is not None
    assert result.corrupted.value == pytest.approx((0.7 + 0.7 + 0.8) / 3)
    left = replace(result, identical=config.kinds or ())
    assert (left.mce, left.corrupted, left.to_json()["mce"]) == (None, None, None)


def test_resampled_images_are_as_many_and_their_means_spread_as_they_should() -> None:
    weights = resampling(400)
    assert (weights.sum(axis=1) == 400).all()
    assert np.array_equal(weights, resampling(400))
    share = np.arange(400) < 100
    low, high = interval_of(weights @ share / 400)
    assert (low, high) == pytest.approx((0.25 - 1.96 * 0.02165, 0.25 + 1.96 * 0.02165), abs=0.006)


def test_the_page_shows_what_was_found_and_names_damage(run: Path) -> None:
    artifact = load_run(run)
    dataset = data_of(artifact)
    assert perturbations_of(run, artifact, dataset) is None
    result = do_all(run)
    page = Page(write_report([run], run / "report.html"))
    assert page.headings.count("Corrupted accuracy") == 1
    assert result.corrupted is not None
    assert f"{result.corrupted.value:.4f}" in page.text
    assert "identical by definition" in page.text
    (path,) = (run / "perturbations").glob("*/perturbation.json")
    content = json.loads(path.read_text())
    for damage in ({"accuracy": {"snow": {"2": 2.0}}}, {"accuracy": {}}, {"mce": None, "names": {}}):
        path.write_text(json.dumps({**content, **damage}))
        with pytest.raises(UserError, match="delete it and perturb again"):
            perturbations_of(run, artifact, dataset)
    path.write_text(json.dumps({**content, "weights_sha256": "other"}))
    assert perturbations_of(run, artifact, dataset) is None


def test_the_kinds_of_mnist_c_are_measured_and_shown(run: Path) -> None:
    result = do_all(run, PerturbConfig(set="mnist-c", kinds=("stripe", "shear"), images=10))
    assert result.accuracy["stripe"].keys() == {1}
    beside = perturbations_of(run, load_run(run), data_of(load_run(run)))
    assert beside is not None
    assert "table mnist-c" in beside.panels[0].caption
    assert beside.panels[1].caption == "The first test image as severity 1 makes it, row by row: stripe, shear."


def test_what_cannot_be_perturbed_is_named(run: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="at least 8 pixels a side"):
        PerturbRun(finished, FEW)
    with monkeypatch.context() as patched:
        patched.setattr("sim.perturbation.run.is_coder", lambda artifact: True)
        with pytest.raises(UserError, match="a sparse coder has no classes"):
            PerturbRun(run, FEW)
    with pytest.raises(UserError, match="its data or their split differ"):
        PerturbRun(run, FEW, finished)
    with pytest.raises(UserError, match="images 50 outside"):
        PerturbRun(run, replace(FEW, images=50))
    for wrong, message in (
        ({"kinds": ("snoww",)}, "did you mean snow"), ({"severities": (0,)}, r"severities 0 outside 1\.\.5"),
        ({"kinds": ()}, "give one or more different values"), ({"table": "large"}, "table 'large' is unknown"),
        ({"set": "none"}, "'none' is unknown"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=message):
            PerturbConfig(**wrong)
    job = PerturbRun(run, FEW)
    job.do(1)
    path = job.path(1)
    np.savez(path, **{"2": np.zeros((2, 3), dtype=bool)})
    with pytest.raises(UserError, match="holds answers of other images"):
        PerturbRun(run, FEW).missing()


def test_the_command_prints_its_keys(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["perturb", str(run), "--kinds", "fog,jpeg_compression", "--severities", "3", "--images", "10"]
    settle.command_line()([*words, "--workers", "1", "--json"], standalone_mode=False)
    content = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(content) == PERTURB_KEYS
    assert list(content["accuracy"]) == ["fog", "jpeg_compression"]
    assert settle.load(run).perturb(("fog",), severities=3, images=10, progress=False).accuracy == {
        "fog": {3: content["accuracy"]["fog"]["3"]}
    }
