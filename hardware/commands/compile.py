"""`settle compile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.commands.options import Json, Run, console, print_json, table_of


def compile_command(
    run: Run,
    target: Annotated[str, typer.Option(help="The chip: loihi2.")] = "loihi2",
    chips: Annotated[int | None, typer.Option(help="Chips there are; default as many as it takes.")] = None,
    constants: Annotated[
        str, typer.Option(help="Limits of a core: loihi2-lava, loihi2-brief, or limits and energies in a FILE.toml.")
    ] = "loihi2-lava",
    calibrate: Annotated[
        Path | None, typer.Option(help="CSV of counts, time, energy measured on a board; writes RUN/calibrated.toml.")
    ] = None,
    inference_only: Annotated[bool, typer.Option("--inference-only", help="Without what learning needs.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Leave Lava's chip compiler alone, even if there.")] = (
        False
    ),
    report: Annotated[bool, typer.Option("--report", help="Price images; write compile.html, energy.json.")] = False,
    images: Annotated[int, typer.Option(help="Test images to price, from the first.")] = 100,
    as_json: Json = False,
) -> None:
    """Place a run on the cores of a Loihi 2; say what is stock and what is not. Writes RUN/deployment.json."""
    from hardware.commands.screen import deployment_tables
    from hardware.face import DeployableRun

    finished, screen, more = DeployableRun.load(run), console(as_json), {}
    if calibrate is not None:
        calibration, constants = finished.calibrate(calibrate, constants)
        screen.print(table_of(calibration.lines()))
        more = {"calibration": {**calibration.to_json(), "constants": constants}}
    deployment = finished.compile(
        target, chips=chips, constants=constants, inference_only=inference_only, dry_run=dry_run
    )
    screen.print(deployment_tables(deployment))
    if report:
        from hardware.chip.constants_file import is_constants_file
        from hardware.commands.price import price
        from hardware.energy.constants import DEFAULT_SET

        energies = constants if is_constants_file(constants) else DEFAULT_SET
        page = price(finished.artifact, deployment, run, screen, images, energies)
        screen.print(f"report: {page}", markup=False)
    print_json(as_json, {**deployment.summary(), **more})
