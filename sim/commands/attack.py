"""`settle attack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.commands.from_config import options_of
from sim.commands.options import Json, Run, answer, console
from sim.commands.sharing import Shard, Slurm, Workers, complete
from sim.robustness.bridge.config import AttackConfig


@options_of(AttackConfig)
def attack_command(
    run: Run,
    *,
    config: AttackConfig,
    shard: Shard = None,
    workers: Workers = None,
    slurm: Slurm = None,
    against: Annotated[
        list[Path] | None, typer.Option(help="Another run on the same data, for the transfer matrix; repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Attack a run through its twins, score the deployed integers, and judge whether the result can be trusted."""
    from sim.face.attack import conclude, do
    from sim.robustness.bridge.run import AttackRun

    job = AttackRun(run, config, against or ())
    if complete(job, run, lambda shards: do(job, shards, workers), shard, slurm, as_json):
        result, page = conclude(job)
        console(as_json).print(f"report: {page}", markup=False)
        answer(result, as_json)
