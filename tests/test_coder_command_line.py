"""The command line about sparse coders and networks behind them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shared_keys import CODER_KEYS, EVALUATE_KEYS, TRAIN_KEYS

from neuro.artifact.run_folder import load_artifact
from neuro.data.sets import Dataset

Command = Callable[..., Any]
EP = ["--hidden", "8", "--epochs", "2", "--learning-rate", "1.4", "--output-share", "0.125", "--threads", "1"]


@pytest.fixture
def words(blob_data: Dataset) -> list[str]:
    return ["train", "lca", "--data", blob_data.source, "--atoms", "6", "--epochs", "2", "--threads", "1"]


def test_train_lca_prints_one_json_object(command: Command, words: list[str], tmp_path: Path) -> None:
    answer = command(*words, "--out", tmp_path / "run", "--json")
    content = answer.json
    assert (answer.code, list(content)) == (0, CODER_KEYS)
    assert content["run"] == str(tmp_path / "run")
    assert 0 <= content["objective_gap"] < 0.05
    assert 0.7 < content["readout_accuracy"] <= 1
    assert 0.8 < content["converged"] <= 1
    assert 0 < content["active"] < content["spikes_per_image"]
    assert min(content["images_per_s"], content["sparsity_threshold"]) > 0
    assert "linear readout" in answer.err
    assert command(*words, "--out", tmp_path / "run", "--json", "--resume").json == content
    command(*words, "--out", tmp_path / "run", "--json").refused("already finished")


def test_a_hard_threshold_has_no_gap(command: Command, words: list[str], tmp_path: Path) -> None:
    answer = command(*words, "--out", tmp_path / "run", "--hard", "--json")
    assert answer.json["objective_gap"] is None
    assert "not defined for a hard threshold" in answer.err


def test_the_folder_is_named_after_what_was_asked(command: Command, words: list[str]) -> None:
    answer = command(*words, "--patch", 2)
    assert answer.code == 0
    assert "sparsity threshold" in answer.out
    assert Path("runs/lca-blobs-6-2x2-seed0/manifest.json").is_file()


def test_a_network_behind_a_coder_prints_what_any_does(
    command: Command, coders: dict[str, Path], blob_data: Dataset
) -> None:
    content = command(
        "train", "ep", "--data", blob_data.source, *EP, "--front-end", coders["kernels"], "--seed", 3, "--json"
    ).json
    assert list(content) == TRAIN_KEYS
    assert content["run"] == "runs/kernels-ep-blobs-8-seed3"
    assert content["test_accuracy"] > 0.5
    checked = command("evaluate", content["run"], "--check", "reference", "--images", 10, "--json").json
    assert checked["differences"] == {"spikes": 0, "states": 0, "predictions": 0}


def test_a_coder_behind_a_coder_prints_what_any_does(
    command: Command, words: list[str], coders: dict[str, Path]
) -> None:
    content = command(*words, "--front-end", coders["kernels"], "--json").json
    assert list(content) == CODER_KEYS
    assert content["run"] == "runs/kernels-lca-blobs-6-seed0"
    assert Path(content["run"], "manifest.json").is_file()


@pytest.mark.parametrize("form", ["spiking", "graded"])
def test_a_stock_coder_prints_what_any_does(form: str, command: Command, words: list[str]) -> None:
    answer = command(*words, "--family", "stock", "--form", form, "--json")
    content, folder = answer.json, f"runs/lca-stock-{form}-blobs-6-seed0"
    assert (answer.code, list(content), content["run"]) == (0, CODER_KEYS, folder)
    assert 0 <= content["objective_gap"] < (0.05 if form == "spiking" else 0.01)
    assert 0.7 < content["readout_accuracy"] <= 1
    assert 0.8 < content["converged"] <= 1
    assert 0 < content["active"] < content["spikes_per_image"]
    again = [*words, "--family", "stock", "--out", folder, "--resume", "--json"]
    assert command(*again, "--form", form).json == content
    command(*words, "--out", folder, "--resume").refused("made with family stock, asked for sigma-delta")
    other = "graded" if form == "spiking" else "spiking"
    command(*again, "--form", other).refused(f"made with form {form}, asked for {other}")


@pytest.mark.parametrize("form", ["spiking", "graded"])
def test_a_stock_coder_is_evaluated_and_compiled(
    form: str, command: Command, coders: dict[str, Path], tmp_path: Path
) -> None:
    run = shutil.copytree(coders[form], tmp_path / "run")
    content = command("evaluate", run, "--images", 20, "--check", "chip", "--json").json
    assert (content["backend"], content["accuracy"]) == ("chip", None)
    assert content["differences"] == {"spikes": 0, "states": 0, "predictions": 0}
    content = command("compile", run, "--report", "--images", 5, "--json").json
    assert (content["cores"], content["fits"]) == (1 if form == "spiking" else 2, True)
    assert all(population["stock"] for population in content["populations"])
    host = "\n".join(json.loads((run / "deployment.json").read_text())["host"])
    assert ("the host sets 6 biases" in host) == (form == "spiking")
    command("evaluate", run, "--backend", "events").refused("no stock networks")
    command("attack", run).refused("no classes")
    command("bench", run).refused("only sigma-delta coders")


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.timeout(180)
def test_a_stock_coder_codes_alike_on_lava(command: Command, coders: dict[str, Path], tmp_path: Path) -> None:
    for form in ("spiking", "graded"):
        run = shutil.copytree(coders[form], tmp_path / form)
        content = command("evaluate", run, "--backend", "lava", "--images", 2, "--check", "chip", "--json").json
        assert content["differences"] == {"spikes": 0, "states": 0, "predictions": 0}
        assert content["spikes_per_inference"] > 0


@pytest.mark.parametrize("kind", ["dense", "second"])
def test_a_coder_is_evaluated_without_an_accuracy(
    kind: str, command: Command, coders: dict[str, Path], tmp_path: Path
) -> None:
    run = shutil.copytree(coders[kind], tmp_path / "run")
    answer = command("evaluate", run, "--images", 20, "--check", "reference", "--json")
    content = answer.json
    assert list(content) == EVALUATE_KEYS
    assert (content["accuracy"], content["n"]) == (None, 20)
    assert content["differences"] == {"spikes": 0, "states": 0, "predictions": 0}
    assert content["spikes_per_inference"] > 0
    assert "no classes" in answer.err
    if kind == "dense":
        assert command("report", run).code == 0
        assert "equal: 20 images" in (run / "report.html").read_text()


def test_the_codes_of_digits_belong_to_one_split(command: Command, tmp_path: Path) -> None:
    """Digits are split by the seed: another seed's training images may be test images here."""
    front = tmp_path / "front"
    options = ["--atoms", "8", "--epochs", "1", "--threads", "1", "--out", front]
    assert command("train", "lca", "--data", "digits", "--seed", "0", *options).code == 0
    for kind in ("ep", "lca"):
        command("train", kind, "--data", "digits", "--seed", "1", "--front-end", front).refused("give the same --seed")
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("options", "words_told"),
    [
        (["--threshold", "0"], ["sparsity_threshold 0"]),
        (["--threshold", "-1"], ["sparsity_threshold -1"]),
        (["--threshold", "nan"], ["sparsity_threshold nan"]),
        (["--threshold", "99"], ["every code would be zero"]),
        (["--patch", "9"], ["smaller than the kernel"]),
        (["--patch", "3", "--stride", "2"], ["does not tile"]),
        (["--patch", "2", "--stride", "3"], ["stride 3"]),
        (["--stride", "2"], ["--patch"]),
        (["--patch", "2", "--layout", "inhibition"], ["residual layout"]),
        (["--layout", "ring"], ["inhibition, residual"]),
        (["--atoms", "0"], ["atoms 0"]),
        (["--epochs", "0"], ["epochs 0"]),
        (["--threads", "0"], ["threads 0"]),
        (["--shadow-bits", "9"], ["shadow_bits 9"]),
        (["--activation-bits", "20"], ["activation_bits 20"]),
        (["--seed", "-1"], ["seed -1"]),
        (["--front-end", "missing"], ["missing"]),
        (["--data", "missing.npz"], ["missing.npz"]),
        (["--form", "graded"], ["--family stock"]),
        (["--family", "stock", "--form", "loud"], ["form 'loud'", "spiking, graded"]),
        (["--family", "stock", "--patch", "2", "--hard"], ["whole images", "drop --patch, --hard"]),
        (["--family", "stock", "--signed"], ["drop --signed"]),
        (["--family", "stock", "--layout", "residual"], ["drop --layout residual"]),
        (["--family", "stock", "--whiten"], ["drop --whiten"]),
    ],
    ids=str,
)
def test_bad_options_are_refused_in_one_line(
    options: list[str], words_told: list[str], command: Command, words: list[str]
) -> None:
    command(*words, "--out", "run", *options).refused(*words_told)
    assert os.listdir() == []


def test_what_cannot_stand_in_front_is_refused(
    command: Command, coders: dict[str, Path], finished: Path, blob_data: Dataset
) -> None:
    train = ["train", "ep", "--data", blob_data.source, *EP, "--out", "run", "--front-end"]
    command(*train, finished).refused("is no sparse coder")
    command(*train, coders["stack"]).refused("is no sparse coder")
    command(*train, coders["dense"], "--family", "stock").refused("sigma-delta family")
    command(*train, coders["dense"], "--centred").refused("uncentred")
    command("train", "ep", *EP, "--out", "run", "--front-end", coders["dense"]).refused("takes images of shape (4, 4)")
    assert os.listdir() == []


def test_images_are_whitened_and_of_equal_contrast_where_asked(
    command: Command, words: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert command(*words, "--out", run, "--whiten", "--normalise-contrast", "--json").json["run"] == str(run)
    transform = load_artifact(run).spec.encoder.transform
    assert transform is not None
    assert transform.contrast_floor > 0
    assert transform.whitening is not None
    assert transform.whitening.shape == (16, 16)
    command(*words, "--out", run, "--whiten", "--resume").refused("normalise_contrast True")
    command(*words, "--out", tmp_path / "other", "--front-end", run, "--whiten").refused("front end")
