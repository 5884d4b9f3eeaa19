"""How commands end: one line and an exit code, whatever the system refuses."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neuro.base.errors import UserError
from sim.commands.ending import exit_code
from sim.training.interrupt import Terminated, terminable

STARTED = "import sys, settle; sys.argv[0] = 'settle'; settle.main()"


def raises(error: BaseException) -> Callable[[], object]:
    def command() -> object:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UserError("data x: wrong; mend it"), 2, "data x: wrong; mend it"),
        (
            OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), "x" * 300),
            2,
            "(300 letters): File name too long",
        ),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "a"), 2, "a: Permission denied"),
        (IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), "a"), 2, "a: Is a directory"),
        (OSError("no number"), 2, "no number"),
        (MemoryError(), 2, "not enough memory: "),
        (KeyboardInterrupt(), 130, "interrupted"),
        (Terminated(signal.SIGHUP), 129, "terminated"),
        (Terminated(), 143, "terminated"),
    ],
)
def test_what_ends_a_command_is_one_line(
    error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(raises(error), []) == code
    out, told = capsys.readouterr()
    assert out == ""
    assert told.startswith("settle: ")
    assert told.count("\n") == 1
    assert words in told


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("train", "interrupted; a training goes on with --resume"),
        ("attack", "interrupted; the same command goes on"),
        ("certify", "interrupted; the same command goes on"),
        ("report", "interrupted"),
    ],
)
def test_what_can_go_on_says_how(command: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(raises(KeyboardInterrupt()), [command, "x"]) == 130
    assert capsys.readouterr().err == f"settle: {told}\n"


def test_a_terminal_that_has_gone_changes_no_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, text: str) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(sys, "stderr", Gone())
    assert exit_code(raises(Terminated(signal.SIGHUP)), []) == 129


def test_a_fault_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_code(raises(ZeroDivisionError()), [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_that_end_a_job_are_raised_in_the_block_alone(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Terminated) as ended, terminable():
        signal.raise_signal(number)
    assert ended.value.number == 128 + number
    assert signal.getsignal(number) is before


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminable():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("closed", "words", "code"), [(">&-", "--json", 2), ("2>&-", "--json", 2), (">&- 2>&- <&-", "", 2)]
)
def test_closed_streams_are_no_traceback(
    closed: str, words: str, code: int, process_environment: dict[str, str], tmp_path: Path
) -> None:
    command = f'exec {sys.executable} -c "{STARTED}" evaluate no-such-run {words} {closed}'
    done = subprocess.run(["sh", "-c", command], env=process_environment, cwd=tmp_path, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == (0 if "2>&-" in closed else 1)
    assert ("stdout is closed" in done.stderr) == (closed == ">&-")


@pytest.mark.parametrize("name", ["x" * 300, "loop"])
def test_a_name_that_no_folder_can_have_is_one_line(name: str, command: Any) -> None:
    Path("loop").symlink_to("loop")
    for words in (("evaluate", name), ("report", name), ("train", "ep", "--data", f"{name}.npz"),
                  ("train", "ep", "--out", f"{name}/run")):  # fmt: skip
        command(*words).refused("cannot ")


def test_a_pipe_named_npz_is_refused(command: Any) -> None:
    os.mkfifo("pipe.npz")
    command("train", "ep", "--data", "pipe.npz").refused("pipe.npz")


def test_an_attack_that_is_nearly_one_gets_the_closest_names(command: Any, finished: Path) -> None:
    command("attack", finished, "--attacks", "pgd").refused("'pgd' is unknown; did you mean pgd-")
