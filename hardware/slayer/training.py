"""A SLAYER training as a run: folder, manifest, results, like every other training."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from rich.progress import TaskID

from hardware.slayer.config import SlayerConfig
from hardware.slayer.learning import LEARNING_RATES, SlayerEpoch, SlayerTrial, slayer_epochs, train_slayer, tune_slayer
from hardware.slayer.network import check_lava_dl
from neuro.artifact.run_folder import MANIFEST, Artifact, installed_versions, save_artifact
from neuro.base.errors import UserError
from neuro.base.metrics import accuracy
from neuro.data.sets import Dataset, split_validation
from sim.screens.training import BarScreen
from sim.training.equilibrium import infer
from sim.training.results import TrainResult, describe_data, result_of

OnEpoch = Callable[[SlayerEpoch, int], None]
OnTrial = Callable[[SlayerTrial], None]


def train_slayer_run(
    dataset: Dataset,
    config: SlayerConfig,
    folder: Path,
    on_epoch: OnEpoch = lambda epoch, epochs: None,
    on_trial: OnTrial = lambda trial: None,
) -> TrainResult:
    """Choose a learning rate, train, read the test set once, on the deployed integers, and write the run.

    on_epoch: told of each, and how many; on_trial: of each learning rate tried.
    Raises: UserError if lava-dl is missing, the folder holds a finished run or cannot be written.
    """
    if (folder / MANIFEST).is_file():
        raise UserError(f"run {folder}: already finished; give another --out")
    artifact = slayer_artifact(dataset, config, on_epoch, on_trial)
    save_artifact(folder, artifact)
    return result_of(folder, artifact)


def slayer_artifact(
    dataset: Dataset,
    config: SlayerConfig,
    on_epoch: OnEpoch = lambda epoch, epochs: None,
    on_trial: OnTrial = lambda trial: None,
) -> Artifact:
    """The same, without a folder.

    Raises: UserError if lava-dl is missing.
    """
    check_lava_dl()
    split, began = split_validation(dataset.y_train, config.seed), time.process_time()
    epochs = config.epochs or slayer_epochs(len(split.train))
    rate, trials = tune_slayer(dataset, config, split, on_trial)
    tuned, chosen = time.process_time() - began, replace(config, learning_rate=rate, epochs=epochs)
    training = train_slayer(dataset, chosen, split, lambda epoch: on_epoch(epoch, epochs))
    record = infer(training.network, dataset.x_test)
    speeds = [epoch.images_per_s for epoch in training.history]
    manifest = {
        "kind": "slayer",
        "seed": config.seed,
        "config": {**asdict(config), "hidden": list(config.hidden)},
        "chosen": {"epochs": epochs, "learning_rate": rate},
        "data": describe_data(dataset, len(split.validation)),
        "versions": installed_versions(),
        "results": {
            "val": asdict(training.val_accuracy),
            "test": asdict(accuracy(record.predictions, dataset.y_test)),
            "train_cpu_s": tuned + training.cpu_s,
            "images_per_s": sum(speeds) / len(speeds),
            "spikes_per_inference": record.spikes_per_inference(training.network),
        },
        "trials": [asdict(trial) for trial in trials],
        "history": [asdict(epoch) for epoch in training.history],
        "best_epoch": training.best_epoch,
    }
    return Artifact(training.network, manifest)


class SlayerScreen(BarScreen):
    """A bar for the trials, and one for the epochs; a context manager."""

    def __init__(self) -> None:
        super().__init__()
        self._trials: TaskID | None = None

    def on_trial(self, trial: SlayerTrial) -> None:
        """Show a trial of a learning rate."""
        if self._trials is None:
            self._trials = self._progress.add_task("choosing a rate", total=len(LEARNING_RATES), note="")
        self._progress.update(self._trials, advance=1, note=f"{trial.learning_rate:g}: {trial.val_accuracy:.4f}")

    def on_epoch(self, epoch: SlayerEpoch, epochs: int) -> None:
        """Show an epoch."""
        if self._task is None:
            self._task = self._progress.add_task("backpropagation", total=epochs, note="")
        note = f"{epoch.epoch}/{epochs}  validation {epoch.val_accuracy:.4f}  {epoch.images_per_s:,.0f} images/s"
        self._progress.update(self._task, completed=epoch.epoch, note=note)
