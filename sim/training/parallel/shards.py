"""Shards of a long job, one after the other, in several processes or on a cluster; a crash loses only its own shard."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from neuro.base.checks import Range
from neuro.base.errors import UserError
from neuro.base.files import json_bytes, parse_json
from neuro.base.late import named
from sim.training.interrupt import terminable
from sim.training.parallel.cluster import slurm_executor, submit

MAX_WORKERS = 256
Worker = subprocess.Popen[bytes]


class Sharded(Protocol):
    """A job cut into shards, counted from 1, each a file of its own.

    verb: the command, for messages.  work: "module:name" of a function that does a shard as `request` describes it.
    """

    verb: str
    work: str

    @property
    def folder(self) -> Path:
        """Where its files lie, and the logs of a cluster."""
        ...

    @property
    def n_shards(self) -> int:
        """All shards."""
        ...

    @property
    def on_gpu(self) -> bool:
        """Whether a shard needs a GPU."""
        ...

    def missing(self) -> list[int]:
        """The shards that are still to do."""
        ...

    def do(self, shard: int, progress: Callable[[str], None] | None = None) -> None:
        """Do a shard and write its file; progress: told what is being done."""
        ...

    def prepare(self) -> None:
        """Do what all shards share."""
        ...

    def request(self, shard: int) -> dict[str, Any]:
        """All that `work` needs to do a shard elsewhere, as JSON holds it."""
        ...


class ShardWatcher(Protocol):
    """Who shows a job to people."""

    def on_attack(self, shard: int, text: str) -> None:
        """A part of a shard begins."""
        ...

    def on_shard(self, shard: int, error: str) -> None:
        """A shard is done, or has failed with `error`."""
        ...


def do_shards(job: Sharded, wanted: Sequence[int], workers: int, watcher: ShardWatcher) -> None:
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
    job.prepare()  # else every worker would
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
            f"{job.verb}: shards {sorted(errors)} failed, the others are kept; run the command again. "
            f"Shard {shard}: {error.splitlines()[-1]}"
        )


def request_of(job: Sharded, shard: int) -> dict[str, Any]:
    """The request with which `do_request` does a shard elsewhere."""
    return {"work": job.work, **job.request(shard)}


def do_request(request: Mapping[str, Any]) -> None:
    """Do one shard, in another process or on another machine that sees the same files."""
    named(request["work"])(request)


def submit_shards(job: Sharded, wanted: Sequence[int], partition: str) -> tuple[list[int], str]:
    """Submit those of the `wanted` shards that are missing to Slurm, one job of one core each.

    Returns: the shards, and the name of the job array; ([], "") if none is missing.
    Raises:  UserError without submitit or without Slurm, or if Slurm refuses.
    """
    todo = [shard for shard in job.missing() if shard in set(wanted)]
    if not todo:
        return [], ""
    executor = slurm_executor(job.folder / "slurm", partition, f"settle-{job.verb}", job.on_gpu)
    job.prepare()  # else every job would
    return todo, submit(executor, do_request, [request_of(job, shard) for shard in todo])


def _in_process(job: Sharded, shard: int, running: set[Worker]) -> str:
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
