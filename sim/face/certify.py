"""A certificate in one call: configuration, what to expect, shards, the result."""

from __future__ import annotations

import os
from collections.abc import Sequence

from sim.robustness.certified.result import CertifyResult
from sim.robustness.certified.run import CertifyRun
from sim.screens.attack import ShardScreen
from sim.screens.training import say, shown
from sim.training.parallel.shards import do_shards


def do(job: CertifyRun, part: Sequence[int] | None, workers: int | None, progress: bool = True) -> None:
    """Do those shards of `part`, None for all, that are missing, in so many processes, None for one a core."""
    with shown(progress):
        say(job.warnings() if job.missing() else (), about="certify")
        with ShardScreen("certifying", job.n_shards) as screen:
            count = (os.cpu_count() or 1) if workers is None else workers
            do_shards(job, part or range(1, job.n_shards + 1), count, screen)


def conclude(job: CertifyRun) -> CertifyResult:
    """The result of all shards, with the modelled energy of a run that was priced.

    Raises: UserError if some are missing.
    """
    from sim.reports.priced import prices_in

    price = prices_in(job.run, job.artifact).get("inference")
    return job.result(None if price is None else price.energy, tuple(job.warnings()))
