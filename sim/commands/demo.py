"""settle demo: from handwritten digits to a page that shows a network learning by spikes, equal on Lava."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from neuro.artifact.run_folder import MANIFEST, SPEC, WEIGHTS, load_artifact
from neuro.base.errors import UserError
from neuro.data.sets import load_dataset
from sim.backends.protocol import get_backend
from sim.commands.options import table_of
from sim.evaluate import RESULTS, add_result, evaluate
from sim.reports.attack import write_attack_report
from sim.reports.beside import CHIP_PAGE, DEPLOYMENT
from sim.reports.page import write_report
from sim.reports.priced import PRICES
from sim.robustness.bridge.config import AttackConfig
from sim.robustness.bridge.run import ATTACKS, AttackRun
from sim.screens.attack import ShardScreen
from sim.screens.training import ImageProgress, TrainScreen
from sim.training.checkpoint import CHECKPOINT
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep
from sim.training.loop import LOG
from sim.training.parallel.shards import do_shards

HIDDEN = (64,)
ATTACK = AttackConfig(eps=(0.1,), images=100)
REPORT = "report.html"
RUN_FILES = (MANIFEST, SPEC, WEIGHTS, LOG, CHECKPOINT, RESULTS, REPORT, PRICES, CHIP_PAGE, DEPLOYMENT)


def run_demo(
    folder: Path,
    n_images: int,
    seed: int,
    threads: int | None,
    console: Console,
    place: Callable[[Path], None] | None = None,
) -> dict[str, Any]:
    """Train on digits, check on Lava where it is installed, attack, write the report; returns what `--json` prints.

    place: shows on which cores of a chip the run in a folder would lie.
    """
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
    console.print(table_of(result.lines()))
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
        console.print(table_of(evaluation.lines()))
        content["lava"] = evaluation.to_json()
    content["attack"] = _attack(folder, console)
    if place is not None:
        console.print("[bold]4. Place[/] it on the cores of a Loihi 2, by public limits; nothing of this ran on a chip")
        place(folder)
    report = write_report([folder], folder / REPORT)
    console.print(f"[bold]5. Report[/] {escape(str(report))}")
    return {**content, "report": str(report)}


def _attack(folder: Path, console: Console) -> dict[str, Any]:
    """Attack the run as `settle attack` does; return robust accuracy and the verdict."""
    console.print(
        f"[bold]3. Attack[/] the same integers through a differentiable twin: {ATTACK.images} test images, no pixel "
        f"moves by more than {ATTACK.eps[0]:g}"
    )
    job = AttackRun(folder, ATTACK)
    with ShardScreen("attacking", job.n_shards) as screen:
        do_shards(job, range(1, job.n_shards + 1), 1, screen)
    result = job.result()
    write_attack_report(job, result)
    console.print(table_of(result.lines()))
    found = result.to_json()
    return {key: found[key] for key in ("n", "clean", "robust", "verdict", "reasons")}


def _clear(folder: Path) -> None:
    """Remove the files of an earlier run from `folder`; refuse if it holds anything but a run."""
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not any((folder / name).is_file() for name in RUN_FILES)):
        raise UserError(f"demo folder {folder}: exists and holds no run; give another --out")
    for name in RUN_FILES:
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / ATTACKS, ignore_errors=True)
