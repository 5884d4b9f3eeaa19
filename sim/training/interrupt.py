"""Interruptions: between two steps, never inside one; SIGTERM ends a training as tidily as Ctrl-C does."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(SystemExit):
    """SIGTERM has arrived. Where nobody catches it the program ends with the exit code 143 that shells expect."""

    number = 128 + signal.SIGTERM

    def __init__(self) -> None:
        super().__init__(self.number)


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Raise Terminated when SIGTERM arrives in the block, so that what is open is closed and removed.

    Who has a handler of SIGTERM already keeps it; outside the main thread, where Python delivers no signals, nothing
    changes.
    """
    if not _in_main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back until the block is done; then let them have the effect they had outside it.

    Outside the main thread, where Python delivers no signals, it does nothing.
    """
    if not _in_main_thread():
        yield
        return
    handlers: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    arrived: list[int] = []
    for number in handlers:
        signal.signal(number, lambda number, _: arrived.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for number in arrived:
        handlers[number](number, None)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
