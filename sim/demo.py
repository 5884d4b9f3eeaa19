"""settle demo: from handwritten digits to a page that shows a network learning by spikes, equal on Lava."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from neuro.artifact import MANIFEST, SPEC, WEIGHTS, load_artifact
from neuro.data import load_dataset
from neuro.errors import UserError
from sim.backends.base import get_backend
from sim.checkpoint import CHECKPOINT
from sim.evaluate import RESULTS, add_result, evaluate
from sim.experiment import TrainConfig
from sim.report import write_report
from sim.screen import ImageProgress, TrainScreen, evaluation_table, result_table
from sim.train import LOG, train_ep

HIDDEN = (64,)
REPORT = "report.html"
RUN_FILES = (MANIFEST, SPEC, WEIGHTS, LOG, CHECKPOINT, RESULTS, REPORT)


def run_demo(folder: Path, n_images: int, seed: int, threads: int | None, console: Console) -> dict[str, Any]:
    """Train on digits, check on Lava where it is installed, write the report; returns what `--json` prints."""
    dataset = load_dataset("digits", seed)
    if not 1 <= n_images <= len(dataset.y_test):
        raise UserError(f"images {n_images} outside 1..{len(dataset.y_test)}, the size of the test set")
    _clear(folder)
    sizes = f"{dataset.x_train[0].size}-{HIDDEN[0]}-{dataset.n_classes}"
    console.print(
        f"[bold]1. Train[/] {sizes} on {len(dataset.y_train)} handwritten digits: equilibrium propagation, "
        "a synapse changes only when its neurons spike"
    )
    with TrainScreen() as screen:
        result = train_ep(dataset, TrainConfig(seed=seed, hidden=HIDDEN, threads=threads), folder, screen)
    console.print(result_table(result))
    content: dict[str, Any] = {**result.to_json(), "lava": None}
    artifact = load_artifact(folder)
    if importlib.util.find_spec("lava") is None:
        version = sys.version.split()[0]
        console.print(f"[bold]2. Lava[/] is not installed (it needs Python 3.10, this is {version}); skipped")
    else:
        console.print(f"[bold]2. Run[/] the same network as a Lava process graph on {n_images} test images")
        with ImageProgress("lava", n_images) as progress:
            evaluation = evaluate(
                artifact, folder, dataset, get_backend("lava"), n_images, get_backend("events"),
                on_image=progress.on_image,
            )  # fmt: skip
        add_result(folder, artifact, evaluation)
        console.print(evaluation_table(evaluation))
        content["lava"] = evaluation.to_json()
    report = write_report([folder], folder / REPORT)
    console.print(f"[bold]3. Report[/] {escape(str(report))}")
    return {**content, "report": str(report)}


def _clear(folder: Path) -> None:
    """Remove the files of an earlier run from `folder`; refuse if it holds anything but a run."""
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not any((folder / name).is_file() for name in RUN_FILES)):
        raise UserError(f"demo folder {folder}: exists and holds no run; give another --out")
    for name in RUN_FILES:
        (folder / name).unlink(missing_ok=True)
