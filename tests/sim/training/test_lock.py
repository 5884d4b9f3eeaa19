"""Two processes claim one folder at the same instant, many times: exactly one has it, and the other says why not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 12
RIVAL = """
import json, os, sys, time
from pathlib import Path
from neuro.base.errors import UserError
from sim.training.lock import locked

name, other, rounds, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])

def meet(what):
    (folder / f"{what}-{name}").touch()
    late = time.monotonic() + 60
    while not (folder / f"{what}-{other}").exists():
        assert time.monotonic() < late

said = []
for number in range(rounds):
    meet(f"ready {number}")
    try:
        with locked(folder / f"run {number}"):
            said.append("")
            meet(f"done {number}")  # the winner holds on until the other has tried
    except UserError as error:
        said.append(str(error))
        meet(f"done {number}")
print(json.dumps({"pid": os.getpid(), "said": said}))
"""


def test_of_two_that_start_at_the_same_instant_one_wins_and_the_other_says_why(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    rivals = [
        subprocess.Popen(
            [sys.executable, "-c", RIVAL, name, other, str(ROUNDS), str(tmp_path)],
            env=environment,
            stdout=subprocess.PIPE,
        )
        for name, other in (("a", "b"), ("b", "a"))
    ]
    late = time.monotonic() + 120
    first, second = (json.loads(rival.communicate(timeout=late - time.monotonic())[0]) for rival in rivals)
    for number, said in enumerate(zip(first["said"], second["said"], strict=True)):
        assert sorted(map(bool, said)) == [False, True], f"round {number}: {said}"
        winner = first if not said[0] else second
        holder = rf"(process {winner['pid']} on \S+, since [-\d]+ [:\d]+,|another process)"  # before it wrote its name
        assert re.search(rf"run .*run {number}: {holder} trains there already; .*give another --out$", max(said))
        assert "\n" not in max(said)
    assert not list(tmp_path.glob("run *"))
