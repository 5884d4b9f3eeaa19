"""500 of the cases of `benchmarks.fuzz`, spread over the kinds; the harness itself sees what it looks for."""

from __future__ import annotations

import importlib.util
import io
import os
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fuzz import ACCEPTED, CODE, HANG, MEMORY, REFUSED, TRACEBACK, main, run_case, summary
from benchmarks.tools.mutations import header, npy
from benchmarks.tools.victims import KINDS, Victim, right_checkpoint, victims
from neuro.base.errors import UserError
from sim.training.checkpoint import CHECKPOINT

HAS_LAVA = importlib.util.find_spec("lava") is not None
TRIED = [kind for kind in KINDS if HAS_LAVA or kind not in ("netx", "nir")]
CASES = {"results": 20}  # it draws figures; of every other kind 96: 500 in all
SEED = 7


@pytest.fixture(scope="module")
def found() -> list[Victim]:
    """Victims of every kind, without pages, which take seconds."""
    return [victim for victim in victims(tuple(TRIED)) if not victim.name.endswith("-report")]


@pytest.mark.parametrize("kind", TRIED)
def test_a_mutated_file_is_taken_or_refused_in_one_line(kind: str, found: list[Victim]) -> None:
    those = [victim for victim in found if victim.kind == kind]
    outcomes = [run_case(those, SEED, case) for case in range(CASES.get(kind, 96))]
    assert [outcome for outcome in outcomes if outcome.verdict not in (ACCEPTED, REFUSED)] == []
    assert {outcome.verdict for outcome in outcomes} == {ACCEPTED, REFUSED}


def ends(error: BaseException | None = None, planted: bool = False, size: int = 0) -> Victim:
    def read(folder: Path) -> object:
        if planted:
            (folder.parent / "canary").mkdir()
        if error is not None:
            raise error
        return bytearray(os.urandom(1) * size)

    return Victim("data", "made up", {"x.bin": b"0123456789"}, ("x.bin",), read)


@pytest.mark.parametrize(
    ("victim", "verdict"),
    [
        (ends(), ACCEPTED),
        (ends(UserError("one line")), REFUSED),
        (ends(UserError("")), TRACEBACK),
        (ends(KeyError("x")), TRACEBACK),
        (ends(planted=True), CODE),
        (ends(size=300 << 20), MEMORY),
    ],
)
def test_the_harness_sees_what_it_looks_for(victim: Victim, verdict: str) -> None:
    outcome = run_case([victim], 0, 0)
    assert outcome.verdict == verdict
    counts = summary([outcome])
    assert counts["all"][verdict] == counts["data"]["cases"] == 1


def test_what_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def forever(folder: Path) -> object:
        while True:
            pass

    monkeypatch.setattr("benchmarks.fuzz.HANG_CPU_S", 0.1)
    assert run_case([Victim("data", "loop", {"x.bin": b"0"}, ("x.bin",), forever)], 0, 0).verdict == HANG


def test_a_case_alone_needs_its_kind(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["fuzz", "--only", "3"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "give --kind" in capsys.readouterr().err


def test_as_many_values_of_no_size_as_one_declares_are_not_written() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("state.npy", npy(np.frombuffer(b"{}", dtype=np.uint8)))
        archive.writestr("x.npy", header("|V0", (2**40,)))
    with pytest.raises(ValueError, match="one by one"):
        right_checkpoint({CHECKPOINT: content.getvalue()})


def test_a_case_is_a_function_of_its_seed(found: list[Victim]) -> None:
    for victim in found[:3]:
        first, second, other = (victim.mutated(random.Random(seed), "/canary") for seed in (1, 1, 2))
        assert first == second
        assert first != other
