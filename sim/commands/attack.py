"""`settle attack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neuro.base.errors import UserError
from sim.commands.options import Json, Run, Seed, answer, console, numbers, print_json


def attack_command(
    run: Run,
    attacks: Annotated[str, typer.Option(help="quick, standard, or names of attacks separated by commas.")] = "quick",
    eps: Annotated[str | None, typer.Option(help="Sizes separated by commas; default .05,.1,.2,.3 (l2: 10 times).")] = (
        None
    ),
    norm: Annotated[str, typer.Option(help="linf: largest change of a pixel; l2: Euclidean.")] = "linf",
    images: Annotated[int | None, typer.Option(help="Test images, from the first; default 200, on Lava 10.")] = (None),
    score: Annotated[str, typer.Option(help="Backend that scores: events or chip, reference, lava.")] = "",
    shard: Annotated[str | None, typer.Option(help="Do only part I/N of the work; a later call collects.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that share the work; default one a core.")] = None,
    device: Annotated[str, typer.Option(help="Where gradients are computed: cpu or cuda.")] = "cpu",
    passes: Annotated[int, typer.Option(help="Average the scores of a stochastic twin over so many (EoT).")] = 1,
    slurm: Annotated[
        str | None, typer.Option(help="Submit the missing shards to this Slurm partition and return.")
    ] = None,
    against: Annotated[
        list[Path] | None, typer.Option(help="Another run on the same data, for the transfer matrix; repeatable.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Attack a run through its twins, score the deployed integers, and judge whether the result can be trusted."""
    from sim.face.attack import attack_config, attack_job, conclude, do
    from sim.robustness.bridge.workers import submit_shards

    sizes = numbers("--eps", eps) if eps else None
    config = attack_config(attacks, norm, sizes, images, score=score, seed=seed, device=device, passes=passes)
    job = attack_job(run, config, against or ())
    part = _part(shard, job.n_shards)
    if slurm is not None:
        submitted, number = submit_shards(job, part, slurm)
        if submitted:
            console(as_json).print(
                f"submitted shards {submitted} of {job.n_shards} as job {number}; once `squeue -j {number}` is empty, "
                "the same command collects them, and submits again what failed", markup=False,
            )  # fmt: skip
            print_json(as_json, {"run": str(run), "missing": job.missing(), "shards": job.n_shards, "job": number})
            return
    do(job, part, workers)
    if job.missing():
        console(as_json).print(f"shards {job.missing()} of {job.n_shards} are still missing", markup=False)
        print_json(as_json, {"run": str(run), "missing": job.missing(), "shards": job.n_shards})
        return
    result, page = conclude(job)
    console(as_json).print(f"report: {page}", markup=False)
    answer(result, as_json)


def _part(shard: str | None, n_shards: int) -> list[int]:
    """Return the shards of part I/N: every N-th one, from the I-th."""
    if shard is None:
        return list(range(1, n_shards + 1))
    try:
        part, parts = (int(number) for number in shard.split("/"))
    except ValueError as error:
        raise UserError(f"--shard {shard!r}: give I/N, e.g. 1/4") from error
    if not 1 <= part <= parts <= n_shards:
        raise UserError(
            f"--shard {shard}: needs 1 <= I <= N <= {n_shards}, the shards of so many images; ask for fewer"
        )
    return list(range(part, n_shards + 1, parts))
