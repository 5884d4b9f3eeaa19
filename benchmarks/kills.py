"""Is any training lost, changed or left lying about when its process is killed?

    python -m benchmarks.kills [--kills 60] [--seed 0]

A training of each kind is killed (signal 9) again and again at random moments and resumed, until it is done; its
weights must be those of one that nobody disturbed, and its temporary folder empty. A kind that ends with kills left
trains once more.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.tools.results_file import earlier, parser, save
from neuro.base.files import read_bytes

COMMAND = [sys.executable, "-c", "import sys, settle; sys.argv[0] = 'settle'; settle.main()"]
KINDS = {
    "ep": "train ep --hidden 32 --learning-rate 1.4 --output-share 0.125 --epochs 25",
    "ep, layers in turn": "train ep --hidden 16,8 --learning-rate 1 --output-share 0.4 --epochs 15",
    "learning engine": "train ep --family stock --hidden 16 --epochs 2",
    "lca": "train lca --atoms 12 --epochs 4",
    "slayer": "train slayer --hidden 12 --steps 8 --epochs 2 --learning-rate 0.003",
    "inside Lava": "train ep --family stock --hidden 4 --backend lava --images 5",
}
PATIENCE_S = 1800.0  # a loaded machine is slow
MOST_WAIT_S = 0.3  # between something saved and the kill
MOST_KILLS = 6  # of one training: a process killed before it has saved anything again gets nowhere


@dataclass
class Tally:
    """What became of one kind of training."""

    trainings: int = 0
    kills: int = 0
    different: int = 0  # trainings whose weights are not those of the undisturbed one
    files_left: int = 0  # in the temporary folder, after the end of each


def blobs(path: Path, seed: int) -> Path:
    """A data file: noisy images of three classes, 3,000 to learn and 60 to test."""
    generator = np.random.default_rng(seed)
    labels = np.arange(3060) % 3
    images = np.clip(generator.random((3, 5, 5))[labels] + generator.normal(0.0, 0.5, (3060, 5, 5)), 0.0, 1.0)
    parts = {"x_train": images[:3000], "y_train": labels[:3000], "x_test": images[3000:], "y_test": labels[3000:]}
    np.savez(path, **parts)
    return path


@dataclass(frozen=True)
class Bench:
    """Where trainings run: their folder, their data, and the folder that they believe is the temporary one."""

    folder: Path
    data: Path
    scratch: Path

    def start(self, words: str, out: Path) -> subprocess.Popen[bytes]:
        """A training in a process of its own, that saves often; what it says of errors is in a file beside `out`."""
        more = ["--data", str(self.data), "--out", str(out), "--resume", "--checkpoint-every-s", "0.02"]
        environment = {**os.environ, "TMPDIR": str(self.scratch)}
        with open(errors_of(out), "wb") as said:  # no pipe: nobody reads it while the training runs
            return subprocess.Popen([*COMMAND, *words.split(), *more], env=environment, stdout=said, stderr=said)

    def finish(self, words: str, out: Path) -> None:
        """Train to the end. Raises: RuntimeError if it fails, or is not done in PATIENCE_S."""
        process = self.start(words, out)
        if not _ended(process, PATIENCE_S) or process.returncode != 0:
            raise RuntimeError(f"{words}: {_last_line(errors_of(out)) or 'not done in time'}")

    def killed(self, words: str, out: Path, moment_s: float) -> bool:
        """Train until something new is saved, and a moment more, then kill; returns whether it was still at it.

        Raises: RuntimeError if nothing is saved in PATIENCE_S.
        """
        saved, begun, late = out / "checkpoint.npz", time.time(), time.monotonic() + PATIENCE_S
        process = self.start(words, out)
        while process.poll() is None and not _written(saved) > begun:
            if time.monotonic() > late:
                _ended(process, 0.0)
                raise RuntimeError(f"{words}: nothing saved in {PATIENCE_S:g} s")
            time.sleep(0.002)
        _ended(process, moment_s)
        return process.returncode == -signal.SIGKILL


def errors_of(out: Path) -> Path:
    """Where the words of a training into `out` go."""
    return out.with_name(f"{out.name}.txt")


def _last_line(path: Path) -> str:
    return (read_bytes(path).decode(errors="replace").splitlines() or [""])[-1]


def _ended(process: subprocess.Popen[bytes], patience_s: float) -> bool:
    """Wait for the end of a process, and kill it if that takes longer; returns whether it ended by itself."""
    try:
        process.wait(timeout=patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


def _written(path: Path) -> float:
    """When a file was written, 0 if it is gone by now."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def kill_kind(bench: Bench, name: str, kills: int, draw: random.Random) -> Tally:
    """Kill trainings of one kind that often."""
    words, tally = KINDS[name], Tally()
    whole = bench.folder / name.replace(",", "").replace(" ", "-")
    bench.finish(words, whole)
    while tally.kills < kills:
        out = bench.folder / f"{whole.name}-{tally.trainings}"
        tries = 0
        while tally.kills < kills and tries < MOST_KILLS:
            tries += 1
            if not bench.killed(words, out, draw.uniform(0.0, MOST_WAIT_S)):
                break
            tally.kills += 1
        bench.finish(words, out)
        tally.trainings += 1
        tally.different += read_bytes(out / "weights.npz") != read_bytes(whole / "weights.npz")
        tally.files_left += len(os.listdir(bench.scratch))
        print(f"{name}: {tally.kills} of {kills} kills, {tally.different} different, {tally.files_left} files left")
    return tally


def main() -> None:
    """Kill, resume, compare, save."""
    arguments = parser(__doc__.splitlines()[0], "kills", seed=0)
    arguments.add_argument("--kills", type=int, default=60, help="in all, shared evenly by the kinds")
    arguments.add_argument(
        "--kind", choices=tuple(KINDS), help="default all; of one kind, what the file says of the others stays"
    )
    options = arguments.parse_args()
    kinds = (options.kind,) if options.kind else tuple(KINDS)
    with tempfile.TemporaryDirectory(prefix="st") as folder, tempfile.TemporaryDirectory(prefix="st") as scratch:
        data = blobs(Path(folder) / "blobs.npz", options.seed)
        bench, draw = Bench(Path(folder), data, Path(scratch)), random.Random(options.seed)
        content = {"seed": options.seed, "kind": "counted"}
        rows = earlier(options.out, content, "kinds") if options.kind else {}
        for name in kinds:
            rows[name] = asdict(kill_kind(bench, name, options.kills // len(kinds), draw))
            save(options.out, {**content, "kinds": rows})


if __name__ == "__main__":
    main()
