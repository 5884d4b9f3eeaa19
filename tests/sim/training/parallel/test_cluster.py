"""Shards of an attack and seeds of a training as Slurm jobs. There is no Slurm: submitit is a FAKE that keeps them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from neuro.artifact.run_folder import load_artifact
from sim.robustness.bridge import run as bridge
from sim.robustness.bridge.config import default_images

Command = Callable[..., Any]


@dataclass
class FakeJob:
    job_id: str


class FakeSubmitit(ModuleType):
    """Stands in for submitit, with the names that it has in release 1.5; runs jobs when told to."""

    def __init__(self, error: Exception | None = None, refusal: Exception | None = None) -> None:
        super().__init__("submitit")
        self.error, self.refusal = error, refusal
        self.parameters: dict[str, Any] = {}
        self.jobs: list[tuple[Callable[..., None], Any]] = []

    def AutoExecutor(self, folder: Path, cluster: str) -> FakeSubmitit:
        assert cluster == "slurm"
        assert Path(folder).is_absolute()
        if self.error:
            raise self.error
        return self

    def update_parameters(self, **parameters: Any) -> None:
        self.parameters = parameters

    def map_array(self, function: Callable[..., None], *arguments: Any) -> list[FakeJob]:
        if self.refusal:
            raise self.refusal
        self.jobs = [(function, *each) for each in zip(*arguments, strict=True)]
        return [FakeJob(f"77_{index}") for index in range(len(self.jobs))]

    def run(self, *indices: int) -> None:
        for index in indices:
            function, request = self.jobs[index]
            function(request)


@pytest.fixture
def run(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that may be changed; shards of 15 images."""
    monkeypatch.setattr(bridge, "SHARD_IMAGES", 15)
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def words(run: Path) -> list[Any]:
    return ["attack", run, "--attacks", "noise", "--eps", "0.1", "--images", 45, "--json"]


def test_missing_shards_become_jobs_and_the_same_command_collects(
    command: Command, words: list[Any], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = FakeSubmitit()
    monkeypatch.setitem(sys.modules, "submitit", cluster)
    words = [*words, "--slurm", "short"]
    answer = command(*words)
    assert answer.json == {"run": str(run), "missing": [1, 2, 3], "shards": 3, "job": "77"}
    assert "the same command collects" in " ".join(answer.err.split())
    assert cluster.parameters["slurm_partition"] == "short"
    assert cluster.parameters["cpus_per_task"] == 1
    assert [request["shard"] for _, request in cluster.jobs] == [1, 2, 3]
    assert (run / "attacks" / "perceptron.npz").is_file()  # trained once, before the jobs
    cluster.run(0, 2)
    assert command(*words).json["missing"] == [2]
    assert [request["shard"] for _, request in cluster.jobs] == [2]
    cluster.run(0)
    assert command(*words).json["n"] == 45


def test_a_part_of_the_shards(command: Command, words: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeSubmitit()
    monkeypatch.setitem(sys.modules, "submitit", cluster)
    command(*words, "--slurm", "short", "--shard", "1/2")
    assert [request["shard"] for _, request in cluster.jobs] == [1, 3]


def test_without_submitit_or_slurm(command: Command, words: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    command(*words, "--slurm", "short").refused("submitit is not installed", "settle[cluster]")
    monkeypatch.setitem(sys.modules, "submitit", FakeSubmitit(RuntimeError('Could not detect "srun"')))
    command(*words, "--slurm", "short").refused("Slurm: not found here", "--workers")
    refusal = RuntimeError("sbatch: error:\ninvalid partition specified: short")
    monkeypatch.setitem(sys.modules, "submitit", FakeSubmitit(refusal=refusal))
    command(*words, "--slurm", "short").refused("refused the jobs", "invalid partition")
    command(*words, "--slurm", " ").refused("no partition")


def test_lava_attacks_few_images_unless_told(command: Command, run: Path) -> None:
    assert (default_images("lava"), default_images(""), default_images("events")) == (10, 200, 200)
    command("attack", run, "--attacks", "noise", "--images", 200).refused("images 200")  # the test set has 90
    few = ["attack", run, "--attacks", "noise", "--score", "lava", "--shard", "2/2"]
    command(*few).refused("N <= 1")  # 10 images make one shard
    command(*few, "--images", 91).refused("images 91")


@pytest.fixture
def seeds(finished: Path, tmp_path: Path) -> list[Any]:
    """A sweep of three seeds of a small training."""
    data = load_artifact(finished).manifest["data"]["source"]
    words = ["train", "ep", "--data", data, "--hidden", 8, "--epochs", 2, "--learning-rate", 1.4, "--json"]
    return [*words, "--output-share", 0.125, "--seed", 5, "--seeds", 3, "--out", tmp_path / "sweep"]


def test_seeds_become_jobs_and_the_same_command_collects(
    command: Command, seeds: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = FakeSubmitit()
    monkeypatch.setitem(sys.modules, "submitit", cluster)
    words = [*seeds, "--slurm", "short"]
    assert command(*words).json == {"run": str(tmp_path / "sweep"), "missing": [5, 6, 7], "job": "77"}
    assert cluster.parameters["slurm_job_name"] == "settle-train"
    assert "gpus_per_node" not in cluster.parameters
    cluster.run(0, 2)
    assert command(*words).json["missing"] == [6]
    cluster.run(0)
    answer = command(*words).json
    assert [run["run"] for run in answer["runs"]] == [str(tmp_path / "sweep" / f"seed{seed}") for seed in (5, 6, 7)]
    values = [run["test_accuracy"] for run in answer["runs"]]
    assert answer["test_accuracy"] == pytest.approx(sum(values) / 3)
    assert answer["n_seeds"] == 3


def test_seeds_here_are_those_of_single_trainings(command: Command, seeds: list[Any], tmp_path: Path) -> None:
    command(*seeds)
    at = seeds.index("--seed")
    single = [*seeds[:at], "--seed", 6, "--out", tmp_path / "single"]
    command(*single)
    found, wanted = (tmp_path / name / "weights.npz" for name in ("sweep/seed6", "single"))
    assert found.read_bytes() == wanted.read_bytes()
    assert found.read_bytes() != (tmp_path / "sweep" / "seed5" / "weights.npz").read_bytes()
