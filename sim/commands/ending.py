"""How a command ends: every mistake and every failure of the system is one line and an exit code, never a traceback.

0: done.  1: the reader of the output is gone.  2: a user's mistake, or what the system refuses.  128 + n: signal n.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Sequence

from neuro.base.errors import UserError
from sim.training.interrupt import Terminated, terminable

INTERRUPTED = 130
MISTAKE, NO_READER = 2, 1
SAME = "the same command goes on"
AGAIN = {
    "train": "a training goes on with --resume",
    "attack": SAME,
    "certify": SAME,
    "perturb": SAME,
    "atlas": SAME,
}  # of what can


def exit_code(command: Callable[[], object], words: Sequence[str]) -> int:
    """Run `command` and say in one line what ended it early. words: of the command line."""
    import typer

    try:
        _require_streams(words)
        with terminable():
            code = command() or 0
        sys.stdout.flush()
        if code == INTERRUPTED:  # typer catches what Ctrl-C raises, and says nothing
            raise KeyboardInterrupt
        return int(code) if isinstance(code, int) else 0
    except typer.TyperException as error:
        return fail(error.format_message(), MISTAKE)
    except (KeyboardInterrupt, typer.Abort):
        return fail(f"interrupted{_again(words)}", INTERRUPTED)
    except Terminated as ended:
        return fail(f"terminated{_again(words)}", ended.number)
    except (UserError, OSError, MemoryError) as error:
        return _failed(error)


def _again(words: Sequence[str]) -> str:
    """How the command goes on, if it can."""
    return "".join(f"; {AGAIN[word]}" for word in words[:1] if word in AGAIN)


def _failed(error: Exception) -> int:
    """The exit code of what went wrong, said in a line."""
    if isinstance(error, UserError):
        return fail(str(error), MISTAKE)
    if isinstance(error, BrokenPipeError):
        return _drop_output(NO_READER)
    from neuro.base.files import shown
    from neuro.base.memory import out_of_memory

    if isinstance(error, MemoryError):
        return fail(str(out_of_memory("settle")), MISTAKE)
    assert isinstance(error, OSError)
    if error.errno == errno.ENOSPC:
        return _drop_output(fail("cannot write the output: the disk is full; free some space", MISTAKE))
    where = f"{shown(error.filename)}: " if error.filename else ""
    return fail(f"{where}{error.strerror or error}", MISTAKE)


def fail(message: str, code: int) -> int:
    """Say in one line why the command ends; returns the code."""
    if message.strip():
        with contextlib.suppress(OSError):  # a terminal that has gone: nobody is there to be told
            sys.stderr.write(f"settle: {' '.join(message.split())}\n")
            sys.stderr.flush()
    return code


def _require_streams(words: Sequence[str]) -> None:
    """Streams that were closed before the start lead nowhere, lest a file of ours be opened in their place.

    Raises: UserError if the one object that --json prints would be lost.
    """
    closed = sys.stdout is None
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            mode = os.O_RDONLY if number == 0 else os.O_WRONLY
            opened = os.open(os.devnull, mode)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)  # a child without it would open a file of its own there
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))
    if closed and "--json" in words:
        raise UserError("stdout is closed, and --json prints there; leave it open, or leave --json out")


def _drop_output(code: int) -> int:
    """Keep Python from flushing once more, at its end, what nobody can take."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
