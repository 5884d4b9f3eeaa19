"""`settle attack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neuro.base.errors import UserError
from sim.commands.from_config import options_of
from sim.commands.options import Json, Run, answer, console, print_json
from sim.robustness.bridge.config import AttackConfig


@options_of(AttackConfig)
def attack_command(
    run: Run,
    *,
    config: AttackConfig,
    shard: Annotated[str | None, typer.Option(help="Do only part I/N of the work; a later call collects.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that share the work; default one a core.")] = None,
    slurm: Annotated[
        str | None, typer.Option(help="Submit the missing shards to this Slurm partition and return.")
    ] = None,
    against: Annotated[
        list[Path] | None, typer.Option(help="Another run on the same data, for the transfer matrix; repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Attack a run through its twins, score the deployed integers, and judge whether the result can be trusted."""
    from sim.face.attack import conclude, do
    from sim.robustness.bridge.run import AttackRun
    from sim.robustness.bridge.workers import submit_shards

    job = AttackRun(run, config, against or ())
    shards = _part(shard, job.n_shards)
    if slurm is not None:
        submitted, number = submit_shards(job, shards, slurm)
        if submitted:
            console(as_json).print(
                f"submitted shards {submitted} of {job.n_shards} as job {number}; once `squeue -j {number}` is empty, "
                "the same command collects them, and submits again what failed", markup=False,
            )  # fmt: skip
            print_json(as_json, {"run": str(run), "missing": job.missing(), "shards": job.n_shards, "job": number})
            return
    do(job, shards, workers)
    if job.missing():
        console(as_json).print(f"shards {job.missing()} of {job.n_shards} are still missing", markup=False)
        print_json(as_json, {"run": str(run), "missing": job.missing(), "shards": job.n_shards})
        return
    result, page = conclude(job)
    console(as_json).print(f"report: {page}", markup=False)
    answer(result, as_json)


def _part(shard: str | None, n_shards: int) -> list[int]:
    """The shards of part I/N: every N-th one, from the I-th."""
    if shard is None:
        return list(range(1, n_shards + 1))
    try:
        index, count = (int(number) for number in shard.split("/"))
    except ValueError as error:
        raise UserError(f"--shard {shard!r}: give I/N, e.g. 1/4") from error
    if not 1 <= index <= count <= n_shards:
        raise UserError(
            f"--shard {shard}: needs 1 <= I <= N <= {n_shards}, the shards of so many images; ask for fewer"
        )
    return list(range(index, n_shards + 1, count))
