"""`settle evaluate`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sim.commands.options import Device, Json, Run, StallS, Threads, console, print_json

SLOW_BACKENDS = {"lava": 100, "reference": 1000, "loihi2": 100}  # images they evaluate by default


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
    from neuro.base.errors import UserError
    from neuro.data.sets import load_dataset
    from sim.backends.protocol import get_backend, native_backend
    from sim.commands.screen import ImageProgress, evaluation_table
    from sim.evaluate import add_result, data_of, evaluate, load_run

    artifact = load_run(run)
    backend = backend or native_backend(artifact.spec)
    if device != "cpu" and backend != "torch":
        raise UserError(f"--device {device}: only backend torch computes there; give --backend torch too")
    chosen, other = get_backend(backend), get_backend(check) if check else None
    dataset = load_dataset(data, artifact.manifest["seed"]) if data else data_of(artifact)
    if images is None and backend in SLOW_BACKENDS:
        images = min(SLOW_BACKENDS[backend], len(dataset.y_test))
    with ImageProgress(backend, images or len(dataset.y_test)) as progress:
        options: dict[str, Any] = {"threads": threads}
        if backend in ("lava", "loihi2"):
            options.update(stall_s=stall_s, on_image=progress.on_image)
        if backend == "torch":
            options.update(device=device)
        evaluation = evaluate(artifact, run, dataset, chosen, images, other, **options)
    if data is None:
        add_result(run, artifact, evaluation)
    console(as_json).print(evaluation_table(evaluation))
    print_json(as_json, evaluation.to_json())
