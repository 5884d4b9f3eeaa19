"""Work for a cluster: jobs of one core for Slurm, through submitit (its only home)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuro.base.errors import UserError

MINUTES, MEMORY_GB = 240, 4  # of one job; SBATCH_TIMELIMIT and the like in the environment come before them


def slurm_executor(folder: Path, partition: str, name: str, gpu: bool = False) -> Any:
    """A submitit executor of one-core jobs; their logs go to `folder`, which all machines must see.

    Raises: UserError without submitit, or where there is no Slurm.
    """
    if not partition.strip():
        raise UserError("Slurm: no partition given; `sinfo` lists them")
    try:
        import submitit
    except ImportError as error:
        raise UserError("Slurm: submitit is not installed; run `pip install settle[cluster]`") from error
    try:
        executor = submitit.AutoExecutor(folder=folder.resolve(), cluster="slurm")
    except RuntimeError as error:  # submitit: no srun on the path
        raise UserError(f"Slurm: not found here ({error}); call it where sbatch works, or use --workers") from error
    executor.update_parameters(
        slurm_partition=partition, slurm_job_name=name, cpus_per_task=1, mem_gb=MEMORY_GB, timeout_min=MINUTES,
        **({"gpus_per_node": 1} if gpu else {}),
    )  # fmt: skip
    return executor


def submit(executor: Any, work: Callable[[Mapping[str, Any]], None], requests: Sequence[Mapping[str, Any]]) -> str:
    """Submit one job array, a job for each request, and return its number. Raises: UserError if Slurm refuses."""
    try:
        jobs = executor.map_array(work, requests)
    except (RuntimeError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise UserError(f"Slurm: refused the jobs ({reason}); see `sinfo` for partitions and limits") from error
    return str(jobs[0].job_id).split("_")[0]
