"""The same training with several seeds: one after the other here, or as Slurm jobs that a later call collects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from neuro.artifact.run_folder import MANIFEST
from neuro.base.checks import Range
from neuro.data.options import DEFAULTS, DataOptions
from neuro.data.sets import load_dataset
from sim.training.compute import Compute
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep
from sim.training.parallel.cluster import slurm_executor, submit
from sim.training.results import TrainResult
from sim.training.watcher import NOBODY, Watcher

MAX_SEEDS = 1000


@dataclass(frozen=True)
class Sweep:
    """config.seed, config.seed + 1, ..: n_seeds trainings on `data`, in folders seedN of `folder`.

    Each seed draws weights, order, rounding and splits; `front` is the folder of a coder, or None;
    options: how the data are prepared.
    """

    data: str
    config: TrainConfig
    folder: Path
    n_seeds: int
    backend: str = ""
    device: str = "cpu"
    front: Path | None = None
    options: DataOptions = DEFAULTS

    def __post_init__(self) -> None:
        Range(1, MAX_SEEDS).require(seeds=self.n_seeds)

    @property
    def seeds(self) -> range:
        """All seeds."""
        return range(self.config.seed, self.config.seed + self.n_seeds)

    def folder_of(self, seed: int) -> Path:
        """The run folder of a seed."""
        return self.folder / f"seed{seed}"

    def missing(self) -> list[int]:
        """The seeds whose training is not finished."""
        return [seed for seed in self.seeds if not (self.folder_of(seed) / MANIFEST).is_file()]

    def do(self, seed: int, watcher: Watcher) -> TrainResult:
        """Finish the training of a seed, from wherever it stands."""
        from sim.training.front_end import load_front_end

        dataset = load_dataset(self.data, seed, self.options)
        front = load_front_end(self.front, dataset) if self.front else None
        compute, config = Compute(self.backend, self.device), replace(self.config, seed=seed)
        return train_ep(dataset, config, self.folder_of(seed), watcher, front, resume=True, compute=compute)

    def request(self, seed: int) -> dict[str, Any]:
        """The request with which `do_request` trains a seed elsewhere."""
        data = str(Path(self.data).resolve()) if Path(self.data).is_file() else self.data
        front = self.front and self.front.resolve()
        return {"sweep": replace(self, data=data, folder=self.folder.resolve(), front=front), "seed": seed}


def do_request(request: Mapping[str, Any]) -> None:
    """Train one seed, on another machine that sees the same files."""
    request["sweep"].do(request["seed"], NOBODY)


def submit_seeds(sweep: Sweep, partition: str) -> tuple[list[int], str]:
    """Submit the missing seeds to Slurm, a job each.

    Returns: the seeds and the number of the job array; ([], "") if none is missing.
    Raises:  UserError without submitit or without Slurm, or if Slurm refuses.
    """
    todo = sweep.missing()
    if not todo:
        return [], ""
    executor = slurm_executor(sweep.folder / "slurm", partition, "settle-train", sweep.device != "cpu")
    return todo, submit(executor, do_request, [sweep.request(seed) for seed in todo])


def summary(results: Sequence[TrainResult]) -> dict[str, Any]:
    """The object that `settle train ep --seeds --json` prints: every run; mean and standard deviation of accuracies."""
    values = [result.test_accuracy.value for result in results]
    return {
        "runs": [result.to_json() for result in results],
        "n_seeds": len(values),
        "test_accuracy": mean(values),
        "test_accuracy_sd": stdev(values) if len(values) > 1 else None,
    }
