"""What a person sees on the terminal: progress bars on stderr, tables for results."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from sim.screens.notebook import NotebookProgress, in_notebook
from sim.training.trainer import Trainer
from sim.training.tune import Trial
from sim.training.watcher import Watcher

if TYPE_CHECKING:
    from sim.coding.trainer import LcaTrainer

STAGES = {"fit": "training", "refit": "training on all"}


_SHOWN: ContextVar[bool] = ContextVar("shown", default=True)


@contextlib.contextmanager
def shown(progress: bool) -> Iterator[None]:
    """Show the bars that are made within, or none."""
    before = _SHOWN.set(progress)
    try:
        yield
    finally:
        _SHOWN.reset(before)


def bar() -> Progress:
    """A progress bar: on stderr, or in the notebook that runs this."""
    if not _SHOWN.get():
        return Progress(disable=True)
    if in_notebook():
        return NotebookProgress()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True, highlight=False),
        transient=False,
    )


def say(notes: Sequence[str], console: Console | None = None, about: str = "data") -> None:
    """Say what was done to data, or else, a line each, on stderr or in the notebook, unless nothing is to be shown."""
    if not _SHOWN.get():
        return
    console = console or Console(stderr=not in_notebook(), highlight=False)
    for note in notes:
        console.print(f"{about}: {note}", markup=False, soft_wrap=True)


Screen = TypeVar("Screen", bound="BarScreen")


class BarScreen:
    """A progress bar on stderr for as long as its `with` block lasts."""

    def __init__(self) -> None:
        self._progress = bar()
        self._task: TaskID | None = None

    def __enter__(self: Screen) -> Screen:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def on_data(self, notes: Sequence[str]) -> None:
        """Say what was done to the data, above the bars."""
        say(notes, None if in_notebook() else self._progress.console)


class TrainScreen(BarScreen, Watcher):
    """Shows a training; a context manager."""

    def __init__(self) -> None:
        super().__init__()
        self._trials = 0
        self._remark = ""

    def _close_task(self) -> None:
        """Show the last bar as complete; drop it if nothing was counted."""
        if self._task is not None:
            bar = self._progress.tasks[-1]
            if bar.completed == 0:
                self._progress.remove_task(self._task)
            else:
                self._progress.update(self._task, total=bar.total or bar.completed)

    def _next_task(self, description: str, total: int | None) -> TaskID:
        self._task = self._progress.add_task(description, total=total, note="")
        return self._task

    def on_compile(self) -> None:
        """Say what the first seconds after an installation are spent on."""
        self._next_task("compiling, once", None)

    def on_trial(self, trial: Trial) -> None:
        """Show a hyper-parameter trial."""
        if self._trials == 0:
            self._close_task()
            self._next_task("choosing rates", None)
        task = self._task
        assert task is not None  # made above
        self._trials += 1
        note = f"rate {trial.choices.learning_rate:g} share {trial.choices.output_share:g}: {trial.val_accuracy:.4f}"
        self._progress.update(task, completed=self._trials, note=note)

    def on_stage(self, stage: str, trainer: Trainer) -> None:
        """Start a bar for a training; say once how its session computes."""
        self._close_task()
        if trainer.session.remark != self._remark:
            self._remark = trainer.session.remark
            say([self._remark], None if in_notebook() else self._progress.console, about="device")
        self._next_task(STAGES[stage], trainer.n_epochs * trainer.n_images)
        self.on_chunk(trainer)

    def on_chunk(self, trainer: Trainer) -> None:
        """Advance the bar."""
        done = trainer.progress
        if self._task is not None:
            self._progress.update(self._task, completed=done.epoch * trainer.n_images + done.position)

    def on_epoch(self, trainer: Trainer) -> None:
        """Show an epoch."""
        epoch = trainer.progress.history[-1]
        measured = f"train {epoch.train_accuracy:.4f}"
        if epoch.val_accuracy is not None:
            measured = f"validation {epoch.val_accuracy:.4f}"
        note = f"{epoch.epoch}/{trainer.n_epochs}  {measured}  {epoch.images_per_s:,.0f} images/s"
        if self._task is not None:
            self._progress.update(self._task, completed=trainer.progress.epoch * trainer.n_images, note=note)


class CoderScreen(BarScreen, Watcher):
    """Shows the training of a sparse coder; a context manager."""

    def on_stage(self, stage: str, trainer: LcaTrainer) -> None:
        """Start a bar."""
        self._task = self._progress.add_task("learning atoms", total=trainer.n_epochs * trainer.n_images, note="")
        self.on_chunk(trainer)

    def on_chunk(self, trainer: LcaTrainer) -> None:
        """Advance the bar."""
        if self._task is not None:
            done = trainer.progress.epoch * trainer.n_images + trainer.progress.position
            self._progress.update(self._task, completed=done)

    def on_epoch(self, trainer: LcaTrainer) -> None:
        """Show an epoch."""
        epoch = trainer.progress.history[-1]
        note = (
            f"{epoch.epoch}/{trainer.n_epochs}  objective {epoch.objective:.4g}  {epoch.active:.1f} active  "
            f"{epoch.images_per_s:,.0f} images/s"
        )
        if self._task is not None:
            self._progress.update(self._task, completed=trainer.progress.epoch * trainer.n_images, note=note)

    def on_measure(self) -> None:
        """Say what the time after the training is spent on."""
        self._task = self._progress.add_task("measuring", total=None, note="against the LASSO solution, linear readout")


class ImageProgress:
    """A bar for an evaluation that goes image by image; silent for backends that finish in one go."""

    def __init__(self, name: str, total: int) -> None:
        self._progress = bar()
        self._name, self._total = name, total
        self._task: TaskID | None = None

    def __enter__(self) -> ImageProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def on_image(self, done: int) -> None:
        """Show that `done` images are finished."""
        if self._task is None:
            self._progress.start()
            self._task = self._progress.add_task(self._name, total=self._total, note="images")
        self._progress.update(self._task, completed=done)
