"""`settle train ep` and `settle train lca`."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuro.base.errors import UserError
from sim.commands.options import (
    CheckpointEveryS,
    Device,
    FrontEndRun,
    Json,
    Resume,
    Seed,
    StallS,
    Threads,
    answer,
    console,
    layer_sizes,
    print_json,
    table_of,
)

if TYPE_CHECKING:
    from neuro.data.sets import Dataset
    from sim.training.config import TrainConfig
    from sim.training.front_end import FrontEnd
    from sim.training.parallel.sweep import Sweep

app = typer.Typer(help="Train a network by its local rule.", no_args_is_help=True)


@app.command("ep")
def train_ep_command(
    data: Annotated[str, typer.Option(help="digits, mnist, fashion-mnist, cifar10, or a FILE.npz.")] = "digits",
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default runs/ep-DATA-HIDDEN-seedN.")] = None,
    hidden: Annotated[
        str | None, typer.Option(help="Hidden layers from input to output, e.g. 256,128. Default 256.")
    ] = None,
    layers: Annotated[
        str, typer.Option(help="In place of --hidden, with kernels (features x extent): conv:32x5,pool:2,dense:128.")
    ] = "",
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set; default from its size.")] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            help="Local rule: event (STDP, default), end-point, y3; stock: R5 (default), R1..R4, deferred, graded."
        ),
    ] = None,
    shadow_bits: Annotated[int, typer.Option(help="Accumulator bits below the weight while learning, 0..8.")] = 8,
    weight_bits: Annotated[int, typer.Option(help="Bits of a weight, 2..8.")] = 8,
    batch_size: Annotated[int, typer.Option(help="Images that learn from the same weights; > 1 uses all cores.")] = 1,
    learning_rate: Annotated[float | None, typer.Option(help="Default: chosen on a validation split.")] = None,
    output_share: Annotated[float | None, typer.Option(help="Output layer's share of the learning rate.")] = None,
    centred: Annotated[
        bool | None, typer.Option("--centred/--not-centred", help="Subtract the mean image; default from the data.")
    ] = None,
    refit: Annotated[
        bool | None, typer.Option("--refit/--no-refit", help="Train again on all training images; default if few.")
    ] = None,
    family: Annotated[
        str, typer.Option(help="sigma-delta, or stock: processes that Lava ships, rules of the chip's learning engine.")
    ] = "sigma-delta",
    noise: Annotated[str, typer.Option(help="Stock: random numbers per-synapse (a chip), or shared (Lava).")] = (
        "per-synapse"
    ),
    weight_lsb: Annotated[int, typer.Option(help="Stock: step of a learned weight, 1 (Lava) or 2.")] = 1,
    backend: Annotated[
        str | None,
        typer.Option(help="events (default) or torch: equal weights. Stock: lava learns --images inside Lava itself."),
    ] = None,
    device: Device = "cpu",
    images: Annotated[int | None, typer.Option(help="Training images to learn inside Lava.")] = None,
    stall_s: StallS = 120.0,
    shift: Annotated[
        int, typer.Option(help="Shift training images at random by up to so many pixels each time they are learned.")
    ] = 0,
    front_end: FrontEndRun = None,
    seed: Seed = 0,
    seeds: Annotated[
        int | None, typer.Option(help="Train so many seeds from --seed on, each in a folder of its own.")
    ] = None,
    slurm: Annotated[
        str | None, typer.Option(help="Submit the missing --seeds to this Slurm partition and return.")
    ] = None,
    threads: Threads = None,
    resume: Resume = False,
    checkpoint_every_s: CheckpointEveryS = 5.0,
    as_json: Json = False,
) -> None:
    """Train an equilibrium propagation network; Ctrl-C and even kill -9 lose nothing: go on with --resume.

    Started by torchrun, with --backend torch, all its processes share every batch; their number changes no weight.
    """
    from sim.training.config import TrainConfig

    _check_backend(backend, images, device)
    if family == "stock" and rule != "graded" and backend in ("events", "torch"):
        raise UserError(f"--backend {backend}: it runs no stock networks; leave it out, or give lava")
    config = TrainConfig(
        seed, _hidden(hidden, layers), rule or ("R5" if family == "stock" else "event"), shadow_bits, weight_bits,
        epochs, batch_size, threads, family, noise, weight_lsb, learning_rate, output_share, centred, None, refit,
        layers=layers, shift=shift,
    )  # fmt: skip
    kind = "ep" if family == "sigma-delta" else f"ep-{family}-{config.rule}"
    if front_end is not None:
        kind = f"{front_end.name}-{kind}"
    last = f"seed{seed}" if seeds is None else f"{seeds}-seeds"
    sizes = re.sub(r"[^a-z0-9]+", "-", layers) or "-".join(map(str, config.hidden))
    folder = out or Path("runs") / f"{kind}-{Path(data).stem}-{sizes}-{last}"
    if seeds is not None or slurm is not None:
        from sim.training.parallel.sweep import Sweep

        sweep = Sweep(data, config, folder, 1 if seeds is None else seeds, backend or "", device, front_end)
        _train_seeds(sweep, slurm, as_json)
    elif backend == "lava":
        _train_in_lava(data, config, folder, IMAGES_IN_LAVA if images is None else images, stall_s, as_json)
    else:
        where = (backend or "", device)
        _train_one(data, config, folder, front_end, where, resume, checkpoint_every_s, as_json)


def _train_one(
    data: str, config: TrainConfig, folder: Path, front_end: Path | None, where: tuple[str, str], resume: bool,
    checkpoint_every_s: float, as_json: bool,
) -> None:  # fmt: skip
    """Train on a backend and device; every process that torchrun started does, and the first one reports."""
    from neuro.data.sets import load_dataset
    from sim.screens.training import TrainScreen
    from sim.training.equilibrium import train_ep
    from sim.training.parallel.data_parallel import joined, own_folder
    from sim.training.parallel.sweep import Unwatched

    dataset = load_dataset(data, config.seed)
    front = _front_end(front_end, dataset)
    with joined(*where) as engine, own_folder(engine, folder) as own:
        with TrainScreen() if engine.leads else contextlib.nullcontext(Unwatched()) as screen:
            result = train_ep(
                dataset, config, own, screen, front, resume=resume, checkpoint_every_s=checkpoint_every_s,
                engine=engine,
            )  # fmt: skip
        if engine.leads:
            answer(result, as_json)


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
    found = summary(results)
    spread = f" +- {found['test_accuracy_sd']:.4f}" if found["test_accuracy_sd"] is not None else ""
    rows = [(run["run"], f"test accuracy {run['test_accuracy']:.4f}") for run in found["runs"]]
    mean = ("mean", f"{found['test_accuracy']:.4f}{spread}, {found['n_seeds']} seeds")
    console(as_json).print(table_of([*rows, mean]))
    print_json(as_json, found)


def _hidden(sizes: str | None, layers: str) -> tuple[int, ...]:
    """Sizes of all-to-all layers; none if `layers` says what is hidden."""
    return () if layers and sizes is None else layer_sizes("256" if sizes is None else sizes)


def _front_end(run: Path | None, dataset: Dataset) -> FrontEnd | None:
    if run is None:
        return None
    from sim.training.front_end import load_front_end

    return load_front_end(run, dataset)


@app.command("lca")
def train_lca_command(
    data: Annotated[str, typer.Option(help="digits, mnist, fashion-mnist, cifar10, or a FILE.npz.")] = "digits",
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default runs/lca-DATA-ATOMS-seedN.")] = None,
    atoms: Annotated[int | None, typer.Option(help="Atoms; default 256, of patches 64.")] = None,
    patch: Annotated[int | None, typer.Option(help="Extent of convolutional atoms; default: whole images.")] = None,
    stride: Annotated[int | None, typer.Option(help="Stride of convolutional atoms; default half their extent.")] = (
        None
    ),
    same: Annotated[bool, typer.Option("--same", help="Pad images so that any stride tiles them.")] = False,
    threshold: Annotated[float | None, typer.Option(help="Sparsity threshold (lambda); default from the data.")] = (
        None
    ),
    hard: Annotated[bool, typer.Option("--hard", help="Hard threshold in place of the soft one.")] = False,
    signed: Annotated[bool, typer.Option("--signed", help="Codes of both signs.")] = False,
    layout: Annotated[
        str | None, typer.Option(help="inhibition (default for whole images) or residual (for patches).")
    ] = None,
    activation_bits: Annotated[int | None, typer.Option(help="Payload unit of codes 2**-bits.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set; default from its size.")] = None,
    shadow_bits: Annotated[int, typer.Option(help="Accumulator bits below the weight while learning, 0..8.")] = 8,
    normalise: Annotated[
        bool, typer.Option("--normalise/--chip-alone", help="Whether a host gives atoms unit norm now and then.")
    ] = True,
    whiten: Annotated[bool, typer.Option("--whiten", help="Whiten images (ZCA learned from training images).")] = False,
    normalise_contrast: Annotated[
        bool, typer.Option("--normalise-contrast", help="Divide each image by its contrast (divisive normalisation).")
    ] = False,
    front_end: FrontEndRun = None,
    seed: Seed = 0,
    threads: Threads = None,
    resume: Resume = False,
    checkpoint_every_s: CheckpointEveryS = 5.0,
    as_json: Json = False,
) -> None:
    """Learn a sparse coder (LCA) by its local rule; use it alone, or as the front end of another network."""
    from neuro.data.sets import load_dataset
    from sim.coding.recipe import LcaConfig
    from sim.coding.training import train_lca
    from sim.screens.training import CoderScreen

    dataset = load_dataset(data, seed)
    front = _front_end(front_end, dataset)
    config = LcaConfig(
        seed, atoms, patch, stride, same, threshold, signed, "hard" if hard else "soft", layout, activation_bits,
        epochs, shadow_bits, normalise, threads, front.sha256 if front else "", whiten, normalise_contrast,
    )  # fmt: skip
    kind = "lca" if front_end is None else f"{front_end.name}-lca"
    name = "-".join(str(part) for part in (kind, dataset.name, atoms, patch and f"{patch}x{patch}") if part)
    with CoderScreen() as screen:
        result = train_lca(
            dataset, config, out or Path("runs") / f"{name}-seed{seed}", screen, front, resume=resume,
            checkpoint_every_s=checkpoint_every_s,
        )  # fmt: skip
    answer(result, as_json)


IMAGES_IN_LAVA = 20  # seconds each


def _check_backend(backend: str | None, images: int | None, device: str) -> None:
    if backend not in (None, "events", "torch", "lava"):
        raise UserError(f"--backend {backend}: trainings run on events, torch, or (family stock) lava")
    if device != "cpu" and backend != "torch":
        raise UserError(f"--device {device}: only backend torch computes there; give --backend torch too")
    if images is not None and backend != "lava":
        raise UserError("--images: counts images to learn inside Lava; give --backend lava too, or --epochs instead")


def _train_in_lava(data: str, config: TrainConfig, folder: Path, images: int, stall_s: float, as_json: bool) -> None:
    from neuro.data.sets import load_dataset
    from sim.screens.training import ImageProgress
    from sim.training.in_lava import train_in_lava

    dataset = load_dataset(data, config.seed)
    with ImageProgress("learning inside lava", images) as progress:
        result = train_in_lava(dataset, config, folder, images, stall_s, progress.on_image)
    answer(result, as_json)
