"""Watchers of a training that several tests need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


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
