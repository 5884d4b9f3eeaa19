"""Runs of sparse coders: what they leave, and that an interruption anywhere changes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shared_coders import SMALL_CODER, SMALL_KERNELS
from shared_watchers import Interrupting

from neuro.artifact.run_folder import load_artifact, save_artifact
from neuro.base.errors import UserError
from neuro.coding.sigma_delta import CODE
from neuro.data.sets import Dataset, load_dataset
from sim.backends.protocol import get_backend
from sim.coding.config import LcaConfig
from sim.coding.learner import DictionaryLearner
from sim.coding.measure import codes, measure_quality
from sim.coding.training import train_lca
from sim.training.front_end import load_front_end

Outcome = Callable[[Path], dict[str, Any]]
CONFIG = replace(SMALL_CODER, epochs=3)
SPIKING = replace(CONFIG, family="stock", form="spiking")
NOW = {"resume": True, "checkpoint_every_s": 0.0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture(scope="module", params=[CONFIG, SMALL_KERNELS, SPIKING], ids=["dense", "kernels", "spiking"])
def config(request: pytest.FixtureRequest) -> LcaConfig:
    assert isinstance(request.param, LcaConfig)
    return request.param


@pytest.fixture(scope="module")
def whole(blob_data: Dataset, config: LcaConfig, outcome: Outcome, silent: Any, tmp_path_factory: Any) -> Any:
    """What an uninterrupted training leaves."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train_lca(blob_data, config, folder, silent())
    return outcome(folder)


def test_a_run_holds_its_artifact_its_log_and_nothing_else(whole: Any, config: LcaConfig, blob_data: Dataset) -> None:
    assert whole["files"] == ["log.jsonl", "manifest.json", "spec.json", "weights.npz"]
    manifest = whole["manifest"]
    assert manifest["kind"] == "lca"
    assert [line["epoch"] for line in whole["log"]] == list(range(1, (config.epochs or 0) + 1))
    assert manifest["history"] == whole["log"]
    assert manifest["data"]["sha256"] == blob_data.sha256()
    assert manifest["chosen"]["epochs"] == config.epochs
    assert manifest["history"][-1]["objective"] < manifest["history"][0]["objective"]


def test_what_is_told_is_what_the_artifact_does(blob_data: Dataset, folder: Path, silent: Any) -> None:
    result = train_lca(blob_data, CONFIG, folder, silent())
    artifact = load_artifact(folder)
    spec, manifest = artifact.spec, artifact.manifest
    with get_backend("events").open(spec, threads=1) as session:
        record = session.run(spec.encoder.encode(blob_data.x_test))
    assert result.spikes_per_image == record.spike_counts[CODE].sum(axis=1).mean()
    assert result.sparsity_threshold * 2**16 == pytest.approx(spec.population(CODE).neuron.threshold, abs=0.5)
    assert manifest["chosen"]["steps"] == spec.schedule.last_step
    assert 0 <= result.objective_gap < 0.05
    assert result.converged > 0.9
    assert 0.8 < result.readout_accuracy <= 1
    assert 1 < result.active < 6
    assert result.to_json()["run"] == str(folder)
    largest = codes(spec, spec.encoder.encode(blob_data.x_train), 1).max()
    assert largest < manifest["chosen"]["reach"]  # nothing saturates
    quality = measure_quality(spec, spec.encoder.encode(blob_data.x_test[:20]))
    assert quality.gap < 0.05


def test_same_seed_same_run_and_another_seed_another(
    whole: Any, blob_data: Dataset, config: LcaConfig, outcome: Outcome, silent: Any, tmp_path: Path
) -> None:
    train_lca(blob_data, replace(config, threads=3), tmp_path / "again", silent())
    found = outcome(tmp_path / "again")
    found["manifest"]["config"]["threads"] = 1
    assert found == whole
    train_lca(blob_data, replace(config, seed=4), tmp_path / "other", silent())
    assert outcome(tmp_path / "other")["weights"] != whole["weights"]


@pytest.mark.parametrize(("kind", "at"), [("on_chunk", n) for n in (1, 2, 4, 7)] + [("on_epoch", n) for n in (1, 2)] +
                         [("on_stage", 1), ("on_measure", 1)])  # fmt: skip
def test_interrupted_anywhere_a_run_resumes_to_the_same_end(
    kind: str, at: int, blob_data: Dataset, config: LcaConfig, whole: Any, outcome: Outcome, silent: Any, folder: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_lca(blob_data, config, folder, Interrupting(kind, at))
    assert not (folder / "manifest.json").exists()
    train_lca(blob_data, config, folder, silent(), resume=True)
    assert outcome(folder) == whole


def test_interrupted_inside_an_update_the_last_checkpoint_stands(
    blob_data: Dataset, config: LcaConfig, whole: Any, outcome: Outcome, silent: Any, folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    move, left = DictionaryLearner._move, [4]

    def interrupted(self: DictionaryLearner, *arguments: Any) -> None:
        move(self, *arguments)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(DictionaryLearner, "_move", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_lca(blob_data, config, folder, silent(), checkpoint_every_s=0.0)
    train_lca(blob_data, config, folder, silent(), resume=True)
    assert outcome(folder) == whole


class CrashError(BaseException):
    """The process has died: nothing runs after this but what pytest needs."""


@pytest.mark.parametrize("at", [1, 2, 3, 5, 8, 11, 13, 14, 15])
def test_dead_at_any_write_a_run_resumes_to_the_same_end(
    at: int, blob_data: Dataset, outcome: Outcome, silent: Any, folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    move, left = os.replace, [at]

    def dying(source: Path, target: Path) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise CrashError
        move(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", dying)
        with pytest.raises(CrashError):
            train_lca(blob_data, CONFIG, folder, silent(), **NOW)
    train_lca(blob_data, CONFIG, folder, silent(), resume=True)
    train_lca(blob_data, CONFIG, tmp_path / "whole", silent())
    assert outcome(folder) == outcome(tmp_path / "whole")


@pytest.mark.timeout(240)
def test_killed_a_run_resumes_to_the_same_end(
    blob_data: Dataset, outcome: Outcome, silent: Any, tmp_path: Path, process_environment: dict[str, str]
) -> None:
    folder, config = tmp_path / "killed", replace(SMALL_CODER, epochs=80)
    words = ["train", "lca", "--data", blob_data.source, "--atoms", "6", "--epochs", "80", "--seed", "3",
             "--threads", "1", "--out", str(folder), "--checkpoint-every-s", "0.01"]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "settle", *words], env=process_environment, stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (folder / "log.jsonl").is_file():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    assert not (folder / "manifest.json").exists()
    dataset = load_dataset(blob_data.source, 3)
    train_lca(dataset, config, folder, silent(), resume=True)
    train_lca(dataset, config, tmp_path / "whole", silent())
    assert outcome(folder) == outcome(tmp_path / "whole")


def test_a_threshold_at_which_nothing_is_active_is_refused(blob_data: Dataset, silent: Any, folder: Path) -> None:
    with pytest.raises(UserError, match="every code would be zero"):
        train_lca(blob_data, replace(CONFIG, sparsity_threshold=50.0), folder, silent())
    with pytest.raises(UserError, match="every code is zero"):
        train_lca(blob_data, replace(CONFIG, sparsity_threshold=1.3, epochs=1), folder, silent())


@pytest.mark.parametrize(
    "options",
    [{"signed": True}, {"threshold_kind": "hard"}, {"layout": "residual"}, {"shadow_bits": 0}, {"normalise": False},
     {"patch": 3, "stride": 2, "same": True}],
    ids=str,
)  # fmt: skip
def test_every_kind_of_coder_learns(options: dict[str, Any], blob_data: Dataset, silent: Any, folder: Path) -> None:
    result = train_lca(blob_data, replace(CONFIG, **options), folder, silent())
    manifest = load_artifact(folder).manifest
    assert (result.objective_gap is None) == ("threshold_kind" in options)
    assert result.active > 0
    assert result.readout_accuracy > 0.7
    assert manifest["config"] == {**manifest["config"], **options}
    assert 0.5 < manifest["history"][-1]["smallest_norm"] <= manifest["history"][-1]["largest_norm"] < 1.5


def test_a_coder_behind_a_coder_is_one_network(coders: dict[str, Path], blob_data: Dataset) -> None:
    artifact = load_artifact(coders["second"])
    front = load_front_end(coders["kernels"], blob_data)
    assert artifact.manifest["config"]["front_end"] == front.sha256
    assert artifact.manifest["data"]["sha256"] == blob_data.sha256()
    assert [p.name for p in artifact.spec.populations] == ["input", "residual", "code", "residual2", "code2"]
    steps = front.spec.schedule.last_step + artifact.manifest["chosen"]["steps"]
    assert artifact.spec.schedule.last_step == steps
    with get_backend("events").open(artifact.spec, threads=1) as session:
        record = session.run(artifact.spec.encoder.encode(blob_data.x_test))
    told = artifact.manifest["results"]["spikes_per_image"]
    assert told == record.spike_counts["code2"].sum(axis=1).mean()


WHITENED = replace(SMALL_CODER, whiten=True, normalise_contrast=True)


def test_a_whitened_run_is_stored_resumed_and_told_from_others(
    blob_data: Dataset, outcome: Outcome, silent: Any, tmp_path: Path
) -> None:
    result = train_lca(blob_data, WHITENED, tmp_path / "whole", silent())
    artifact = load_artifact(tmp_path / "whole")
    assert artifact.manifest["config"]["whiten"] is artifact.manifest["config"]["normalise_contrast"] is True
    assert artifact.spec.encoder.transform is not None
    assert artifact.spec.encoder.transform.whitening is not None
    assert result.converged > 0.9
    assert result.objective_gap is not None
    assert 0 <= result.objective_gap < 0.05
    with pytest.raises(UserError, match="whiten True, asked for False"):
        train_lca(blob_data, replace(WHITENED, whiten=False), tmp_path / "whole", silent(), resume=True)
    with pytest.raises(KeyboardInterrupt):
        train_lca(blob_data, WHITENED, tmp_path / "part", Interrupting("on_chunk", 2))
    train_lca(blob_data, WHITENED, tmp_path / "part", silent(), resume=True)
    assert outcome(tmp_path / "part") == outcome(tmp_path / "whole")


def test_a_run_of_before_whitening_is_still_its_own(blob_data: Dataset, silent: Any, folder: Path) -> None:
    train_lca(blob_data, SMALL_CODER, folder, silent())
    artifact = load_artifact(folder)
    for key in ("whiten", "normalise_contrast"):
        del artifact.manifest["config"][key]
    save_artifact(folder, artifact)
    assert train_lca(blob_data, SMALL_CODER, folder, silent(), resume=True).folder == folder
    with pytest.raises(UserError, match="whiten False, asked for True"):
        train_lca(blob_data, WHITENED, folder, silent(), resume=True)


def test_a_whitening_that_another_machine_rounds_differently_is_refused(
    blob_data: Dataset, silent: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_lca(blob_data, WHITENED, folder, Interrupting("on_chunk", 2))
    monkeypatch.setattr("neuro.front_ends.whitening.WHITENING_BITS", 15)
    with pytest.raises(UserError, match="rounds the whitening differently"):
        train_lca(blob_data, WHITENED, folder, silent(), resume=True)
