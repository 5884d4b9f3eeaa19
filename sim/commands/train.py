"""`settle train ep` and `settle train lca`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuro.base.errors import UserError
from neuro.data.options import DataOptions
from sim.coding.config import LcaConfig
from sim.commands.from_config import options_of
from sim.commands.options import (
    CheckpointEveryS,
    Data,
    Device,
    FrontEnd,
    Json,
    Resume,
    StallS,
    answer,
    console,
    print_json,
    table_of,
)
from sim.training.config import TrainConfig, learns_on_chip

if TYPE_CHECKING:
    from sim.training.parallel.sweep import Sweep

app = typer.Typer(help="Train a network by its local rule.", no_args_is_help=True)


@app.command("ep")
@options_of(TrainConfig)
@options_of(DataOptions, "options")
def train_ep_command(
    data: Data = "digits",
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default runs/ep-DATA-HIDDEN-seedN.")] = None,
    *,
    options: DataOptions,
    config: TrainConfig,
    backend: Annotated[
        str | None,
        typer.Option(help="events (default) or torch: equal weights. Stock: lava learns --images inside Lava itself."),
    ] = None,
    device: Device = "cpu",
    images: Annotated[int | None, typer.Option(help="Training images to learn inside Lava.")] = None,
    stall_s: StallS = 120.0,
    front_end: FrontEnd = None,
    seeds: Annotated[
        int | None, typer.Option(help="Train so many seeds from --seed on, each in a folder of its own.")
    ] = None,
    slurm: Annotated[
        str | None, typer.Option(help="Submit the missing --seeds to this Slurm partition and return.")
    ] = None,
    resume: Resume = False,
    checkpoint_every_s: CheckpointEveryS = 5.0,
    as_json: Json = False,
) -> None:
    """Train an equilibrium propagation network; Ctrl-C and even kill -9 lose nothing: go on with --resume.

    Started by torchrun, with --backend torch, all its processes share every batch; their number changes no weight.
    """
    _check_backend(backend, images, device)
    if learns_on_chip(config) and backend in ("events", "torch"):
        raise UserError(f"--backend {backend}: it runs no stock networks; leave it out, or give lava")
    kind = "ep" if config.family == "sigma-delta" else f"ep-{config.family}-{config.rule}"
    from neuro.front_ends.named import is_fixed, name_of

    if front_end is not None and is_fixed(front_end):
        kind, config, front_end = f"{name_of(front_end)}-{kind}", replace(config, fixed_front=front_end), None
    elif front_end is not None:
        kind = f"{name_of(Path(front_end).name)}-{kind}"
    last = f"seed{config.seed}" if seeds is None else f"{seeds}-seeds"
    sizes = re.sub(r"[^a-z0-9]+", "-", config.layers) or "-".join(map(str, config.hidden))
    from neuro.data.sources import stem_of

    folder = out or Path("runs") / f"{kind}-{stem_of(data)}-{sizes}-{last}"
    if seeds is not None or slurm is not None:
        from sim.training.parallel.sweep import Sweep

        sweep = Sweep(data, config, folder, 1 if seeds is None else seeds, backend or "", device,
                      Path(front_end) if front_end else None, options)  # fmt: skip
        _train_seeds(sweep, slurm, as_json)
    elif backend == "lava":
        _train_in_lava(data, options, config, folder, IMAGES_IN_LAVA if images is None else images, stall_s, resume,
                       checkpoint_every_s, as_json)  # fmt: skip
    else:
        from sim.face.training import train_network

        trained = train_network(
            data, config, folder, options=options, front_end=front_end, backend=backend or "", device=device,
            resume=resume, checkpoint_every_s=checkpoint_every_s,
        )  # fmt: skip
        if trained.leads:
            answer(trained.result, as_json)


def _train_seeds(sweep: Sweep, partition: str | None, as_json: bool) -> None:
    """Submit the missing seeds to a cluster, or train them here and report on all."""
    from sim.screens.training import TrainScreen
    from sim.training.parallel.data_parallel import started_by_torchrun
    from sim.training.parallel.sweep import submit_seeds, summary

    if started_by_torchrun():
        raise UserError("--seeds: not under torchrun; train the seeds one by one, or submit them with --slurm")
    if partition is not None:
        submitted, number = submit_seeds(sweep, partition)
        if submitted:
            console(as_json).print(
                f"submitted seeds {submitted} of {sweep.n_seeds} as job {number}; once `squeue -j {number}` is empty, "
                "the same command collects them, and submits again what failed", markup=False,
            )  # fmt: skip
            print_json(as_json, {"run": str(sweep.folder), "missing": submitted, "job": number})
            return
    results = []
    for seed in sweep.seeds:
        with TrainScreen() as screen:
            results.append(sweep.do(seed, screen))
    figures = summary(results)
    spread = f" +- {figures['test_accuracy_sd']:.4f}" if figures["test_accuracy_sd"] is not None else ""
    rows = [(run["run"], f"test accuracy {run['test_accuracy']:.4f}") for run in figures["runs"]]
    mean = ("mean", f"{figures['test_accuracy']:.4f}{spread}, {figures['n_seeds']} seeds")
    console(as_json).print(table_of([*rows, mean]))
    print_json(as_json, figures)


@app.command("lca")
@options_of(LcaConfig)
@options_of(DataOptions, "options")
def train_lca_command(
    data: Data = "digits",
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default runs/lca-DATA-ATOMS-seedN.")] = None,
    *,
    options: DataOptions,
    config: LcaConfig,
    front_end: FrontEnd = None,
    resume: Resume = False,
    checkpoint_every_s: CheckpointEveryS = 5.0,
    as_json: Json = False,
) -> None:
    """Learn a sparse coder (LCA) by its local rule; use it alone, or as the front end of another network."""
    from sim.face.training import train_sparse_coder

    kind = f"lca-stock-{config.form}" if config.stock else "lca"
    from neuro.front_ends.named import name_of

    kind = kind if front_end is None else f"{name_of(Path(front_end).name)}-{kind}"
    patch = config.patch and f"{config.patch}x{config.patch}"
    from neuro.data.sources import stem_of

    name = "-".join(str(part) for part in (kind, stem_of(data), config.atoms, patch) if part)
    trained = train_sparse_coder(
        data, config, out or Path("runs") / f"{name}-seed{config.seed}", options=options, front_end=front_end,
        resume=resume, checkpoint_every_s=checkpoint_every_s,
    )  # fmt: skip
    answer(trained.result, as_json)


IMAGES_IN_LAVA = 20  # seconds each


def _check_backend(backend: str | None, images: int | None, device: str) -> None:
    if backend not in (None, "events", "torch", "lava"):
        raise UserError(f"--backend {backend}: trainings run on events, torch, or (family stock) lava")
    if device != "cpu" and backend != "torch":
        raise UserError(f"--device {device}: only backend torch computes there; give --backend torch too")
    if images is not None and backend != "lava":
        raise UserError("--images: counts images to learn inside Lava; give --backend lava too, or --epochs instead")


def _train_in_lava(
    data: str, options: DataOptions, config: TrainConfig, folder: Path, images: int, stall_s: float, resume: bool,
    checkpoint_every_s: float, as_json: bool,
) -> None:  # fmt: skip
    from neuro.data.sets import load_dataset
    from sim.screens.training import ImageProgress, say
    from sim.training.in_lava import train_in_lava

    dataset = load_dataset(data, config.seed, options)
    say(dataset.notes)
    with ImageProgress("learning inside lava", images) as progress:
        result = train_in_lava(
            dataset, config, folder, images, stall_s, progress.on_image, resume=resume,
            checkpoint_every_s=checkpoint_every_s,
        )  # fmt: skip
    answer(result, as_json)
