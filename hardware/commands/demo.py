"""`settle demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.commands.options import Json, Seed, Threads, console, print_json


def demo_command(
    out: Annotated[Path, typer.Option(help="Folder of the run; an earlier demo in it is replaced.")] = Path(
        "runs/demo"
    ),
    images: Annotated[int, typer.Option(help="Test images to compare on Lava.")] = 100,
    seed: Seed = 0,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Digits, end to end, about a minute: train by local spikes, run on Lava, attack, place on a chip, report."""
    from hardware.commands.price import price
    from hardware.commands.screen import deployment_tables
    from hardware.compile.compiler import compile_run
    from neuro.artifact.run_folder import load_artifact
    from sim.commands.demo import run_demo

    screen = console(as_json)

    def place(folder: Path) -> None:
        artifact, deployment = load_artifact(folder), compile_run(folder, dry_run=True)
        screen.print(deployment_tables(deployment))
        price(artifact, deployment, folder, screen)

    print_json(as_json, run_demo(out, images, seed, threads, screen, place))
