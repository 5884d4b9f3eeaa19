"""`settle perturb`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.commands.from_config import options_of
from sim.commands.options import Json, Run, answer
from sim.commands.sharing import Shard, Slurm, Workers, complete
from sim.perturbation.config import PerturbConfig


@options_of(PerturbConfig)
def perturb_command(
    run: Run,
    *,
    config: PerturbConfig,
    against: Annotated[
        Path | None,
        typer.Option(help="A run on the same data that errors are related to.", show_default="perceptron of its shape"),
    ] = None,
    shard: Shard = None,
    workers: Workers = None,
    slurm: Slurm = None,
    as_json: Json = False,
) -> None:
    """Show a run corrupted images: accuracy by kind and severity, and mCE beside a perceptron of the same shape.

    Interrupt it, give the command again, and it goes on. The page of `settle report` shows what came out.
    """
    from sim.face.perturb import do
    from sim.perturbation.run import PerturbRun

    job = PerturbRun(run, config, against)
    if complete(job, run, lambda shards: do(job, shards, workers), shard, slurm, as_json):
        answer(job.result(), as_json)
