"""Interruptions: between two steps, never inside one; SIGTERM and SIGHUP end a training as tidily as Ctrl-C does."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

ENDS = (signal.SIGTERM, signal.SIGHUP)  # of a job; the second comes when its terminal or its allocation goes
SIGNALS = (signal.SIGINT, *ENDS)


class Terminated(SystemExit):
    """A signal of ENDS has arrived. Where nobody catches it the program ends with the code shells expect: 143, 129.

    number: that code.
    """

    def __init__(self, signal_number: int = signal.SIGTERM) -> None:
        self.number = 128 + signal_number
        super().__init__(self.number)


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Raise Terminated when SIGTERM or SIGHUP arrives in the block, so that what is open is closed and removed.

    Who has a handler already keeps it, and so does nohup, which ignores SIGHUP; outside the main thread, where Python
    delivers no signals, nothing changes.
    """
    ours = [n for n in ENDS if _in_main_thread() and signal.getsignal(n) is signal.SIG_DFL]

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated(number)

    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold SIGINT, SIGTERM and SIGHUP back until the block is done; then let them have the effect they had outside it.

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
