"""The command line with networks of the stock family."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shared_keys import EVALUATE_KEYS, TRAIN_KEYS

from neuro.data.sets import Dataset

Command = Callable[..., Any]


@pytest.fixture
def words(blob_data: Dataset) -> list[str]:
    return ["train", "ep", "--data", blob_data.source, "--hidden", "8", "--epochs", "1", "--family", "stock"]


@pytest.fixture
def run(finished_stock: Path, tmp_path: Path) -> Path:
    """A copy of a finished run that may be changed."""
    return Path(shutil.copytree(finished_stock, tmp_path / "run"))


def test_train_prints_one_json_object(command: Command, words: list[str], tmp_path: Path) -> None:
    answer = command(*words, "--learning-rate", "0.01", "--out", tmp_path / "run", "--json")
    content = answer.json
    assert (answer.code, list(content)) == (0, TRAIN_KEYS)
    assert content["n_test"] == 90
    assert min(content[key] for key in TRAIN_KEYS[3:]) > 0
    assert command(*words, "--learning-rate", "0.01", "--out", tmp_path / "run", "--json", "--resume").json == content
    for more in (["--rule", "R2"], ["--draws", "shared"], ["--weight-lsb", "2"]):
        again = command(*words, "--learning-rate", "0.01", "--out", tmp_path / "run", "--resume", *more)
        again.refused("was made with")


def test_rule_and_folder_have_defaults(command: Command, words: list[str]) -> None:
    assert command(*words, "--no-refit").code == 0
    assert Path("runs/ep-stock-R7-blobs-8-seed0/manifest.json").is_file()


def test_evaluate_prints_one_json_object(command: Command, run: Path) -> None:
    content = command("evaluate", run, "--json", "--images", 20, "--check", "chip").json
    assert list(content) == EVALUATE_KEYS
    assert content["differences"] == {"spikes": 0, "states": 0, "predictions": 0}
    assert (content["run"], content["backend"], content["n"]) == (str(run), "chip", 20)
    assert command("evaluate", run, "--json").json["n"] == 90
    command("evaluate", run, "--backend", "events").refused("no stock networks")
    command("evaluate", run, "--check", "reference").refused("no stock networks")
    command("evaluate", run, "--data", "digits").refused("64 values, the network 16")


BAD_OPTIONS = [
    ["--batch-size", "2"], ["--centred"], ["--weight-bits", "7"], ["--rule", "event"], ["--draws", "loud"],
    ["--weight-lsb", "0"], ["--weight-lsb", "3"], ["--learning-rate", "5"], ["--backend", "chip"],
    ["--backend", "events"], ["--images", "5"], ["--backend", "lava", "--images", "0"],
    ["--backend", "lava", "--images", "-1"], ["--backend", "lava", "--images", "301"],
    ["--backend", "lava", "--family", "sigma-delta"], ["--backend", "lava", "--learning-rate", "5"],
    ["--family", "sigma-delta", "--images", "5"], ["--family", "sigma-delta", "--rule", "R5"],
]  # fmt: skip


@pytest.mark.parametrize("options", BAD_OPTIONS, ids=" ".join)
def test_bad_options_are_refused_in_one_line(options: list[str], command: Command, words: list[str]) -> None:
    command(*words, "--out", "run", *options).refused()
    assert os.listdir() == []


def test_learning_inside_lava_needs_lava(command: Command, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    command(*words, "--out", "run", "--backend", "lava", "--images", "2").refused("lava-nc is not installed")
    assert os.listdir() == []


def test_a_finished_run_is_not_learned_over(command: Command, words: list[str], run: Path) -> None:
    command(*words, "--out", run, "--backend", "lava").refused("already finished")
