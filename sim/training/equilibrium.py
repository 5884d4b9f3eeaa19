"""Train an EP network by its local rule: tuning, a training with validation, on small data sets a second one on all.

A training is resumable, replayable and interruptible: see `sim.training.loop`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np

from neuro.base.arrays import Array, Arrays, Integers
from neuro.base.errors import UserError
from neuro.base.metrics import Accuracy, accuracy
from neuro.base.schema import Amount, Filled, Positive
from neuro.data.sets import Dataset, Split, split_validation
from neuro.spec.network import Network
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.record import Record
from sim.training.checkpoint import State, require_like, restored
from sim.training.compute import NATIVE, Compute
from sim.training.config import TrainConfig, learns_on_chip
from sim.training.front_end import Front
from sim.training.guided import with_recordings
from sim.training.loop import CHECKPOINT_EVERY_S, run_learner
from sim.training.recipe import (
    behind,
    check_rates,
    compile_kernels,
    deployed,
    make_trainer,
    n_epochs,
    suited,
    wants_refit,
)
from sim.training.results import TrainResult, result_of
from sim.training.stock_recipe import stock_choices
from sim.training.trainer import Choices, Epoch, Progress, Trainer, Weights
from sim.training.tune import Trial, tune
from sim.training.watcher import NOBODY, Watcher

FIT, REFIT = "fit", "refit"
FULL, BEST, KEPT = "full.", "best.", "kept."  # of arrays in a checkpoint
REFIT_TOLERANCE = 0.02  # of training accuracy


def train_ep(
    dataset: Dataset,
    config: TrainConfig,
    folder: Path | None,
    watcher: Watcher = NOBODY,
    front: Front | None = None,
    *,
    resume: bool = False,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    compute: Compute = NATIVE,
) -> TrainResult:
    """Train on `dataset` (behind `front`, if given: on its codes) and leave a finished run in `folder`.

    Without a folder it trains in memory: nothing is written, the artifact of the result is all there is.
    Tuning (`sim.training.tune`), a training with validation, on small data sets a second one on all training images,
    one reading of the test set, the artifact. Interrupt it at any time; `resume=True` goes on from the last checkpoint,
    on whatever `compute`.
    Raises: UserError if `folder` holds another run, or a checkpoint of another configuration or data set.
    """
    config = (suited(config, dataset) if front is None else behind(config, front)).settled(dataset.image_shape)
    dataset, config = with_recordings(dataset, config)
    learner = EquilibriumLearner(dataset, config, front, compute)
    artifact = run_learner(learner, folder, watcher, resume=resume, checkpoint_every_s=checkpoint_every_s)
    return result_of(folder, artifact)


class Notes(TypedDict, total=False):
    """What tuning found, as a checkpoint keeps it."""

    trials: list[Any]
    tune_cpu_s: Amount


class FitNotes(Notes):
    """And what the fit did, once the refit goes on."""

    history: Filled[Epoch]
    best_epoch: Positive
    val: Accuracy
    fit_cpu_s: Amount
    images_per_s: Amount


class EquilibriumLearner:
    """An EP network on its way: choices, "fit" with validation and, where few images are, "refit" on all of them."""

    kind = "ep"

    def __init__(
        self, dataset: Dataset, config: TrainConfig, front: Front | None = None, compute: Compute = NATIVE
    ) -> None:
        self.dataset, self.config, self.front, self.compute = dataset, config, front, compute
        self.split = split_validation(dataset.y_train, config.seed)
        self.stage = FIT
        self.notes: dict[str, Any] = {}  # what tuning and the fit found
        self.kept_weights: Weights = {}  # of the fit, while the refit goes on
        self.trainer: Trainer

    def prepare(self, watcher: Watcher) -> None:
        """Encode what is learned from, and compile the kernels."""
        self.learned = self.front.codes(self.dataset, self.config.threads) if self.front else self.dataset
        check_rates(self.learned, self.config, self.split)
        watcher.on_compile()
        compile_kernels(self.learned, self.config, self.compute)
        self.epochs = n_epochs(self.config, len(self.learned.y_train))

    def start(self, watcher: Watcher) -> None:
        """Choose the hyper-parameters."""
        start = time.process_time()
        if learns_on_chip(self.config):
            choices, trials = stock_choices(self.config), list[Trial]()
        else:
            choices, trials = tune(self.learned, self.config, self.split, watcher.on_trial, self.compute)
        self.notes["trials"] = [asdict(trial) for trial in trials]
        self.notes["tune_cpu_s"] = time.process_time() - start
        self.trainer = self._made(choices)

    def _made(self, choices: Choices) -> Trainer:
        """A trainer at the start of the present stage."""
        split = self.split
        if self.stage == REFIT:
            split = Split(np.arange(len(self.learned.y_train)), np.zeros(0, dtype=np.int64))
        return make_trainer(self.learned, self.config, choices, split, self.epochs, compute=self.compute)

    def state(self) -> State:
        """Stage, choices, notes, progress; weights with their accumulators, those of the best epoch and of the fit."""
        trainer = self.trainer
        parts = {FULL: trainer.full_weights(), BEST: trainer.best_weights, KEPT: self.kept_weights}
        return State(
            {prefix + name: values for prefix, part in parts.items() for name, values in part.items()},
            {
                "stage": self.stage,
                "choices": asdict(trainer.choices),
                "notes": self.notes,
                "progress": asdict(trainer.progress),
            },
        )

    def restore(self, state: State) -> None:
        """Stand where `state` was taken."""
        fields = state.fields
        self.stage, self.notes = fields["stage"], fields["notes"]
        restored(self.notes, FitNotes if self.stage == REFIT else Notes)
        if self.notes.get("best_epoch", 0) > len(self.notes.get("history", ())):
            raise UserError(f"notes: the best epoch is {self.notes['best_epoch']}, which is not in the history")
        self.kept_weights = _integers(state.named(KEPT))
        self.trainer = self._made(restored(fields["choices"], Choices))
        self.trainer.stand_at(Progress.from_json(fields["progress"]))
        full, best = _integers(state.named(FULL)), _integers(state.named(BEST))
        require_like(self.trainer.synapses_in(full), self.trainer.synapses_in(self.trainer.full_weights()), "weights")
        for weights in (best, self.kept_weights or best):
            require_like(weights, self.trainer.best_weights, "best weights")
        self.trainer.restore(full)
        self.trainer.best_weights = best

    def history(self) -> list[dict[str, Any]]:
        """The epochs of both stages."""
        return [*self.notes.get("history", []), *(asdict(epoch) for epoch in self.trainer.progress.history)]

    def next_stage(self) -> bool:
        """Go on to the refit, if the data are few and the fit ended steadily."""
        if self.stage == REFIT:
            return False
        self._note_fit(self.trainer)
        if not (wants_refit(self.config, self.learned) and self._ended_steadily()):
            return False
        self.stage, self.kept_weights = REFIT, self.trainer.best_weights
        self.trainer = self._made(self.trainer.choices)
        return True

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

    def _ended_steadily(self) -> bool:
        """Whether the last epoch validated within two standard errors of the best: a refit keeps its last epoch."""
        history, n = self.notes["history"], self.notes["val"]["n"]
        best = history[self.notes["best_epoch"] - 1]["val_accuracy"]
        share = min(max(best, 0.5 / n), 1 - 0.5 / n)
        return bool(best - history[-1]["val_accuracy"] <= 2 * math.sqrt(share * (1 - share) / n) + 1 / n)

    def _chosen_weights(self) -> Weights:
        """The weights to deploy: of the refit, unless it went wrong.

        It has no validation images; but a refit that learned its training images clearly worse than the fit did in its
        best epoch has come to grief, and the validated weights of the fit are taken instead.
        """
        if self.stage == FIT:
            return self.trainer.best_weights
        wanted = self.notes["history"][self.notes["best_epoch"] - 1]["train_accuracy"] - REFIT_TOLERANCE
        self.notes["refit_kept"] = self.trainer.progress.history[-1].train_accuracy >= wanted
        return self.trainer.best_weights if self.notes["refit_kept"] else self.kept_weights

    def deployable(self) -> tuple[Network, dict[str, Any]]:
        """The network with the chosen weights, behind its front end; the test set is read once."""
        spec = deployed(self.trainer.session.spec.with_weights(self._chosen_weights()), self.config)
        if self.front is not None and isinstance(spec, NetworkSpec):
            spec = self.front.before(spec)
        return spec, {
            "chosen": {
                **asdict(self.trainer.choices),
                "gain_bits": spec.encoder.gain_bits,
                "epochs": self.epochs,
                "refit": self.notes.get("refit_kept", False),
            },
            "engine": self.compute.describe(),  # the key of files since they state it
            "results": self._results(spec),
            "trials": self.notes.get("trials", []),
            "history": self.notes["history"],
            "best_epoch": self.notes["best_epoch"],
        }

    def _results(self, spec: Network) -> Mapping[str, Any]:
        record = infer(spec, self.dataset.x_test, self.config.threads, self.compute)
        test = accuracy(record.predictions, self.dataset.y_test)
        refit_cpu_s = self.trainer.progress.cpu_s if self.stage == REFIT else 0.0
        return {
            "val": self.notes["val"],
            "test": {"n_correct": test.n_correct, "n": test.n},
            "train_cpu_s": self.notes.get("tune_cpu_s", 0.0) + self.notes["fit_cpu_s"] + refit_cpu_s,
            "images_per_s": self.notes["images_per_s"],
            "spikes_per_inference": record.spikes_per_inference(spec) if test.n else self._validated_spikes(),
        }

    def _validated_spikes(self) -> float:
        """Spikes per validation image in the best epoch: what is known of data without test images."""
        return float(self.notes["history"][self.notes["best_epoch"] - 1]["spikes_per_inference"])


def _integers(arrays: Arrays) -> dict[str, Integers]:
    for name, values in arrays.items():
        if not np.issubdtype(values.dtype, np.integer):
            raise TypeError(f"{name}: weights of type {values.dtype}")
    return cast("dict[str, Integers]", arrays)


def infer(spec: Network, images: Array, threads: int | None = None, compute: Compute = NATIVE) -> Record:
    """Run the free phase on `images` (as in a Dataset) with the backend that trained it."""
    with compute.open(spec, threads, compute.workers.size if compute.workers else 1) as session:
        return session.run(spec.encoder.encode(images))


__all__ = ["Epoch", "TrainResult", "Watcher", "infer", "result_of", "train_ep"]
