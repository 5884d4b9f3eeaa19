"""Does any file that a user may bring end in a traceback, a hang, code that runs, or memory that runs away?

    python -m benchmarks.fuzz [--cases 10000] [--seed 0] [--kind artifact|checkpoint|data|netx|nir|results]
    python -m benchmarks.fuzz --kind data --only 123 --seed 0        # one case again, with its traceback

Valid small files (`benchmarks.tools.victims`) are mutated (`benchmarks.tools.mutations`) and read as the commands read
them, in processes that are ended when a case computes for HANG_CPU_S or takes HANG_S. Whatever happens must be that the
file is taken, or a UserError of one line. Memory is the peak of the process above what it had before the case.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import random
import signal
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.tools.results_file import parser, save
from benchmarks.tools.victims import KINDS, Files, Victim, victims
from neuro.base.errors import UserError

HANG_S, HANG_CPU_S = 600.0, 20.0  # a loaded machine is slow: what waits may wait longer than what computes
TELL_S, TERMINAL = 100.0, 2  # when a worker says where it is, and the descriptor of stderr
MEMORY_BYTES = 200 << 20  # more than that above the start counts as a fault
ACCEPTED, REFUSED, TRACEBACK, HANG, CODE, MEMORY, DIED = OUTCOMES = (
    "accepted", "refused", "traceback", "hang", "code run", "memory", "died",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a case came to. peak: bytes above the start.  said: the error's last line, or where it came from."""

    kind: str
    case: int
    victim: str
    verdict: str
    peak: int = 0
    said: str = ""


class Late(BaseException):
    """A case takes too long; no `except Exception` of what is read catches it."""


def run_case(found: Sequence[Victim], seed: int, case: int, *, loud: bool = False) -> Outcome:
    """Mutate one of the victims of a kind and read it. loud: print the traceback, if there is one."""
    draw = random.Random(f"{seed}-{found[0].kind}-{case}")
    victim = draw.choice(found)
    with tempfile.TemporaryDirectory(prefix="settle-fuzz-") as name:
        folder, planted = Path(name) / "run", Path(name) / "canary"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that are doubled on purpose
            _write(folder, victim.mutated(draw, str(planted)))
        before = _reset_peak()
        verdict, said = _read(victim, folder, loud)
        peak = max(_peak() - before, 0)
        if planted.exists():
            verdict = CODE
        elif verdict in (ACCEPTED, REFUSED) and peak > MEMORY_BYTES:
            verdict = MEMORY
    return Outcome(victim.kind, case, victim.name, verdict, peak, said)


def _read(victim: Victim, folder: Path, loud: bool) -> tuple[str, str]:
    try:
        with warnings.catch_warnings(), _alarm():
            warnings.simplefilter("ignore")
            victim.read(folder)
        return ACCEPTED, ""
    except UserError as error:
        text = str(error)
        return (REFUSED if text.strip() and len(text.splitlines()) == 1 else TRACEBACK), text
    except Late:
        return HANG, ""
    except Exception as error:
        if loud:
            traceback.print_exc()
        place = traceback.extract_tb(error.__traceback__)[-1]
        ours = [p for p in traceback.extract_tb(error.__traceback__) if "site-packages" not in p.filename][-1]
        said = f"{type(error).__name__}: {str(error)[:120]} ({Path(ours.filename).name}:{ours.lineno}, {place.name})"
        return TRACEBACK, said


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    def late(number: int, frame: object) -> None:
        raise Late

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, HANG_CPU_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _write(folder: Path, files: Files) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _reset_peak() -> int:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _peak()


def _peak() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _work(connection: Connection, found: dict[str, list[Victim]], seed: int) -> None:
    """Do the cases that the pipe asks for, until it closes."""
    os.environ.pop("SETTLE_MAX_BYTES", None)
    with contextlib.suppress(EOFError), open(os.devnull, "w", encoding="utf-8") as nothing:
        with contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
            while True:
                kind, case = connection.recv()
                faulthandler.dump_traceback_later(TELL_S, file=TERMINAL)
                outcome = run_case(found[kind], seed, case)
                faulthandler.cancel_dump_traceback_later()
                connection.send(outcome)


class Worker:
    """A process that does one case after the other, and is replaced when it hangs or dies."""

    def __init__(self, found: dict[str, list[Victim]], seed: int) -> None:
        self.found, self.seed = found, seed
        self._start()

    def _start(self) -> None:
        self.connection, theirs = multiprocessing.get_context("spawn").Pipe()
        self.process = multiprocessing.get_context("spawn").Process(
            target=_work, args=(theirs, self.found, self.seed), daemon=True
        )
        self.process.start()
        theirs.close()
        self.job: tuple[str, int] | None = None
        self.began = 0.0

    def ask(self, job: tuple[str, int]) -> None:
        """Give it a case."""
        self.job, self.began = job, time.monotonic()
        self.connection.send(job)

    def outcome(self) -> Outcome | None:
        """What its case came to, if it is done, dead or late."""
        assert self.job is not None  # asked
        kind, case = self.job
        if self.connection.poll(0.002):
            try:
                answer: Outcome = self.connection.recv()
                self.job = None
                return answer
            except (EOFError, OSError):
                return self._replaced(Outcome(kind, case, "", DIED))
        late = time.monotonic() - self.began > HANG_S
        return self._replaced(Outcome(kind, case, "", HANG)) if late else None

    def _replaced(self, outcome: Outcome) -> Outcome:
        self.end()
        self._start()
        return outcome

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def fuzz(found: dict[str, list[Victim]], jobs: Sequence[tuple[str, int]], seed: int, workers: int) -> list[Outcome]:
    """All cases, in so many processes."""
    waiting, outcomes = list(reversed(jobs)), list[Outcome]()
    pool = [Worker(found, seed) for _ in range(workers)]
    try:
        while waiting or any(worker.job for worker in pool):
            for worker in pool:
                if worker.job is None and waiting:
                    worker.ask(waiting.pop())
                if worker.job is not None and (outcome := worker.outcome()) is not None:
                    outcomes.append(outcome)
                    _tell(outcome, len(outcomes), len(jobs), seed)
    finally:
        for worker in pool:
            worker.end()
    return outcomes


def _tell(outcome: Outcome, done: int, total: int, seed: int) -> None:
    if outcome.verdict not in (ACCEPTED, REFUSED):
        replay = f"--kind {outcome.kind} --only {outcome.case} --seed {seed}"
        print(f"{outcome.verdict}: {outcome.kind} {outcome.victim}: {outcome.said} [{replay}]", flush=True)
    if done % 1000 == 0:
        print(f"{done} of {total}", flush=True)


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Counts by kind and in all; the largest peak, in bytes."""
    kinds = sorted({outcome.kind for outcome in outcomes})
    rows = {"all": list(outcomes), **{kind: [o for o in outcomes if o.kind == kind] for kind in kinds}}
    return {
        name: {
            "cases": len(those),
            **{verdict: Counter(o.verdict for o in those)[verdict] for verdict in OUTCOMES},
            "peak_bytes": max((o.peak for o in those), default=0),
        }
        for name, those in rows.items()
    }


def main() -> None:
    """Mutate, read, count, save."""
    arguments = parser(__doc__.splitlines()[0], "fuzz", seed=0)
    arguments.add_argument("--cases", type=int, default=10_000, help="in all, shared evenly by the kinds")
    arguments.add_argument("--kind", choices=KINDS, help="default all")
    arguments.add_argument("--only", type=int, help="this case of a --kind alone, with its traceback")
    arguments.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = arguments.parse_args()
    if options.only is not None and options.kind is None:
        arguments.error("--only counts the cases of one kind; give --kind")
    kinds = (options.kind,) if options.kind else KINDS
    made = victims(kinds)
    found = {kind: [victim for victim in made if victim.kind == kind] for kind in kinds}
    if options.only is not None:
        print(run_case(found[kinds[0]], options.seed, options.only, loud=True))
        return
    jobs = [(kinds[index % len(kinds)], index // len(kinds)) for index in range(options.cases)]
    start = time.monotonic()
    counts = summary(fuzz(found, jobs, options.seed, options.workers))
    for name, row in counts.items():
        print(name, row)
    save(options.out, {"seed": options.seed, "kind": "counted", "seconds": time.monotonic() - start, "kinds": counts})


if __name__ == "__main__":
    main()
