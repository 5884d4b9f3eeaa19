"""An attack in one call: configuration, shards, the page about it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sim.robustness.bridge.result import AttackResult
from sim.robustness.bridge.run import AttackRun
from sim.screens.attack import ShardScreen
from sim.screens.training import shown
from sim.training.parallel.shards import do_shards


def do(job: AttackRun, part: Sequence[int] | None, workers: int | None, progress: bool = True) -> None:
    """Do those shards of `part`, None for all, that are missing, in so many processes, None for one a core."""
    with shown(progress), ShardScreen("attacking", job.n_shards) as screen:
        do_shards(
            job, part or range(1, job.n_shards + 1), (os.cpu_count() or 1) if workers is None else workers, screen
        )


def conclude(job: AttackRun) -> tuple[AttackResult, Path]:
    """The result of all shards, and the page about it. Raises: UserError if some are missing."""
    from sim.reports.attack import write_attack_report

    result = job.result()
    return result, write_attack_report(job, result)
