"""What a person sees of an attack on the terminal."""

from __future__ import annotations

from types import TracebackType

from rich.table import Table

from neuro.base.metrics import Accuracy
from sim.commands.screen import accuracy_text, bar, table_of
from sim.robustness.bridge.run import AttackResult


class AttackScreen:
    """Shows an attack, shard by shard; a `sim.robustness.bridge.workers.ShardWatcher` and a context manager."""

    def __init__(self, n_shards: int) -> None:
        self._progress = bar()
        self._task = self._progress.add_task("attacking", total=n_shards, note="")

    def __enter__(self) -> AttackScreen:
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


def attack_table(result: AttackResult) -> Table:
    """Return what an attack found: one line for each size, then the verdict and what speaks against it."""
    table, threats = result.table, result.config.threats
    rows = [("run", result.run), ("clean", accuracy_text(Accuracy(int(table.clean.sum()), len(table.clean))))]
    for threat in threats:
        by_attack = table.by_attack(threat)
        strongest = min(by_attack, key=lambda name: by_attack[name].value)
        worst = f"{accuracy_text(table.robust(threat))}, strongest single attack {strongest}"
        rows.append((f"robust, {threat}", f"{worst} {by_attack[strongest].value:.4f}"))
    rows.append(("verdict", str(result.verdict)))
    rows += [("", reason) for reason in result.verdict.reasons]
    return table_of(rows)
