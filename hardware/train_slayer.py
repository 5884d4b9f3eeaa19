"""A SLAYER training as a run: folder, manifest, results, like every other training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from hardware.slayer import SlayerConfig, SlayerEpoch, slayer_epochs, train_slayer
from neuro.artifact import MANIFEST, Artifact, installed_versions, save_artifact
from neuro.data import Dataset, split_validation
from neuro.errors import UserError
from neuro.metrics import accuracy
from sim.results import TrainResult, describe_data, result_of
from sim.screen import BarScreen
from sim.train import infer


def train_slayer_run(
    dataset: Dataset, config: SlayerConfig, folder: Path, on_epoch: Callable[[SlayerEpoch, int], None]
) -> TrainResult:
    """Train, read the test set once, on the deployed integers, and write the run. on_epoch: told of each, and how many.

    Raises: UserError if lava-dl is missing, the folder holds a finished run or cannot be written.
    """
    if (folder / MANIFEST).is_file():
        raise UserError(f"run {folder}: already finished; give another --out")
    split = split_validation(dataset.y_train, config.seed)
    epochs = config.epochs or slayer_epochs(len(split.train))
    training = train_slayer(dataset, config, split, lambda epoch: on_epoch(epoch, epochs))
    record = infer(training.network, dataset.x_test)
    test = accuracy(record.predictions, dataset.y_test)
    speeds = [epoch.images_per_s for epoch in training.history]
    manifest = {
        "kind": "slayer",
        "seed": config.seed,
        "config": {**asdict(config), "hidden": list(config.hidden)},
        "chosen": {"epochs": epochs},
        "data": describe_data(dataset, len(split.validation)),
        "versions": installed_versions(),
        "results": {
            "val": asdict(training.val_accuracy),
            "test": asdict(test),
            "train_cpu_s": training.cpu_s,
            "images_per_s": sum(speeds) / len(speeds),
            "spikes_per_inference": record.spikes_per_inference(training.network),
        },
        "history": [asdict(epoch) for epoch in training.history],
        "best_epoch": training.best_epoch,
    }
    artifact = Artifact(training.network, manifest)
    save_artifact(folder, artifact)
    return result_of(folder, artifact)


class SlayerScreen(BarScreen):
    """A bar for the epochs; a context manager."""

    def on_epoch(self, epoch: SlayerEpoch, epochs: int) -> None:
        """Show an epoch."""
        if self._task is None:
            self._task = self._progress.add_task("backpropagation", total=epochs, note="")
        note = f"{epoch.epoch}/{epochs}  validation {epoch.val_accuracy:.4f}  {epoch.images_per_s:,.0f} images/s"
        self._progress.update(self._task, completed=epoch.epoch, note=note)
