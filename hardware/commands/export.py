"""`settle export` and `settle train slayer`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hardware.slayer.config import SlayerConfig
from neuro.data.options import DataOptions
from sim.commands.from_config import options_of
from sim.commands.options import CheckpointEveryS, Data, Json, Resume, Run, StallS, answer


def export_command(
    run: Run,
    form: Annotated[str, typer.Option("--format", help="netx (lava-dl, HDF5) or nir.")],
    out: Annotated[Path | None, typer.Option(help="File to write; default RUN/network.net or .nir.")] = None,
    images: Annotated[int | None, typer.Option(help="Test images to prove the file on; default 200.")] = None,
    forward_only: Annotated[
        bool, typer.Option("--forward-only", help="Leave feedback out: another network, for formats without it.")
    ] = False,
    feedback: Annotated[
        str, typer.Option(help="In nir: delay (Delay nodes), or recurrent (one layer, which more readers know).")
    ] = "delay",
    stall_s: StallS = 120.0,
    as_json: Json = False,
) -> None:
    """Write a run for other tools, after reading it back and running it there; refuses what a format cannot hold."""
    from hardware.face import DeployableRun

    finished = DeployableRun.load(run)
    export = finished.export(form, out, images=images, forward_only=forward_only, feedback=feedback, stall_s=stall_s)
    answer(export, as_json)


@options_of(SlayerConfig)
@options_of(DataOptions, "options")
def train_slayer_command(
    data: Data = "digits",
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default runs/slayer-DATA-...-seedN.")] = None,
    *,
    options: DataOptions,
    config: SlayerConfig,
    resume: Resume = False,
    checkpoint_every_s: CheckpointEveryS = 5.0,
    as_json: Json = False,
) -> None:
    """Train the usual competitor: feed-forward CUBA neurons, by backpropagation in lava-dl's SLAYER."""
    from hardware.slayer.network import check_lava_dl
    from hardware.slayer.training import SlayerScreen, train_slayer_run
    from neuro.data.sets import load_dataset

    check_lava_dl()
    dataset = load_dataset(data, config.seed, options)
    name = f"slayer-{dataset.name}-{'-'.join(map(str, config.hidden))}-seed{config.seed}"
    with SlayerScreen() as screen:
        result = train_slayer_run(
            dataset, config, out or Path("runs") / name, screen, resume=resume, checkpoint_every_s=checkpoint_every_s
        )
    answer(result, as_json)
