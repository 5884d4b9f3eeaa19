"""Command lines in processes of their own that need not import anything: forks of one process that has.

Importing takes several seconds, a fork milliseconds. What runs in it is a process like any other: it has its own id,
signals, folder and environment, and its exit code and what it prints come back.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

POLL_S = 0.005

# Every request is a line of JSON: [what, *arguments]; every answer, too. Nothing is computed before the fork, for what
# would be left of threads and of locks; but what numba imports with the first kernel is there (half of a short run).
PARENT = """
import json, os, sys, tempfile
{imports}
from numba.core.registry import cpu_target
cpu_target.target_context.refresh()
def run(code, words, folder, environment, out, err):
    for descriptor, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
        os.close(file)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv, tempfile.tempdir = ["-c", *words], None
    exec(code, {{"__name__": "__main__"}})
def answer(what):
    sys.stdout.write(json.dumps(what) + chr(10))
    sys.stdout.flush()
answer(os.getpid())
while line := sys.stdin.readline():
    what, *arguments = json.loads(line)
    if what == "start":
        child = os.fork()
        if not child:
            run(*arguments)
            sys.exit()
        answer(child)
    else:
        child, status = os.waitpid(arguments[0], os.WNOHANG)
        answer(os.waitstatus_to_exitcode(status) if child else None)
"""


class Forks:
    """A process that has imported some modules and forks at request. imports: their names."""

    def __init__(self, imports: Sequence[str], environment: Mapping[str, str]) -> None:
        code = PARENT.format(imports=f"import {', '.join(imports)}")
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], env=dict(environment), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._answer() == self._process.pid

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def ask(self, *request: Any) -> Any:
        """The answer to a request: the id of a child that was started, or its exit code, None while it runs."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def start(self, code: str, words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Fork:
        """Run code with these words behind it, in a process of its own."""
        return Fork(self, code, words, folder, environment)

    def close(self) -> None:
        """End; children must have ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


class Fork:
    """A started process: what `subprocess.Popen` is to a program. returncode: None while it runs, or nobody looked."""

    def __init__(
        self, parent: Forks, code: str, words: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> None:
        self._parent = parent
        self._told = tempfile.TemporaryDirectory()
        self._files = [Path(self._told.name) / name for name in ("out", "err")]
        self.returncode: int | None = None
        paths = [str(path) for path in self._files]
        self.pid: int = parent.ask("start", code, list(words), str(folder), dict(environment), *paths)

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        if self.returncode is None:
            self.returncode = self._parent.ask("wait", self.pid)
        return self.returncode

    def send_signal(self, sign: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, sign)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float) -> int:
        """Wait for its end; returns the exit code. Raises: TimeoutError."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} still runs after {timeout:g} s")
            time.sleep(POLL_S)
        return code

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait for its end; returns what it printed, on standard output and on standard error."""
        self.wait(timeout)
        out, err = (path.read_text() if path.is_file() else "" for path in self._files)
        return out, err

    def close(self) -> None:
        """End it, and forget what it printed."""
        self.kill()
        self.wait(30.0)
        self._told.cleanup()
