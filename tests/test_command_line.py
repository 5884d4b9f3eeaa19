from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_keys import EVALUATE_KEYS, TRAIN_KEYS

import settle
from neuro.data.sets import Dataset

Command = Callable[..., Any]
RATES = ["--learning-rate", "1.4", "--output-share", "0.125"]
HEAVY = {"torch", "numba", "lava", "matplotlib", "numpy", "sklearn", "torchvision", "scipy"}


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of a finished run that may be changed."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def train_words(blob_data: Dataset) -> list[str]:
    return ["train", "ep", "--data", blob_data.source, "--hidden", "8", "--epochs", "2", *RATES]


def test_train_prints_one_json_object(command: Command, train_words: list[str], tmp_path: Path) -> None:
    answer = command(*train_words, "--out", tmp_path / "run", "--json")
    content = answer.json
    assert (answer.code, list(content)) == (0, TRAIN_KEYS)
    assert content["run"] == str(tmp_path / "run")
    assert content["n_test"] == 90
    assert 0.5 < content["test_accuracy"] <= 1
    assert 0.5 < content["val_accuracy"] <= 1
    assert min(content[key] for key in TRAIN_KEYS[4:]) > 0
    assert "test accuracy" in answer.err
    assert command(*train_words, "--out", tmp_path / "run", "--json", "--resume").json == content
    command(*train_words, "--out", tmp_path / "run", "--json").refused("already finished")


def test_without_json_the_table_is_on_standard_output(command: Command, train_words: list[str]) -> None:
    answer = command(*train_words)
    assert answer.code == 0
    assert "test accuracy" in answer.out
    assert "test accuracy" not in answer.err
    assert Path("runs/ep-blobs-8-seed0/manifest.json").is_file()


def test_evaluate_prints_one_json_object(command: Command, run: Path) -> None:
    content = command("evaluate", run, "--json", "--images", 30, "--check", "reference").json
    assert list(content) == EVALUATE_KEYS
    assert content["differences"] == {"spikes": 0, "states": 0, "predictions": 0}
    assert (content["run"], content["backend"], content["n"]) == (str(run), "events", 30)
    plain = command("evaluate", run, "--json", "--backend", "reference", "--images", 30).json
    assert plain == {**content, "backend": "reference", "differences": None}
    assert command("evaluate", run, "--json").json["n"] == 90
    assert len((run / "results.jsonl").read_text().splitlines()) == 3


def test_evaluate_on_other_data_leaves_no_result(command: Command, run: Path, blob_data: Dataset) -> None:
    content = command("evaluate", run, "--data", blob_data.source, "--json").json
    assert content["accuracy"] > 0.5
    assert not (run / "results.jsonl").exists()
    command("evaluate", run, "--data", "digits").refused("64 values, the network 16")


def test_report_names_what_it_wrote(command: Command, run: Path, tmp_path: Path) -> None:
    content = command("report", run, "--json").json
    assert content == {"runs": [str(run)], "report": str(run / "report.html")}
    answer = command("report", run, run, "--out", tmp_path / "page.html")
    assert (answer.code, answer.out.replace("\n", "")) == (0, f"report: {tmp_path / 'page.html'}")
    assert (tmp_path / "page.html").read_text().count("<h2") == 3  # side by side, then each


BAD_OPTIONS = [
    ["--hidden", "abc"], ["--hidden", ""], ["--hidden", "8,"], ["--hidden", "0"], ["--hidden", "8,-3"],
    ["--hidden", "9" * 12], ["--epochs", "0"], ["--epochs", "1.5"], ["--epochs", "99999999"], ["--batch-size", "0"],
    ["--batch-size", "9999999"], ["--shadow-bits", "9"], ["--shadow-bits", "-1"], ["--weight-bits", "1"],
    ["--weight-bits", "0"], ["--weight-bits", "9"], ["--seed", "-1"], ["--seed", str(2**63)], ["--seed", "x"],
    ["--threads", "0"], ["--threads", "-2"], ["--rule", "backprop"], ["--learning-rate", "0"],
    ["--family", "stock", "--rule", "R5"],
    ["--learning-rate", "nan"], ["--learning-rate", "-1"], ["--output-share", "inf"], ["--no-such-option"], ["extra"],
    ["--data", "no-such-set"], ["--data", "missing.npz"], ["--data", "."], ["--data", ""], ["--json", "1"],
    ["--shift", "-1"], ["--shift", "4"], ["--shift", "x"],
]  # fmt: skip


@pytest.mark.parametrize("options", BAD_OPTIONS, ids=" ".join)
def test_bad_options_are_refused_in_one_line(options: list[str], command: Command, train_words: list[str]) -> None:
    command(*train_words, "--out", "run", *options).refused()
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["conv:4"], "conv:4"), (["8,conv:2x3"], "convolutions come first"), (["pool:2"], "pool:2"),
        (["conv:2x9:valid"], "smaller"), (["conv:2x3,pool:3"], "does not tile"), (["8", "--hidden", "8"], "not both"),
        (["8", "--family", "stock"], "sigma-delta"),
    ],
    ids=str,
)  # fmt: skip
def test_bad_layers_are_refused_in_one_line(
    options: list[str], word: str, blob_data: Dataset, command: Command
) -> None:
    command("train", "ep", "--data", blob_data.source, *RATES, "--out", "run", "--layers", *options).refused(word)
    assert os.listdir() == []


def test_layers_are_trained_evaluated_and_reported(blob_data: Dataset, command: Command, tmp_path: Path) -> None:
    run, options = tmp_path / "run", ("--epochs", 2, "--shift", 1, *RATES)
    words = ("train", "ep", "--data", blob_data.source, "--out", run, "--layers", "conv:3x3,pool:2,6", *options)
    assert command(*words, "--json").json["run"] == str(run)
    again = command("evaluate", run, "--backend", "reference", "--images", 5, "--check", "events", "--json").json
    assert again["differences"] == {"spikes": 0, "states": 0, "predictions": 0}
    assert command("report", run, "--json").code == 0
    assert command("compile", run, "--json").json["fits"] is True
    assert command(*words, "--resume", "--json").json["run"] == str(run)


def arrays_with(blobs: Callable[..., Any], **changes: Any) -> dict[str, Any]:
    arrays = {**blobs(), **changes}
    return {key: value for key, value in arrays.items() if value is not None}


def images(*shape: int, value: float = 0.5, dtype: Any = np.float32) -> np.ndarray:
    return np.full(shape, value, dtype)


BAD_DATA: dict[str, dict[str, Any]] = {
    "pickled": {"x_train": np.array([{}, []], dtype=object)},
    "NaN": {"x_train": images(300, 4, 4, value=np.nan)},
    "infinite": {"x_test": images(90, 4, 4, value=np.inf)},
    "label missing in training": {"y_test": np.arange(90) % 4},
    "negative label": {"y_train": np.arange(300) % 3 - 1},
    "huge label": {"y_train": np.arange(300) * 10**6},
    "one class": {"y_train": np.zeros(300, int), "y_test": np.zeros(90, int)},
    "empty training set": {"x_train": images(0, 4, 4), "y_train": np.zeros(0, int)},
    "empty test set": {"x_test": images(0, 4, 4), "y_test": np.zeros(0, int)},
    "too few": {"x_train": images(9, 4, 4), "y_train": np.arange(9) % 3},
    "no pixels": {"x_train": images(300, 0, 4), "x_test": images(90, 0, 4)},
    "scalars": {"x_train": images(300), "x_test": images(90)},
    "five axes": {"x_train": images(300, 2, 2, 2, 2), "x_test": images(90, 2, 2, 2, 2)},
    "other test shape": {"x_test": images(90, 4, 5)},
    "other count": {"y_train": np.arange(299) % 3},
    "text": {"x_train": np.full((300, 4), "a")},
    "no test images": {"x_test": None},
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data_is_refused_in_one_line(
    name: str, command: Command, blobs: Callable[..., Any], tmp_path: Path
) -> None:
    np.savez(tmp_path / "bad.npz", **arrays_with(blobs, **BAD_DATA[name]))
    command("train", "ep", "--data", tmp_path / "bad.npz", "--hidden", 8, "--epochs", 1, *RATES).refused("bad")
    assert os.listdir() == []


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04", b"\x93NUMPY\x01\x00"], ids=repr)
def test_a_file_that_is_no_archive_is_refused(content: bytes, command: Command, tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(content)
    command("train", "ep", "--data", tmp_path / "bad.npz", "--out", "run").refused("bad.npz")
    assert os.listdir() == []


@pytest.mark.parametrize("out", ["file", "file/run", "/proc/no-such-run", "/dev/null/run"])
def test_a_folder_that_cannot_be_written_is_refused(out: str, command: Command, train_words: list[str]) -> None:
    Path("file").write_text("a file")
    answer = command(*train_words, "--out", out)
    assert (answer.code, answer.out) == (2, "")
    assert out in answer.mistake
    assert Path("file").read_text() == "a file"
    assert os.listdir() == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(command: Command, train_words: list[str]) -> None:
    Path("closed").mkdir(mode=0o500)
    answer = command(*train_words, "--out", "closed/run")
    assert (answer.code, os.listdir("closed")) == (2, [])
    assert "closed" in answer.mistake


@pytest.mark.parametrize("words", [["evaluate", "gone"], ["report", "gone"], ["evaluate"], ["report"], ["nonsense"]])
def test_a_command_without_its_run_is_refused(words: list[str], command: Command) -> None:
    command(*words).refused()
    assert os.listdir() == []


@pytest.mark.parametrize("words", [[], ["train"]], ids=str)
def test_without_a_command_there_is_help_and_no_complaint(words: list[str], command: Command) -> None:
    answer = command(*words)
    assert "Usage: settle" in answer.out
    assert answer.err.strip() == ""


@pytest.mark.parametrize("name", ["a[b]c", "a[/b]c", "[bold]", "a b", "ä"])
def test_any_name_of_a_run_is_printed_as_it_is(name: str, command: Command, train_words: list[str]) -> None:
    for words in ([*train_words, "--out", name], ["evaluate", name], ["report", name]):
        answer = command(*words)
        assert answer.code == 0
        assert name in answer.out


def test_an_interruption_is_told_in_one_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*words: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sim.face.data.read_raw", interrupted)
    answer = command("train", "ep")
    assert (answer.code, answer.out) == (130, "")
    assert "--resume" in answer.mistake


def test_help_loads_nothing_heavy(process_environment: dict[str, str]) -> None:
    code = "import sys, settle\ntry:\n settle.main()\nfinally:\n print('\\n'.join(sys.modules), file=sys.stderr)"
    for words in ([], ["train", "ep"], ["evaluate"], ["report"], ["demo"]):
        found = subprocess.run(
            [sys.executable, "-c", code, *words, "--help"], env=process_environment, capture_output=True, text=True
        )
        assert found.returncode == 0
        assert "Usage:" in found.stdout
        modules = {name.partition(".")[0] for name in found.stderr.split()}
        assert "typer" in modules
        assert modules.isdisjoint(HEAVY)


@pytest.mark.parametrize("sink", ["> /dev/full", "| true"])
@pytest.mark.parametrize(("unbuffered", "words"), [("", "evaluate {run} --json"), ("1", "--version")])
def test_a_full_or_closed_standard_output_is_no_traceback(
    sink: str, unbuffered: str, words: str, process_environment: dict[str, str], run: Path
) -> None:
    line = f"set -o pipefail; {sys.executable} -m settle {words.format(run=run)} {sink}"
    environment = {**process_environment, "PYTHONUNBUFFERED": unbuffered}
    found = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True)
    assert found.returncode != 0 or sink == "| true"
    assert "Traceback" not in found.stderr
    assert "Exception ignored" not in found.stderr


def test_the_module_is_the_command(process_environment: dict[str, str], tmp_path: Path) -> None:
    words = [sys.executable, "-m", "settle", "train", "ep", "--data", "gone.npz"]
    found = subprocess.run(words, env=process_environment, capture_output=True, text=True, cwd=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.splitlines() == ["settle: cannot read gone.npz: no such file"]
    assert callable(settle.main)
