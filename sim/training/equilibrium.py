"""Train an EP network by its local rule into a run folder: resumable, replayable, interruptible.

While training the folder holds checkpoint.npz and log.jsonl (one line per epoch); once finished, the artifact
(`neuro.artifact.run_folder`). Everything random is a function of the seed and of counters, so a training that was
interrupted, even by kill -9, and resumed ends with the weights of an uninterrupted one.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from neuro.artifact.run_folder import MANIFEST, Artifact, installed_versions, load_artifact, save_artifact
from neuro.base.arrays import Array
from neuro.base.errors import UserError
from neuro.base.files import write_atomically
from neuro.base.metrics import accuracy
from neuro.data.sets import Dataset, Split, split_validation
from neuro.equilibrium.graded_network import AnyNetwork
from neuro.spec.sigma_delta import NetworkSpec
from neuro.spec.stack import stack
from sim.backends.record import Record
from sim.training.checkpoint import Checkpoint, load_checkpoint, remove_checkpoint, resume_trainer, save_checkpoint
from sim.training.compute import NATIVE, Engine
from sim.training.config import TrainConfig, learns_on_chip
from sim.training.front_end import FrontEnd
from sim.training.identity import check_identity, identity, identity_of
from sim.training.recipe import behind, check_rates, compile_kernels, deployed, make_trainer, n_epochs, wants_refit
from sim.training.results import TrainResult, describe_data, result_of
from sim.training.stock_recipe import stock_choices
from sim.training.trainer import Choices, Epoch, Trainer, Weights
from sim.training.tune import Trial, tune
from sim.training.watcher import NOBODY, Watcher

LOG = "log.jsonl"
CHECKPOINT_EVERY_S = 5.0
REFIT_TOLERANCE = 0.02  # of training accuracy


def train_ep(
    dataset: Dataset,
    config: TrainConfig,
    folder: Path | None,
    watcher: Watcher = NOBODY,
    front: FrontEnd | None = None,
    *,
    resume: bool = False,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    engine: Engine = NATIVE,
) -> TrainResult:
    """Train on `dataset` (behind `front`, if given: on its codes) and leave a finished run in `folder`.

    Without a folder it trains in memory: nothing is written, the artifact of the result is all there is.

    Tuning (`sim.training.tune`), a training with validation, on small data sets a second one on all training images,
    one reading of the test set, the artifact. Interrupt it at any time; `resume=True` goes on from the last checkpoint,
    on whatever `engine`.
    Raises: UserError if `folder` holds another run, or a checkpoint of another configuration or data set.
    """
    if front is not None:
        config = behind(config, front)
    if folder is None:
        return _Run(dataset, config, None, watcher, checkpoint_every_s, front, engine).complete(None)
    if (folder / MANIFEST).is_file():
        if not resume:
            raise UserError(f"run {folder}: already finished; give another --out, or --resume to see its result")
        artifact = load_artifact(folder)
        check_identity(folder, identity_of(artifact), identity(dataset, config))
        return result_of(folder, artifact)
    run = _Run(dataset, config, folder, watcher, checkpoint_every_s, front, engine)
    checkpoint = load_checkpoint(folder)
    if checkpoint is not None and not resume:
        raise UserError(f"run {folder}: holds an unfinished training; give --resume to go on, or another --out")
    if checkpoint is not None:
        check_identity(folder, checkpoint.identity, run.identity)
    return run.complete(checkpoint)


class _Run:
    """One run folder on its way from nothing to an artifact."""

    def __init__(
        self,
        dataset: Dataset,
        config: TrainConfig,
        folder: Path | None,
        watcher: Watcher,
        checkpoint_every_s: float,
        front: FrontEnd | None,
        engine: Engine,
    ) -> None:
        self.source, self.config, self.folder, self.watcher, self.front = dataset, config, folder, watcher, front
        self.engine = engine
        self.dataset = front.codes(dataset, config.threads) if front else dataset
        self.every_s = checkpoint_every_s
        self.identity = identity(dataset, config)
        self.split = split_validation(dataset.y_train, config.seed)
        self.stage = "fit"
        self.notes: dict[str, Any] = {}
        self.kept_weights: Weights = {}  # of the fit, while the refit goes on
        self._saved_at = time.monotonic()

    def on_chunk(self, trainer: Trainer) -> None:
        self.watcher.on_chunk(trainer)
        if time.monotonic() - self._saved_at >= self.every_s:
            self._save(trainer)

    def on_epoch(self, trainer: Trainer) -> None:
        history = [*self.notes.get("history", []), *(asdict(epoch) for epoch in trainer.progress.history)]
        lines = "".join(json.dumps(line) + "\n" for line in history)
        if self.folder is not None:
            write_atomically(self.folder / LOG, lines.encode())
        self.watcher.on_epoch(trainer)

    def _save(self, trainer: Trainer) -> None:
        if self.folder is not None:
            save_checkpoint(self.folder, trainer, self.stage, self.identity, self.notes, self.kept_weights)
        self._saved_at = time.monotonic()

    def complete(self, checkpoint: Checkpoint | None) -> TrainResult:
        """Do what is left to do."""
        check_rates(self.dataset, self.config, self.split)
        self.watcher.on_compile()
        compile_kernels(self.dataset, self.config, self.engine)
        if checkpoint is None:
            choices = self._tune()
        else:
            choices, self.stage, self.notes = checkpoint.choices, checkpoint.stage, checkpoint.notes
            self.kept_weights = checkpoint.kept_weights
        epochs = n_epochs(self.config, len(self.dataset.y_train))
        trainer = self._train(choices, epochs, checkpoint)
        if self.stage == "fit":
            self._note_fit(trainer)
            if wants_refit(self.config, self.dataset) and self._ended_steadily():
                self.stage, self.kept_weights = "refit", trainer.best_weights
                trainer = self._train(choices, epochs, None)
        return self._finish(trainer, epochs)

    def _ended_steadily(self) -> bool:
        """Whether the last epoch validated within two standard errors of the best: a refit keeps its last epoch."""
        history, n = self.notes["history"], self.notes["val"]["n"]
        best = history[self.notes["best_epoch"] - 1]["val_accuracy"]
        share = min(max(best, 0.5 / n), 1 - 0.5 / n)
        return bool(best - history[-1]["val_accuracy"] <= 2 * math.sqrt(share * (1 - share) / n) + 1 / n)

    def _chosen_weights(self, trainer: Trainer) -> Weights:
        """Return the weights to deploy: of the refit, unless it went wrong.

        It has no validation images; but a refit that learned its training images clearly worse than the fit did in its
        best epoch has come to grief, and the validated weights of the fit are taken instead.
        """
        if self.stage == "fit":
            return trainer.best_weights
        wanted = self.notes["history"][self.notes["best_epoch"] - 1]["train_accuracy"] - REFIT_TOLERANCE
        self.notes["refit_kept"] = trainer.progress.history[-1].train_accuracy >= wanted
        return trainer.best_weights if self.notes["refit_kept"] else self.kept_weights

    def _tune(self) -> Choices:
        start = time.process_time()
        if learns_on_chip(self.config):
            choices, trials = stock_choices(self.config), list[Trial]()
        else:
            choices, trials = tune(self.dataset, self.config, self.split, self.watcher.on_trial, self.engine)
        self.notes["trials"] = [asdict(trial) for trial in trials]
        self.notes["tune_cpu_s"] = time.process_time() - start
        return choices

    def _train(self, choices: Choices, epochs: int, checkpoint: Checkpoint | None) -> Trainer:
        """Run one stage, from the checkpoint if there is one; on an interruption save before it spreads."""
        split = self.split
        if self.stage == "refit":
            split = Split(np.arange(len(self.dataset.y_train)), np.zeros(0, dtype=np.int64))
        trainer = make_trainer(self.dataset, self.config, choices, split, epochs, engine=self.engine)
        if checkpoint is not None:
            resume_trainer(trainer, checkpoint)
        self.watcher.on_stage(self.stage, trainer)
        try:
            self._save(trainer)
            trainer.run(self)
        except KeyboardInterrupt:
            if trainer.consistent:  # else the last checkpoint stands
                self._save(trainer)
            raise
        return trainer

    def _note_fit(self, trainer: Trainer) -> None:
        progress = trainer.progress
        best = progress.history[progress.best_epoch]
        n = len(self.split.validation)
        self.notes.update(
            history=[asdict(epoch) for epoch in progress.history],
            best_epoch=best.epoch,
            val={"n_correct": round((best.val_accuracy or 0.0) * n), "n": n},
            fit_cpu_s=progress.cpu_s,
            images_per_s=trainer.n_images * progress.epoch / max(progress.learn_s, 1e-9),
        )

    def _finish(self, trainer: Trainer, epochs: int) -> TrainResult:
        """Read the test set once and write the artifact."""
        spec = deployed(trainer.session.spec.with_weights(self._chosen_weights(trainer)), self.config)
        if self.front is not None and isinstance(spec, NetworkSpec):
            spec = stack(self.front.spec, spec)
        record = infer(spec, self.source.x_test, self.config.threads, self.engine)
        test = accuracy(record.predictions, self.source.y_test)
        refit_cpu_s = trainer.progress.cpu_s if self.stage == "refit" else 0.0
        results = {
            "val": self.notes["val"],
            "test": {"n_correct": test.n_correct, "n": test.n},
            "train_cpu_s": self.notes.get("tune_cpu_s", 0.0) + self.notes["fit_cpu_s"] + refit_cpu_s,
            "images_per_s": self.notes["images_per_s"],
            "spikes_per_inference": record.spikes_per_inference(spec),
        }
        artifact = Artifact(spec, self._manifest(trainer.choices, spec.encoder.gain_bits, epochs, results))
        if self.folder is not None:
            save_artifact(self.folder, artifact)
            remove_checkpoint(self.folder)
        return result_of(self.folder, artifact)

    def _manifest(self, choices: Choices, gain_bits: int, epochs: int, results: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "kind": "ep",
            "seed": self.config.seed,
            "config": {**asdict(self.config), "hidden": list(self.config.hidden)},
            "chosen": {
                **asdict(choices),
                "gain_bits": gain_bits,
                "epochs": epochs,
                "refit": self.notes.get("refit_kept", False),
            },
            "data": describe_data(self.source, len(self.split.validation)),
            "versions": installed_versions(),
            "engine": self.engine.describe(),
            "results": dict(results),
            "trials": self.notes.get("trials", []),
            "history": self.notes["history"],
            "best_epoch": self.notes["best_epoch"],
        }


def infer(spec: AnyNetwork, images: Array, threads: int | None = None, engine: Engine = NATIVE) -> Record:
    """Run the free phase on `images` (as in a Dataset) with the backend that trained it."""
    with engine.open(spec, threads, engine.workers.size if engine.workers else 1) as session:
        return session.run(spec.encoder.encode(images))


__all__ = ["Epoch", "TrainResult", "Watcher", "infer", "result_of", "train_ep"]
