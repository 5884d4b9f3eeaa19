"""`settle export` and `settle train slayer`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hardware.slayer.config import SlayerConfig
from sim.commands.from_config import options_of
from sim.commands.options import CheckpointEveryS, Json, Resume, Run, StallS, console, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from hardware.export.run import Export


def export_command(
    run: Run,
    form: Annotated[str, typer.Option("--format", help="netx (lava-dl, HDF5) or nir.")],
    out: Annotated[Path | None, typer.Option(help="File to write; default RUN/network.net or .nir.")] = None,
    images: Annotated[int | None, typer.Option(help="Test images to prove the file on; default 200.")] = None,
    forward_only: Annotated[
        bool, typer.Option("--forward-only", help="Leave feedback out: another network, for formats without it.")
    ] = False,
    stall_s: StallS = 120.0,
    as_json: Json = False,
) -> None:
    """Write a run for other tools, after reading it back and running it there; refuses what a format cannot hold."""
    from hardware.export.run import IMAGES, NETX, export_run
    from sim.commands.screen import ImageProgress

    with ImageProgress("running the netx file in lava" if form == NETX else form, images or IMAGES) as progress:
        export = export_run(
            run, form, out, images, forward_only=forward_only, stall_s=stall_s, on_image=progress.on_image
        )
    console(as_json).print(export_table(export))
    print_json(as_json, export.to_json())


def export_table(export: Export) -> Table:
    """Return what was written, and how it was proved."""
    from sim.commands.screen import table_of

    found = export.agreement
    rows = [
        ("file", export.file),
        ("read back by", export.reader),
        ("equal predictions", f"{found.equal} of {found.n}, measured"),
        ("output spikes", f"{found.differing} of {found.spikes:,} differ; counts by {found.largest} at most"),
        ("right", f"{found.correct} of {found.n} exported, {found.correct_reimported} read back"),
    ]
    if export.equal_to_run is not None:
        rows.append(("without feedback", f"{export.equal_to_run} of {found.n} predictions are those of the run itself"))
    return table_of(rows)


@options_of(SlayerConfig)
def train_slayer_command(
    data: Annotated[str, typer.Option(help="digits, mnist, fashion-mnist, cifar10, or a FILE.npz.")] = "digits",
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default runs/slayer-DATA-...-seedN.")] = None,
    *,
    config: SlayerConfig,
    resume: Resume = False,
    checkpoint_every_s: CheckpointEveryS = 5.0,
    as_json: Json = False,
) -> None:
    """Train the usual competitor: feed-forward CUBA neurons, by backpropagation in lava-dl's SLAYER."""
    from hardware.slayer.network import check_lava_dl
    from hardware.slayer.training import SlayerScreen, train_slayer_run
    from neuro.data.sets import load_dataset
    from sim.commands.screen import result_table

    check_lava_dl()
    dataset = load_dataset(data, config.seed)
    name = f"slayer-{dataset.name}-{'-'.join(map(str, config.hidden))}-seed{config.seed}"
    with SlayerScreen() as screen:
        result = train_slayer_run(
            dataset, config, out or Path("runs") / name, screen, resume=resume, checkpoint_every_s=checkpoint_every_s
        )
    console(as_json).print(result_table(result))
    print_json(as_json, result.to_json())
