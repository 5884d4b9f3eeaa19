"""Watchers of a training that several tests need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sim.training.watcher import Watcher


class Interrupting:
    """A watcher that is interrupted at its n-th call of a kind."""

    def __init__(self, kind: str, at: int, error: type[BaseException] = KeyboardInterrupt) -> None:
        self.kind, self.left, self.error = kind, at, error

    def __getattr__(self, name: str) -> Callable[..., None]:
        def called(*arguments: Any) -> None:
            self.left -= name == self.kind
            if self.left == 0 and name == self.kind:
                raise self.error

        return called


class Silent(Watcher):
    """A watcher that shows nothing and counts what it is told."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def on_compile(self) -> None:
        self.calls.append("compile")

    def on_trial(self, trial: Any) -> None:
        self.calls.append("trial")

    def on_stage(self, stage: str, trainer: Any) -> None:
        self.calls.append(stage)

    def on_chunk(self, trainer: Any) -> None:
        self.calls.append("chunk")

    def on_epoch(self, trainer: Any) -> None:
        self.calls.append("epoch")

    def on_measure(self) -> None:
        self.calls.append("measure")
