"""What commands with long work share: parts, processes, Slurm, and a later call that collects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuro.base.errors import UserError
from sim.commands.options import console, print_json

if TYPE_CHECKING:
    from sim.training.parallel.shards import Sharded

Shard = Annotated[str | None, typer.Option(help="Do only part I/N of the work; a later call collects.")]
Workers = Annotated[int | None, typer.Option(help="Processes that share the work; default one a core.")]
Slurm = Annotated[str | None, typer.Option(help="Submit the missing shards to this Slurm partition and return.")]


def complete(
    job: Sharded, run: Path, do: Callable[[Sequence[int]], None], shard: str | None, slurm: str | None, as_json: bool
) -> bool:
    """Whether all shards of a job are there: after those of part `shard` were done by `do`, or submitted to Slurm."""
    shards = part_of(shard, job.n_shards)
    if slurm is not None:
        from sim.training.parallel.shards import submit_shards

        submitted, number = submit_shards(job, shards, slurm)
        if submitted:
            console(as_json).print(
                f"submitted shards {submitted} of {job.n_shards} as job {number}; once `squeue -j {number}` is empty, "
                "the same command collects them, and submits again what failed", markup=False,
            )  # fmt: skip
            print_json(as_json, {"run": str(run), "missing": job.missing(), "shards": job.n_shards, "job": number})
            return False
    do(shards)
    missing = job.missing()
    if missing:
        console(as_json).print(f"shards {missing} of {job.n_shards} are still missing", markup=False)
        print_json(as_json, {"run": str(run), "missing": missing, "shards": job.n_shards})
    return not missing


def part_of(shard: str | None, n_shards: int) -> list[int]:
    """The shards of part I/N: every N-th one, from the I-th. Raises: UserError if there is no such part."""
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
