"""A SLAYER training as a run, by the loop of `sim.training.loop`: folder, checkpoint, manifest like every other one."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.progress import TaskID

from hardware.slayer.config import SlayerConfig
from hardware.slayer.learning import SlayerTrial, tune_slayer
from hardware.slayer.network import check_lava_dl
from hardware.slayer.trainer import LEARNING_RATES, SlayerTrainer, slayer_epochs
from neuro.base.metrics import accuracy
from neuro.data.sets import Dataset, split_validation
from neuro.stock.feed_forward import FeedForwardNetwork
from sim.screens.training import BarScreen
from sim.training.checkpoint import State
from sim.training.equilibrium import infer
from sim.training.loop import CHECKPOINT_EVERY_S, run_learner
from sim.training.results import TrainResult, result_of
from sim.training.watcher import NOBODY, Watcher


def train_slayer_run(
    dataset: Dataset,
    config: SlayerConfig,
    folder: Path | None,
    watcher: Watcher = NOBODY,
    *,
    resume: bool = False,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
) -> TrainResult:
    """Choose a learning rate, train, read the test set once, on the deployed integers, and write the run.

    Without a folder it trains in memory. Interrupt it at any time; `resume=True` goes on from the last checkpoint.
    Raises: UserError if lava-dl is missing, the folder holds another run or cannot be written.
    """
    learner = BackpropagationLearner(dataset, config)
    artifact = run_learner(learner, folder, watcher, resume=resume, checkpoint_every_s=checkpoint_every_s)
    return result_of(folder, artifact)


class BackpropagationLearner:
    """A SLAYER network on its way: a learning rate, then one stage."""

    kind = "slayer"
    stage = "fit"

    def __init__(self, dataset: Dataset, config: SlayerConfig) -> None:
        self.dataset, self.config = dataset, config
        self.split = split_validation(dataset.y_train, config.seed)
        self.trainer: SlayerTrainer
        self.notes: dict[str, Any] = {}  # what tuning found

    def prepare(self, watcher: Watcher) -> None:
        """See that lava-dl is there."""
        check_lava_dl()
        self.epochs = self.config.epochs or slayer_epochs(len(self.split.train))

    def start(self, watcher: Watcher) -> None:
        """Choose the learning rate."""
        began = time.process_time()
        rate, trials = tune_slayer(self.dataset, self.config, self.split, watcher.on_trial)
        spent = time.process_time() - began
        self.notes = {"rate": rate, "trials": [asdict(trial) for trial in trials], "tune_cpu_s": spent}
        self.trainer = self._made()

    def _made(self) -> SlayerTrainer:
        chosen = replace(self.config, learning_rate=self.notes["rate"], epochs=self.epochs)
        return SlayerTrainer(self.dataset, chosen, self.split)

    def state(self) -> State:
        """That of the trainer, and what tuning found."""
        state = self.trainer.state()
        return State(state.arrays, {**state.fields, "notes": self.notes})

    def restore(self, state: State) -> None:
        """Stand where `state` was taken."""
        self.notes = state.fields["notes"]
        self.trainer = self._made()
        self.trainer.restore(state)

    def history(self) -> list[dict[str, Any]]:
        """The epochs so far."""
        return [asdict(epoch) for epoch in self.trainer.progress.history]

    def next_stage(self) -> bool:
        """There is one."""
        return False

    def deployable(self) -> tuple[FeedForwardNetwork, dict[str, Any]]:
        """The network of the best epoch; the test set is read once."""
        trainer = self.trainer
        record = infer(trainer.best, self.dataset.x_test)
        speeds = [epoch.images_per_s for epoch in trainer.progress.history]
        return trainer.best, {
            "chosen": {"epochs": self.epochs, "learning_rate": self.notes["rate"]},
            "results": {
                "val": asdict(trainer.val_accuracy),
                "test": asdict(accuracy(record.predictions, self.dataset.y_test)),
                "train_cpu_s": self.notes["tune_cpu_s"] + trainer.progress.cpu_s,
                "images_per_s": sum(speeds) / len(speeds),
                "spikes_per_inference": record.spikes_per_inference(trainer.best),
            },
            "trials": self.notes["trials"],
            "history": self.history(),
            "best_epoch": trainer.progress.best_epoch,
        }


class SlayerScreen(BarScreen, Watcher):
    """A bar for the trials, and one for the epochs; a context manager."""

    def __init__(self) -> None:
        super().__init__()
        self._trials: TaskID | None = None

    def on_trial(self, trial: SlayerTrial) -> None:
        """Show a trial of a learning rate."""
        if self._trials is None:
            self._trials = self._progress.add_task("choosing a rate", total=len(LEARNING_RATES), note="")
        self._progress.update(self._trials, advance=1, note=f"{trial.learning_rate:g}: {trial.val_accuracy:.4f}")

    def on_stage(self, stage: str, trainer: SlayerTrainer) -> None:
        """Start the bar of the epochs."""
        self._task = self._progress.add_task("backpropagation", total=trainer.n_epochs * trainer.n_images, note="")
        self.on_chunk(trainer)

    def on_chunk(self, trainer: SlayerTrainer) -> None:
        """Advance the bar."""
        done = trainer.progress.epoch * trainer.n_images + trainer.progress.position
        if self._task is not None:
            self._progress.update(self._task, completed=done)

    def on_epoch(self, trainer: SlayerTrainer) -> None:
        """Show an epoch."""
        epoch = trainer.progress.history[-1]
        note = (
            f"{epoch.epoch}/{trainer.n_epochs}  validation {epoch.val_accuracy:.4f}  {epoch.images_per_s:,.0f} images/s"
        )
        if self._task is not None:
            self._progress.update(self._task, note=note)
