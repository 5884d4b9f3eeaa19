"""The harness of `benchmarks.kills`: it sees what it looks for, and one kind of training survives its kills."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import kills
from benchmarks.kills import Bench, blobs, kill_kind

STUCK = [sys.executable, "-c", "import time; time.sleep(60)"]
FAILS = [sys.executable, "-c", "import sys; sys.exit('some line\\nno such data')"]
LOUD = [sys.executable, "-c", "import sys; sys.stderr.write('x' * 1_000_000)"]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A bench whose folders are empty."""
    (tmp_path / "scratch").mkdir()
    return Bench(tmp_path, blobs(tmp_path / "blobs.npz", 0), tmp_path / "scratch")


def test_the_data_are_the_seeds(tmp_path: Path) -> None:
    first, again, other = (np.load(blobs(tmp_path / f"{n}.npz", seed))["x_train"] for n, seed in enumerate((0, 0, 1)))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_training_that_saves_nothing_is_not_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills, "COMMAND", STUCK)
    monkeypatch.setattr(kills, "PATIENCE_S", 0.1)
    with pytest.raises(RuntimeError, match=r"words: nothing saved in 0\.1 s"):
        bench.killed("words", bench.folder / "run", 0.0)
    with pytest.raises(RuntimeError, match="words: not done in time"):
        bench.finish("words", bench.folder / "run")


def test_a_training_that_fails_is_named_with_its_last_line(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills, "COMMAND", FAILS)
    with pytest.raises(RuntimeError, match=r"^words: no such data$"):
        bench.finish("words", bench.folder / "run")


def test_a_training_that_says_much_is_not_stopped_by_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills, "COMMAND", LOUD)
    assert bench.killed("words", bench.folder / "run", 0.0) is False
    bench.finish("words", bench.folder / "run")


def test_a_kind_alone_joins_what_the_file_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills, "kill_kind", lambda bench, name, n, draw: kills.Tally(kills=n))
    out = tmp_path / "kills.json"
    for kind, count in (("ep", "3"), ("lca", "4")):
        monkeypatch.setattr("sys.argv", ["kills", "--kind", kind, "--kills", count, "--out", str(out)])
        kills.main()
    rows = json.loads(out.read_text(encoding="utf-8"))["kinds"]
    assert {name: row["kills"] for name, row in rows.items()} == {"ep": 3, "lca": 4}


@pytest.mark.slow
def test_a_training_survives_its_kills(bench: Bench) -> None:
    tally = kill_kind(bench, "ep", 2, random.Random(0))
    assert (tally.kills, tally.different, tally.files_left) == (2, 0, 0)
    assert tally.trainings >= 1
