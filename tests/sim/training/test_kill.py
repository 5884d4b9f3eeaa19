"""Real processes, really killed."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_forks import Fork, Forks

EPOCHS = 25
PATIENCE_S = 120.0
STARTED = "import sys, settle; sys.argv[0] = 'settle'; settle.main()"
DIES_WHILE_TUNING = """
import os, signal, sys
import settle
from sim.screens.training import TrainScreen
def on_trial(self, trial, told=[]):
    told.append(trial)
    if len(told) == 2:
        os.kill(os.getpid(), signal.SIG{name})
TrainScreen.on_trial = on_trial
settle.main()
"""

pytestmark = pytest.mark.timeout(240)
Start = Callable[..., Fork]


@pytest.fixture(scope="module")
def data_file(blobs: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough images for several chunks per epoch, noisy enough that every image counts."""
    path = tmp_path_factory.mktemp("data") / "blobs.npz"
    np.savez(path, **blobs((5, 5), 3, 2000, 60, noise=0.5))
    return path


@pytest.fixture(scope="module")
def options(data_file: Path) -> list[str]:
    """Options of a training that takes about a second, the second half on all images."""
    rates = ["--learning-rate", "1.4", "--output-share", "0.125"]
    return ["train", "ep", "--data", str(data_file), "--hidden", "32", "--epochs", str(EPOCHS), *rates]


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A temporary folder with a short name: sockets below it have at most 107 letters."""
    with tempfile.TemporaryDirectory(prefix="st") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def forks(process_environment: dict[str, str]) -> Iterator[Forks]:
    """A process that has imported what a training needs."""
    parent = Forks(["settle", "sim.face.training", "sim.commands.train"], process_environment)
    yield parent
    parent.close()


@pytest.fixture
def start(forks: Forks, process_environment: dict[str, str], tmp_path: Path, scratch: Path) -> Iterator[Start]:
    """start(words, code=...): the command line in a process of its own, which ends with the test at the latest."""
    started: list[Fork] = []

    def run(words: list[str], code: str = STARTED) -> Fork:
        words = [*words, "--checkpoint-every-s", "0.02"]
        started.append(forks.start(code, words, tmp_path, {**process_environment, "TMPDIR": str(scratch)}))
        return started[-1]

    yield run
    for process in started:
        process.close()


@pytest.fixture(scope="module")
def whole(options: list[str], outcome: Callable[[Path], Any], process_environment: dict[str, str],
          tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:  # fmt: skip
    """What an uninterrupted training leaves, started as users start it."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    words = [sys.executable, "-c", STARTED, *options, "--out", str(folder)]
    subprocess.run(words, check=True, capture_output=True, env=process_environment, timeout=PATIENCE_S)
    found: dict[str, Any] = outcome(folder)
    assert [line["epoch"] for line in found["log"]] == [*range(1, EPOCHS + 1)] * 2
    return found


def wait_for_epochs(process: Fork, folder: Path, n_epochs: int) -> None:
    """Wait until the log holds that many epochs and there is a checkpoint, or the process has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        log = folder / "log.jsonl"
        lines = log.read_bytes().count(b"\n") if log.is_file() else 0
        if lines >= n_epochs and (folder / "checkpoint.npz").is_file():
            return
        time.sleep(0.002)


def end(process: Fork, sign: signal.Signals, wait_s: float) -> tuple[str, str]:
    """Send a signal after a moment; returns what the process printed."""
    time.sleep(wait_s)
    process.send_signal(sign)
    return process.communicate(timeout=PATIENCE_S)


def readable(folder: Path) -> None:
    """Whatever file of a run exists is whole; what a dead writer left is not taken for one."""
    with np.load(folder / "checkpoint.npz") as archive:
        assert all(archive[name].size for name in archive.files)
    assert not (folder / "manifest.json").exists()
    log = folder / "log.jsonl"
    assert not log.is_file() or log.read_bytes().endswith(b"}\n")


def without_litter(found: dict[str, Any]) -> dict[str, Any]:
    """A process killed while it writes leaves a hidden temporary file; it is no part of the run."""
    return {**found, "files": [name for name in found["files"] if not name.endswith(".tmp")]}


KINDS = {
    "ep": [*"train ep --hidden 32 --learning-rate 1.4 --output-share 0.125 --epochs".split(), str(EPOCHS)],
    "lca": "train lca --atoms 12 --epochs 4".split(),
    "slayer": "train slayer --hidden 12 --steps 8 --epochs 2 --learning-rate 0.003".split(),
    "lava": "train ep --family stock --hidden 4 --backend lava --images 5".split(),
}
in_lava = (pytest.mark.lava, pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="needs Lava"))


def wait_for_progress(process: Fork, folder: Path, after: float) -> None:
    """Wait until the checkpoint holds something learned, and a share `after` of a second more, or until the end."""
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        if learned(folder):
            time.sleep(after)
            return
        time.sleep(0.002)


def learned(folder: Path) -> bool:
    """Whether the checkpoint in `folder`, if there is one, is not that of the start."""
    if not (folder / "checkpoint.npz").is_file():
        return False
    with np.load(folder / "checkpoint.npz") as archive:
        state = json.loads(archive["state"].tobytes())
    progress = state.get("progress", {})
    return any((state.get("steps", 0), progress.get("epoch", 0), progress.get("position", 0)))


@pytest.mark.parametrize(
    "kind",
    [
        "ep",
        pytest.param("lca", marks=pytest.mark.slow),
        pytest.param("slayer", marks=(*in_lava, pytest.mark.slow)),
        pytest.param("lava", marks=(*in_lava, pytest.mark.slow)),
    ],
)
def test_killed_a_training_of_any_kind_resumes_to_the_same_weights(
    kind: str, start: Start, data_file: Path, scratch: Path, tmp_path: Path
) -> None:
    words, folder = [*KINDS[kind], "--data", str(data_file)], tmp_path / "run"
    process = start([*words, "--out", str(folder)])
    wait_for_progress(process, folder, random.Random(kind).uniform(0, 0.3))
    process.kill()
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGKILL, errors
    readable(folder)
    assert learned(folder)
    for out, more in ((folder, ["--resume"]), (tmp_path / "whole", [])):
        process = start([*words, "--out", str(out), *more])
        _, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, errors
    for name in ("weights.npz", "spec.json"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    found, whole = (json.loads((out / "manifest.json").read_text()) for out in (folder, tmp_path / "whole"))
    assert found["chosen"] == whole["chosen"]
    assert len(found["history"]) == len(whole["history"])
    assert os.listdir(scratch) == []  # nothing of Lava's, nor of multiprocessing's
    if kind == "lava":
        assert found["results"]["differences"] == {"weights": 0, "tags": 0, "traces": 0}


def test_of_two_trainings_in_one_folder_one_is_refused_and_told_whose_it_is(
    start: Start, options: list[str], tmp_path: Path
) -> None:
    first = start([*options, "--out", str(tmp_path / "run")])
    wait_for_epochs(first, tmp_path / "run", 1)
    first.send_signal(signal.SIGSTOP)  # else it may have ended before the other one is there
    second = start([*options, "--out", str(tmp_path / "run"), "--resume"])
    _, refusal = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 2
    for word in (f"process {first.pid} on {socket.gethostname()}, since ", "trains there already", "another --out"):
        assert word in refusal.splitlines()[-1]
    first.send_signal(signal.SIGCONT)
    _, errors = first.communicate(timeout=PATIENCE_S)
    assert first.returncode == 0, errors
    readable_end = start([*options, "--out", str(tmp_path / "run"), "--resume", "--json"])
    out, errors = readable_end.communicate(timeout=PATIENCE_S)
    assert json.loads(out)["run"] == str(tmp_path / "run"), errors


@pytest.mark.slow
def test_killed_again_and_again_a_run_resumes_to_the_same_end(
    start: Start, options: list[str], whole: dict[str, Any], outcome: Callable[[Path], Any], tmp_path: Path
) -> None:
    draw = random.Random(99)
    folder = tmp_path / "run"
    for kill in range(3):
        process = start([*options, "--out", str(folder), "--resume"])
        wait_for_epochs(process, folder, 12 * (kill + 1))
        end(process, signal.SIGKILL, draw.uniform(0, 0.02))
        assert process.returncode == -signal.SIGKILL
        readable(folder)
    last = start([*options, "--out", str(folder), "--resume"])
    _, errors = last.communicate(timeout=PATIENCE_S)
    assert last.returncode == 0, errors
    assert without_litter(outcome(folder)) == whole


@pytest.mark.parametrize(
    ("case", "sign", "code"),
    [
        pytest.param(0, signal.SIGINT, 130, marks=pytest.mark.slow),
        (1, signal.SIGINT, 130),
        (1, signal.SIGTERM, 143),
        (0, signal.SIGHUP, 129),
    ],
)
def test_interrupted_or_terminated_a_run_resumes_to_the_same_end(
    case: int,
    sign: signal.Signals,
    code: int,
    start: Start,
    options: list[str],
    whole: dict[str, Any],
    outcome: Callable[[Path], Any],
    tmp_path: Path,
) -> None:
    draw = random.Random(1000 + case)
    folder = tmp_path / "run"
    process = start([*options, "--out", str(folder), "--json"])
    wait_for_epochs(process, folder, 5 + case * EPOCHS)
    end(process, sign, draw.uniform(0, 0.02))
    assert process.returncode == code
    assert ".lock" not in os.listdir(folder)
    readable(folder)
    resumed = start([*options, "--out", str(folder), "--resume"])
    _, errors = resumed.communicate(timeout=PATIENCE_S)
    assert resumed.returncode == 0, errors
    assert outcome(folder) == whole


def test_an_interruption_is_told_in_one_line(start: Start, data_file: Path) -> None:
    process = start(["train", "ep", "--data", str(data_file), "--json"], DIES_WHILE_TUNING.format(name="INT"))
    out, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (130, "")
    assert [line for line in errors.splitlines() if line.startswith("settle: ")] == errors.splitlines()[-1:]
    assert "--resume" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(("name", "code"), [("KILL", -9), ("INT", 130)])
def test_ended_while_rates_are_chosen_a_run_starts_afresh_on_resume(
    name: str, code: int, start: Start, data_file: Path, command: Callable[..., Any],
    outcome: Callable[[Path], Any], tmp_path: Path,
) -> None:  # fmt: skip
    words = ["train", "ep", "--data", str(data_file), "--hidden", "8", "--epochs", "2"]
    folder = tmp_path / "run"
    process = start([*words, "--out", str(folder)], DIES_WHILE_TUNING.format(name=name))
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert not folder.exists() or os.listdir(folder) == [".lock"]  # of the dead
    assert command(*words, "--out", folder, "--resume").code == 0
    assert command(*words, "--out", tmp_path / "whole").code == 0
    assert outcome(folder) == outcome(tmp_path / "whole")


def test_a_file_size_limit_ends_a_run_in_one_line(start: Start, options: list[str], tmp_path: Path) -> None:
    """The nearest to a full disk that needs no privileges: no file may grow beyond one kilobyte."""
    folder = tmp_path / "run"
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)); {STARTED}"
    process = start([*options, "--out", str(folder)], code)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert errors.splitlines()[-1].startswith("settle: cannot write ")
    assert "Traceback" not in errors
    assert not folder.exists()
