"""The one loop of all trainings: folder, lock, checkpoint, log, signals, manifest. What is learned, a learner knows.

While training the folder holds checkpoint.npz and log.jsonl (one line per epoch); once finished, the artifact
(`neuro.artifact.run_folder`). Everything random is a function of the seed and of counters, or part of the state, so a
training that was interrupted, even by kill -9, and resumed ends with the weights of an uninterrupted one.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from neuro.artifact.run_folder import MANIFEST, Artifact, installed_versions, load_artifact, save_artifact
from neuro.base.errors import UserError
from neuro.base.files import is_file, write_atomically
from neuro.data.sets import Dataset, Split
from neuro.spec.network import Network
from sim.training.checkpoint import (
    Checkpoint,
    State,
    load_checkpoint,
    other_version,
    remove_checkpoint,
    save_checkpoint,
)
from sim.training.identity import check_identity, identity, identity_of, settings
from sim.training.interrupt import Terminated, terminable
from sim.training.lock import locked
from sim.training.results import describe_data
from sim.training.watcher import Watcher

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LOG = "log.jsonl"
CHECKPOINT_EVERY_S = 5.0


class Trainer(Protocol):
    """Who trains one stage; most are `sim.training.stepwise.Stepwise`."""

    consistent: bool

    def run(self, listener: Watcher) -> None:
        """Train to the end of the stage, from wherever it stands, and tell of every chunk and epoch."""
        ...


NOT_A_STATE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError)  # in a checkpoint


class Learner(Protocol):
    """What a loop trains, in one stage or in several, each with a trainer of its own.

    kind, config, dataset: what identifies it (`sim.training.identity`); the data as they were given.
    split: into training and validation.   stage: its name.   trainer: that of the present stage.
    """

    kind: str
    stage: str

    @property
    def config(self) -> DataclassInstance:
        """What the user asked for, seed included."""
        ...

    @property
    def dataset(self) -> Dataset:
        """The data as they were given."""
        ...

    @property
    def split(self) -> Split:
        """The split into training and validation."""
        ...

    @property
    def trainer(self) -> Trainer:
        """Who trains the present stage; there after `start` or `restore`."""
        ...

    def prepare(self, watcher: Watcher) -> None:
        """Check what can be checked, and make what `start` and `restore` both need."""
        ...

    def start(self, watcher: Watcher) -> None:
        """Choose what must be chosen, and stand at the beginning of the first stage."""
        ...

    def restore(self, state: State) -> None:
        """Stand where `state` was taken. Raises: KeyError or TypeError if something is missing in it."""
        ...

    def state(self) -> State:
        """All that is needed to go on from here."""
        ...

    def history(self) -> list[dict[str, Any]]:
        """One line for each epoch so far, of all stages."""
        ...

    def next_stage(self) -> bool:
        """Go on to the next stage, if there is one."""
        ...

    def deployable(self) -> tuple[Network, dict[str, Any]]:
        """The network to deploy, measured, and what the manifest says of it beyond the frame of `run_learner`."""
        ...


def run_learner(
    learner: Learner,
    folder: Path | None,
    watcher: Watcher,
    *,
    resume: bool = False,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
) -> Artifact:
    """Do what is left of a training and leave a finished run in `folder`; None: in memory, nothing is written.

    Interrupt it at any time; `resume=True` goes on from the last checkpoint.
    Raises: UserError if `folder` holds another run, a checkpoint of another configuration or data set, or if another
            process trains there.
    """
    loop = _Loop(learner, folder, watcher, checkpoint_every_s)
    if folder is None:
        return loop.complete(None)
    found = loop.finished(folder, resume)
    if found is not None:
        return found
    with terminable(), locked(folder):
        return loop.finished(folder, resume) or loop.complete(loop.unfinished(folder, resume))


class _Loop(Watcher):
    """One run on its way from nothing to an artifact."""

    def __init__(self, learner: Learner, folder: Path | None, watcher: Watcher, every_s: float) -> None:
        self.learner, self.folder, self.watcher, self.every_s = learner, folder, watcher, every_s
        self.identity = identity(learner.kind, learner.config, learner.dataset)
        self._saved_at = time.monotonic()

    def finished(self, folder: Path, resume: bool) -> Artifact | None:
        """The run, if it is there already."""
        if not is_file(folder / MANIFEST):
            return None
        if not resume:
            raise UserError(f"run {folder}: already finished; give another --out, or --resume to see its result")
        artifact = load_artifact(folder)
        check_identity(folder, identity_of(artifact), self.identity)
        return artifact

    def unfinished(self, folder: Path, resume: bool) -> Checkpoint | None:
        """Where the training was interrupted, if it was."""
        checkpoint = load_checkpoint(folder)
        if checkpoint is None:
            return None
        if not resume:
            raise UserError(f"run {folder}: holds an unfinished training; give --resume to go on, or another --out")
        check_identity(folder, checkpoint.identity, self.identity)
        return checkpoint

    def complete(self, checkpoint: Checkpoint | None) -> Artifact:
        """Do what is left to do."""
        learner = self.learner
        self.watcher.on_data(learner.dataset.notes)
        learner.prepare(self.watcher)
        if checkpoint is None:
            learner.start(self.watcher)
        else:
            self._restore(checkpoint)
        self._train_stage()
        while learner.next_stage():
            self._train_stage()
        self.watcher.on_measure()
        return self._finish()

    def _restore(self, checkpoint: Checkpoint) -> None:
        assert self.folder is not None  # where the checkpoint was
        try:
            self.learner.restore(checkpoint.state)
        except UserError as error:
            raise UserError(f"run {self.folder}: {error}") from error
        except NOT_A_STATE as error:
            raise other_version(self.folder) from error

    def _train_stage(self) -> None:
        """Train to the end of the stage; on an interruption save before it spreads."""
        trainer = self.learner.trainer
        self.watcher.on_stage(self.learner.stage, trainer)
        try:
            self._save()
            trainer.run(self)
        except (KeyboardInterrupt, Terminated):
            if trainer.consistent:  # else the last checkpoint stands
                self._save()
            raise

    def on_chunk(self, trainer: Trainer) -> None:
        """Save now and then."""
        self.watcher.on_chunk(trainer)
        if time.monotonic() - self._saved_at >= self.every_s:
            self._save()

    def on_epoch(self, trainer: Trainer) -> None:
        """Write the log."""
        if self.folder is not None:
            lines = "".join(json.dumps(line) + "\n" for line in self.learner.history())
            write_atomically(self.folder / LOG, lines.encode())
        self.watcher.on_epoch(trainer)

    def _save(self) -> None:
        if self.folder is not None:
            save_checkpoint(self.folder, Checkpoint(self.identity, self.learner.state()))
        self._saved_at = time.monotonic()

    def _finish(self) -> Artifact:
        """Measure, and write the artifact."""
        learner = self.learner
        network, fields = learner.deployable()
        manifest = {
            "kind": learner.kind,
            "seed": self.identity["seed"],
            "config": settings(learner.config),
            "data": describe_data(learner.dataset, len(learner.split.validation)),
            "versions": installed_versions(),
            **fields,
        }
        artifact = Artifact(network, manifest)
        if self.folder is not None:
            save_artifact(self.folder, artifact)
            remove_checkpoint(self.folder)
        return artifact
