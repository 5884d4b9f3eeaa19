"""What the loop does for every learner: memory or folder, one training a folder, tidy ends."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_coders import SMALL_CODER
from shared_watchers import Interrupting

from neuro.artifact.run_folder import load_artifact, save_artifact
from neuro.base.errors import UserError
from neuro.base.files import array_bytes, parse_arrays
from neuro.data.sets import Dataset
from sim.coding.training import train_lca
from sim.training.checkpoint import CHECKPOINT
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep
from sim.training.interrupt import Terminated
from sim.training.lock import LOCK
from sim.training.watcher import Watcher

Train = Callable[..., Any]
Outcome = Callable[[Path], dict[str, Any]]


@pytest.fixture(params=["ep", "lca"])
def train(request: pytest.FixtureRequest, blob_data: Dataset, small_config: TrainConfig) -> Train:
    """train(folder, watcher, **options): a small training of the kind."""
    if request.param == "ep":
        return lambda *arguments, **options: train_ep(blob_data, small_config, *arguments, **options)
    return lambda *arguments, **options: train_lca(blob_data, SMALL_CODER, *arguments, **options)


class Calling(Watcher):
    """Calls something after the first epoch."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call: Callable[[], Any] | None = call

    def on_epoch(self, trainer: Any) -> None:
        """Call it."""
        call, self.call = self.call, None
        if call is not None:
            call()


def test_without_a_folder_the_same_is_trained_and_nothing_written(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    result = train(None)
    assert os.listdir(tmp_path / "cwd") == []
    assert result.folder is None
    assert result.to_json()["run"] is None
    save_artifact(tmp_path / "memory", result.artifact)
    train(tmp_path / "run")
    for name in ("weights.npz", "spec.json"):
        assert (tmp_path / "memory" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
    loaded = load_artifact(tmp_path / "memory")
    assert loaded.manifest["results"].keys() == load_artifact(tmp_path / "run").manifest["results"].keys()


def test_a_second_training_in_a_folder_is_refused_and_the_first_goes_on(
    train: Train, tmp_path: Path, outcome: Outcome
) -> None:
    folder, errors = tmp_path / "run", []

    def second() -> None:
        for resume in (False, True):
            with pytest.raises(UserError) as error:
                train(folder, resume=resume)
            errors.append(str(error.value))

    train(folder, Calling(second))
    assert len(errors) == 2
    assert all(str(folder) in error and f"process {os.getpid()} on " in error and "--out" in error for error in errors)
    train(tmp_path / "alone")
    assert outcome(folder) == outcome(tmp_path / "alone")


def test_what_the_dead_locked_is_taken_over(train: Train, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).write_text(json.dumps({"pid": 4194305, "host": "elsewhere"}))
    train(tmp_path / "run")
    assert LOCK not in os.listdir(tmp_path / "run")


@pytest.mark.parametrize("error", [KeyboardInterrupt, UserError], ids=lambda error: error.__name__)
def test_a_training_that_never_began_leaves_no_folder(error: type[BaseException], train: Train, tmp_path: Path) -> None:
    with pytest.raises(error):
        train(tmp_path / "new" / "run", Interrupting("on_stage", 1, error))
    assert os.listdir(tmp_path) == []


def test_sigterm_saves_tidies_up_and_ends_with_143(train: Train, tmp_path: Path, outcome: Outcome) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Terminated) as ended:
        train(folder, Calling(lambda: os.kill(os.getpid(), signal.SIGTERM)), checkpoint_every_s=1e9)
    assert ended.value.code == 143
    assert sorted(os.listdir(folder)) == [CHECKPOINT, "log.jsonl"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with np.load(folder / CHECKPOINT) as archive:
        assert json.loads(archive["state"].tobytes())["progress"]["epoch"] == 1
    train(folder, resume=True)
    train(tmp_path / "whole")
    assert outcome(folder) == outcome(tmp_path / "whole")


def test_a_checkpoint_of_earlier_versions_is_gone_on_with(train: Train, tmp_path: Path, outcome: Outcome) -> None:
    """They did not say their kind; those of coders held the hash of their one array."""
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(folder, Interrupting("on_epoch", 1))
    path = folder / CHECKPOINT
    arrays = parse_arrays(path.read_bytes(), path)
    state = json.loads(arrays["state"].tobytes())
    del state["identity"]["kind"]
    if "atoms" in arrays:
        state["sha256"] = state.pop("arrays")["atoms"]
    arrays["state"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    path.write_bytes(array_bytes(arrays))
    train(folder, resume=True)
    train(tmp_path / "whole")
    assert outcome(folder) == outcome(tmp_path / "whole")


def test_one_kind_of_run_is_not_taken_for_another(
    blob_data: Dataset, small_config: TrainConfig, tmp_path: Path
) -> None:
    train_ep(blob_data, small_config, tmp_path / "finished")
    with pytest.raises(KeyboardInterrupt):
        train_ep(blob_data, small_config, tmp_path / "unfinished", Interrupting("on_epoch", 1))
    for name in ("finished", "unfinished"):
        with pytest.raises(UserError, match="was made with kind ep, asked for lca"):
            train_lca(blob_data, replace(SMALL_CODER, seed=small_config.seed), tmp_path / name, resume=True)
