"""`settle atlas`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.atlas.config import AtlasConfig
from sim.commands.from_config import options_of
from sim.commands.options import Json, answer, console
from sim.commands.sharing import Shard, Slurm, Workers, complete

if TYPE_CHECKING:
    from benchmarks.atlas.run import AtlasRun


@options_of(AtlasConfig)
def atlas_command(
    *,
    config: AtlasConfig,
    out: Annotated[Path, typer.Option(help="Folder of the atlas; what is there is not measured again.")],
    row: Annotated[
        list[str] | None, typer.Option(help="A mechanism of your own: NAME=module:object; repeatable.")
    ] = None,
    result: Annotated[Path | None, typer.Option(help="A second place for atlas.json.")] = None,
    shard: Shard = None,
    workers: Workers = None,
    slurm: Slurm = None,
    as_json: Json = False,
) -> None:
    """Mechanism against measure: train every mechanism, measure it in every way, and write the table that comes of it.

    Every cell has n, seeds and an interval, and is compared with the perceptron image by image. Interrupt it, give the
    command again, and it goes on. Writes atlas.json, atlas.html, atlas.csv and atlas.tex.
    """
    from benchmarks.atlas.page import write_atlas
    from benchmarks.atlas.run import AtlasRun
    from benchmarks.atlas.summary import atlas_of

    own = tuple(row or ())
    job = AtlasRun(config, out, own)
    if complete(job, out, lambda shards: _do(job, shards, workers), shard, slurm, as_json):
        atlas = atlas_of(job, own)
        for path in write_atlas(atlas, out, result):
            console(as_json).print(f"written: {path}", markup=False)
        answer(atlas, as_json)


def _do(job: AtlasRun, part: Sequence[int], workers: int | None) -> None:
    """Do those shards that are missing, in so many processes, None for one a core."""
    from sim.screens.attack import ShardScreen
    from sim.screens.training import shown
    from sim.training.parallel.shards import do_shards

    with shown(True), ShardScreen("measuring", job.n_shards) as screen:
        do_shards(job, part, (os.cpu_count() or 1) if workers is None else workers, screen)
