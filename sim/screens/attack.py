"""What a person sees on the terminal of a job that is done shard by shard."""

from __future__ import annotations

from types import TracebackType

from sim.screens.training import bar


class ShardScreen:
    """Shows a job, shard by shard; a `sim.training.parallel.shards.ShardWatcher` and a context manager."""

    def __init__(self, doing: str, n_shards: int) -> None:
        self._progress = bar()
        self._task = self._progress.add_task(doing, total=n_shards, note="")

    def __enter__(self) -> ShardScreen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def on_attack(self, shard: int, text: str) -> None:
        """Say what is being done."""
        self._progress.start()
        self._progress.update(self._task, note=f"shard {shard}: {text}")

    def on_shard(self, shard: int, error: str) -> None:
        """Count a shard."""
        self._progress.start()
        self._progress.update(self._task, advance=0 if error else 1, note=error.splitlines()[-1] if error else "")
