"""Shards of an attack, one after the other, in several processes or on a cluster; a crash loses only its own shard."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from neuro.base.checks import Range
from neuro.base.errors import UserError
from neuro.base.files import json_bytes, parse_json
from sim.robustness.bridge.config import AttackConfig
from sim.robustness.bridge.run import AttackRun
from sim.training.interrupt import terminable
from sim.training.parallel.cluster import slurm_executor, submit

MAX_WORKERS = 256
Worker = subprocess.Popen[bytes]


class ShardWatcher(Protocol):
    """Who shows an attack to people."""

    def on_attack(self, shard: int, text: str) -> None:
        """An attack of a shard begins."""
        ...

    def on_shard(self, shard: int, error: str) -> None:
        """A shard is done, or has failed with `error`."""
        ...


def do_shards(job: AttackRun, wanted: Sequence[int], workers: int, watcher: ShardWatcher) -> None:
    """Do those of the `wanted` shards that are missing.

    Raises: UserError if a worker failed, after all others have finished: what they did is kept.
    """
    Range(1, MAX_WORKERS).require(workers=workers)
    todo = [shard for shard in job.missing() if shard in set(wanted)]
    for shard in set(range(1, job.n_shards + 1)) - set(job.missing()):
        watcher.on_shard(shard, "")
    if workers == 1 or len(todo) < 2:
        for shard in todo:
            job.do(shard, partial(watcher.on_attack, shard))
            watcher.on_shard(shard, "")
        return
    job.prepare()  # else every worker would train the perceptron
    failed: dict[int, str] = {}

    def work(shard: int) -> None:
        watcher.on_attack(shard, "in a process of its own")
        failed[shard] = _in_process(job, shard, running)
        watcher.on_shard(shard, failed[shard])

    running = set[Worker]()
    with ThreadPoolExecutor(workers) as pool:
        try:
            list(pool.map(work, todo))
        except BaseException:  # Ctrl-C or a signal: shards that are done are kept, the others end now
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                process.terminate()
            raise
    errors = {shard: error for shard, error in failed.items() if error}
    if errors:
        shard, error = next(iter(errors.items()))
        raise UserError(
            f"attack: shards {sorted(errors)} failed, the others are kept; run the command again. "
            f"Shard {shard}: {error.splitlines()[-1]}"
        )


def request_of(job: AttackRun, shard: int) -> dict[str, Any]:
    """The request with which `do_request` does a shard elsewhere."""
    return {"run": str(job.run.resolve()), "config": asdict(job.config), "shard": shard}


def do_request(request: Mapping[str, Any]) -> None:
    """Do one shard, in another process or on another machine that sees the same files."""
    config = AttackConfig(**request["config"])
    AttackRun(Path(request["run"]), config).do(request["shard"])


def submit_shards(job: AttackRun, wanted: Sequence[int], partition: str) -> tuple[list[int], str]:
    """Submit those of the `wanted` shards that are missing to Slurm, one job of one core each.

    Returns: the shards, and the name of the job array; ([], "") if none is missing.
    Raises:  UserError without submitit or without Slurm, or if Slurm refuses.
    """
    todo = [shard for shard in job.missing() if shard in set(wanted)]
    if not todo:
        return [], ""
    executor = slurm_executor(job.folder / "slurm", partition, "settle-attack", job.config.device != "cpu")
    job.prepare()  # else every job would train the perceptron
    return todo, submit(executor, do_request, [request_of(job, shard) for shard in todo])


def _in_process(job: AttackRun, shard: int, running: set[Worker]) -> str:
    """Run one shard in a new interpreter, one of the `running`; return its last words if it failed, else ""."""
    words, pipe = [sys.executable, "-m", __name__], subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        running.add(process)
        try:
            _, errors = process.communicate(json_bytes(request_of(job, shard)))
        finally:
            running.discard(process)
    return "" if process.returncode == 0 else errors.decode(errors="replace").strip() or f"exit {process.returncode}"


def main() -> None:
    """Do the shard that stdin asks for."""
    with terminable():
        do_request(parse_json(sys.stdin.buffer.read(), Path("stdin")))


if __name__ == "__main__":
    main()
