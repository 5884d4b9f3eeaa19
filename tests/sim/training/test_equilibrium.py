from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_watchers import Interrupting

from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError
from neuro.data.sets import Dataset
from sim.backends.events.backend import EventsSession
from sim.training.config import TrainConfig
from sim.training.equilibrium import infer

Train = Callable[..., Any]
Outcome = Callable[[Path], dict[str, Any]]
NOW = {"resume": True, "checkpoint_every_s": 0.0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture(scope="module", params=[True, False], ids=["refit", "no refit"])
def config(request: pytest.FixtureRequest, small_config: TrainConfig) -> TrainConfig:
    return replace(small_config, epochs=3, refit=request.param)


@pytest.fixture(scope="module")
def whole(
    train: Train, blob_data: Dataset, config: TrainConfig, outcome: Outcome, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What an uninterrupted training leaves."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(blob_data, config, folder)
    return outcome(folder)


def test_a_run_holds_its_artifact_its_log_and_nothing_else(
    whole: dict[str, Any], config: TrainConfig, blob_data: Dataset
) -> None:
    assert whole["files"] == ["log.jsonl", "manifest.json", "spec.json", "weights.npz"]
    assert [line["epoch"] for line in whole["log"]] == [1, 2, 3, 1, 2, 3] if config.refit else [1, 2, 3]
    manifest = whole["manifest"]
    assert manifest["history"] == whole["log"][:3]
    assert manifest["config"]["hidden"] == [8]
    assert manifest["chosen"]["refit"] is config.refit
    assert manifest["data"]["sha256"] == blob_data.sha256()
    assert {"python", "numpy", "numba"} <= set(manifest["versions"])
    assert manifest["data"]["n_train"] + manifest["data"]["n_test"] == 390
    best = manifest["history"][manifest["best_epoch"] - 1]["val_accuracy"]
    assert best == max(line["val_accuracy"] for line in manifest["history"])
    assert manifest["results"]["val"]["n_correct"] / manifest["results"]["val"]["n"] == best


def test_the_accuracy_told_is_that_of_the_artifact(
    train: Train, blob_data: Dataset, small_config: TrainConfig, folder: Path
) -> None:
    result = train(blob_data, small_config, folder)
    record = infer(load_artifact(folder).spec, blob_data.x_test)
    assert result.test_accuracy.n_correct == np.count_nonzero(record.predictions == blob_data.y_test)
    assert result.spikes_per_inference == record.spikes_per_inference(load_artifact(folder).spec)
    assert result.to_json()["test_accuracy"] == result.test_accuracy.value


def test_same_seed_same_run_and_another_seed_another(
    train: Train, blob_data: Dataset, config: TrainConfig, whole: dict[str, Any], outcome: Outcome, tmp_path: Path
) -> None:
    train(blob_data, config, tmp_path / "again")
    assert outcome(tmp_path / "again") == whole
    train(blob_data, replace(config, seed=4), tmp_path / "other")
    assert outcome(tmp_path / "other")["weights"] != whole["weights"]


@pytest.mark.parametrize("kind", ["on_chunk", "on_epoch", "on_stage"])
@pytest.mark.parametrize("at", range(1, 7))
def test_interrupted_anywhere_a_run_resumes_to_the_same_end(
    kind: str, at: int, train: Train, blob_data: Dataset, config: TrainConfig, whole: dict[str, Any],
    outcome: Outcome, folder: Path,
) -> None:  # fmt: skip
    try:
        train(blob_data, config, folder, Interrupting(kind, at))
    except KeyboardInterrupt:
        assert not (folder / "manifest.json").exists()
    else:
        assert at > {"on_chunk": 3, "on_epoch": 3, "on_stage": 1}[kind] * (2 if config.refit else 1)
    train(blob_data, config, folder, resume=True)
    assert outcome(folder) == whole


@pytest.mark.parametrize("at", range(2, 6))
def test_interrupted_inside_the_backend_a_run_resumes_to_the_same_end(
    at: int, train: Train, blob_data: Dataset, config: TrainConfig, whole: dict[str, Any], outcome: Outcome,
    folder: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A signal that arrives while a kernel runs is raised when it returns: its images are learned, not yet counted."""
    learn, left = EventsSession.learn, [at]

    def interrupted(self: EventsSession, *arguments: Any, **options: Any) -> Any:
        result = learn(self, *arguments, **options)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patched:
        patched.setattr(EventsSession, "learn", interrupted)
        try:
            train(blob_data, config, folder)
        except KeyboardInterrupt:
            assert not (folder / "manifest.json").exists()
    train(blob_data, config, folder, resume=True)
    assert outcome(folder) == whole


class CrashError(BaseException):
    """The process has died: nothing runs after this but what pytest needs."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 22))
def test_dead_at_any_write_a_run_resumes_to_the_same_end(
    at: int, after: bool, train: Train, blob_data: Dataset, config: TrainConfig, whole: dict[str, Any],
    outcome: Outcome, folder: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    move, left = os.replace, [at]

    def dying(source: Path, target: Path) -> None:
        left[0] -= 1
        if left[0] == 0 and not after:
            raise CrashError
        move(source, target)
        if left[0] == 0:
            raise CrashError

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", dying)
        try:
            train(blob_data, config, folder, **NOW)
        except CrashError:
            pass
        else:
            assert at > (17 if config.refit else 10)  # 1 + epochs checkpoints and epochs lines a stage, 3 files
    train(blob_data, config, folder, resume=True)
    found = outcome(folder)
    found["files"] = [name for name in found["files"] if name != "checkpoint.npz"]  # died before it was removed
    assert found == whole


def test_a_finished_run_is_kept_and_told_again(
    train: Train, blob_data: Dataset, small_config: TrainConfig, silent: type[Any], outcome: Outcome, folder: Path
) -> None:
    first = train(blob_data, small_config, folder)
    before = outcome(folder)
    with pytest.raises(UserError, match="already finished"):
        train(blob_data, small_config, folder)
    watcher = silent()
    assert train(blob_data, small_config, folder, watcher, resume=True) == first
    assert watcher.calls == []
    assert outcome(folder) == before


@pytest.fixture
def unfinished(train: Train, blob_data: Dataset, small_config: TrainConfig, folder: Path) -> Path:
    with pytest.raises(KeyboardInterrupt):
        train(blob_data, small_config, folder, Interrupting("on_epoch", 1))
    return folder


def test_an_unfinished_run_is_not_overwritten(
    unfinished: Path, train: Train, blob_data: Dataset, small_config: TrainConfig
) -> None:
    before = (unfinished / "checkpoint.npz").read_bytes()
    with pytest.raises(UserError, match="--resume"):
        train(blob_data, small_config, unfinished)
    assert (unfinished / "checkpoint.npz").read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 4}, {"hidden": (9,)}, {"rule": "end-point"}, {"shadow_bits": 4}, {"weight_bits": 7}, {"epochs": 9},
        {"batch_size": 2}, {"learning_rate": 1.0}, {"output_share": 0.5}, {"centred": True}, {"refit": False},
    ],
    ids=str,
)  # fmt: skip
def test_resuming_with_other_settings_names_them(
    change: dict[str, Any], unfinished: Path, train: Train, blob_data: Dataset, small_config: TrainConfig
) -> None:
    before = (unfinished / "checkpoint.npz").read_bytes()
    with pytest.raises(UserError, match=f"was made with {next(iter(change))} "):
        train(blob_data, replace(small_config, **change), unfinished, resume=True)
    assert (unfinished / "checkpoint.npz").read_bytes() == before


def test_resuming_with_other_data_names_it(
    unfinished: Path, train: Train, blob_data: Dataset, small_config: TrainConfig
) -> None:
    other = replace(blob_data, x_test=1 - blob_data.x_test)
    with pytest.raises(UserError, match="data_sha256"):
        train(other, small_config, unfinished, resume=True)


def test_threads_may_change_between_interruption_and_resumption(
    unfinished: Path, train: Train, blob_data: Dataset, small_config: TrainConfig, tmp_path: Path
) -> None:
    train(blob_data, replace(small_config, threads=3), unfinished, resume=True)
    train(blob_data, replace(small_config, threads=1), tmp_path / "whole")
    assert (unfinished / "weights.npz").read_bytes() == (tmp_path / "whole" / "weights.npz").read_bytes()


def test_resuming_nothing_starts_afresh(
    train: Train, blob_data: Dataset, config: TrainConfig, whole: dict[str, Any], outcome: Outcome, folder: Path
) -> None:
    train(blob_data, config, folder, resume=True)
    assert outcome(folder) == whole


def test_a_manifest_without_results_is_refused(
    train: Train, blob_data: Dataset, small_config: TrainConfig, folder: Path, edit_manifest: Callable[..., None]
) -> None:
    train(blob_data, small_config, folder)
    edit_manifest(folder, lambda manifest: manifest.pop("results"))
    with pytest.raises(UserError, match="no training results"):
        train(blob_data, small_config, folder, resume=True)
