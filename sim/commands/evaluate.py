"""`settle evaluate`."""

from __future__ import annotations

from typing import Annotated

import typer

from sim.commands.options import Device, Json, Run, StallS, Threads, answer


def evaluate_command(
    run: Run,
    backend: Annotated[
        str | None,
        typer.Option(
            help="events (default), torch, reference, snntorch, lava; stock: chip (default), snntorch, lava, loihi2."
        ),
    ] = None,
    images: Annotated[int | None, typer.Option(help="Test images, from the first; default all, 100 on lava.")] = None,
    check: Annotated[str | None, typer.Option(help="Compare every spike, state and prediction with a backend.")] = None,
    data: Annotated[str | None, typer.Option(help="Other data than the run was trained on.")] = None,
    device: Device = "cpu",
    threads: Threads = None,
    stall_s: StallS = 120.0,
    as_json: Json = False,
) -> None:
    """Measure accuracy and spikes of a run on a backend; with --check, prove it equal to another."""
    from sim.face.run import Run as Finished

    evaluation = Finished.load(run).evaluate(
        backend, images=images, check=check, data=data, device=device, threads=threads, stall_s=stall_s
    )
    answer(evaluation, as_json)
