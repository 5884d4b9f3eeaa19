"""What a person sees on the terminal: progress bars on stderr, tables for results."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from neuro.base.metrics import Accuracy
from sim.evaluate import Evaluation, equality_sentence
from sim.training.results import TrainResult
from sim.training.trainer import Trainer
from sim.training.tune import Trial
from sim.training.watcher import Watcher

if TYPE_CHECKING:
    from sim.coding.trainer import LcaTrainer
    from sim.coding.training import CoderResult
    from sim.training.in_lava import LavaTraining

STAGES = {"fit": "training", "refit": "training on all"}


def bar() -> Progress:
    """Return a progress bar on stderr."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True, highlight=False),
        transient=False,
    )


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


class TrainScreen(BarScreen, Watcher):
    """Shows a training; a context manager."""

    def __init__(self) -> None:
        super().__init__()
        self._trials = 0

    def _close_task(self) -> None:
        """Show the last bar as complete; drop it if nothing was counted."""
        if self._task is not None:
            shown = self._progress.tasks[-1]
            if shown.completed == 0:
                self._progress.remove_task(self._task)
            else:
                self._progress.update(self._task, total=shown.total or shown.completed)

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
        """Start a bar for a training."""
        self._close_task()
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


def accuracy_text(value: Accuracy) -> str:
    """Return an accuracy with its interval and n."""
    low, high = value.interval
    return f"{value.value:.4f}  (95 % interval {low:.4f} to {high:.4f}, n = {value.n})"


def table_of(rows: list[tuple[str, str]]) -> Table:
    """Return rows of a name and a value as a table."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    for row in rows:
        table.add_row(*(Text(part) for part in row))  # as it is: names may hold brackets
    return table


def result_table(result: TrainResult) -> Table:
    """Return the result of a training."""
    return table_of(
        [
            ("run", str(result.folder)),
            ("test accuracy", accuracy_text(result.test_accuracy)),
            ("best validated epoch", accuracy_text(result.val_accuracy)),
            ("spikes per inference", f"{result.spikes_per_inference:.1f}"),
            ("training speed", f"{result.images_per_s:,.0f} images/s"),
            ("CPU time", f"{result.train_cpu_s:.1f} s, choosing rates included"),
        ]
    )


def seeds_table(found: dict[str, Any]) -> Table:
    """Return the result of several seeds."""
    spread = f" +- {found['test_accuracy_sd']:.4f}" if found["test_accuracy_sd"] is not None else ""
    rows = [(run["run"], f"test accuracy {run['test_accuracy']:.4f}") for run in found["runs"]]
    return table_of([*rows, ("mean", f"{found['test_accuracy']:.4f}{spread}, {found['n_seeds']} seeds")])


def coder_table(result: CoderResult) -> Table:
    """Return the result of a sparse coder."""
    gap = "not defined for a hard threshold"
    if result.objective_gap is not None:
        gap = f"{100 * result.objective_gap:.2f} % above the LASSO solution, median"
    return table_of(
        [
            ("run", str(result.folder)),
            ("objective", gap),
            ("linear readout, test", f"{result.readout_accuracy:.4f}"),
            ("spikes per image", f"{result.spikes_per_image:.1f}, of {result.active:.1f} active units"),
            ("converged", f"{100 * result.converged:.1f} % of images, within 1 % of the objective at twice the steps"),
            ("sparsity threshold", f"{result.sparsity_threshold:g}"),
            ("training speed", f"{result.images_per_s:,.0f} images/s"),
        ]
    )


def evaluation_table(evaluation: Evaluation) -> Table:
    """Return the result of an evaluation."""
    rows = [
        ("run", evaluation.run),
        ("backend", evaluation.backend),
        ("accuracy", "none: a sparse coder has no classes"),
        ("spikes per inference", f"{evaluation.spikes_per_inference:.1f}"),
    ]
    if evaluation.accuracy is not None:
        rows[2] = ("accuracy", accuracy_text(evaluation.accuracy))
    found = evaluation.differences
    if found is not None:
        rows.append((f"{evaluation.backend} = {evaluation.check}?", equality_sentence(evaluation)))
    return table_of(rows)


def lava_training_table(result: LavaTraining) -> Table:
    """Return what a training inside Lava did."""
    found = result.differences
    verdict = "equal" if sum(found.values()) == 0 else "DIFFERENT"
    counted = ", ".join(f"{count} {kind}" for kind, count in found.items())
    speed = f"{result.lava_s:.0f} s in Lava, {result.chip_s:.1f} s on the chip backend, compiling included"
    return table_of(
        [
            ("run", str(result.folder)),
            ("learned", f"{result.n_images} images inside Lava's learning engine"),
            ("lava = chip?", f"{verdict}: {result.n_compared:,} weights; {counted} differ"),
            ("validation accuracy before", accuracy_text(result.val_before)),
            ("validation accuracy after", accuracy_text(result.val_accuracy)),
            ("time, measured", speed),
        ]
    )
