"""Perturbations in one call: configuration, shards, the result."""

from __future__ import annotations

import os
from collections.abc import Sequence

from sim.perturbation.run import PerturbRun
from sim.screens.attack import ShardScreen
from sim.screens.training import shown
from sim.training.parallel.shards import do_shards


def do(job: PerturbRun, part: Sequence[int] | None, workers: int | None, progress: bool = True) -> None:
    """Do those shards of `part`, None for all, that are missing, in so many processes, None for one a core."""
    with shown(progress), ShardScreen("perturbing", job.n_shards) as screen:
        count = (os.cpu_count() or 1) if workers is None else workers
        do_shards(job, part or range(1, job.n_shards + 1), count, screen)
