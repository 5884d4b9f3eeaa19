"""A learning run in Lava that is interrupted or stalls: no process, no shared memory, and one line that says where."""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from shared_processes import in_sessions, lava_workers, wait_for

from neuro.base.errors import UserError
from sim.backends.lava.stock.learning import learn_stock_in_lava
from sim.backends.lava.worker.watch import SHARED_MEMORY, run_worker, shared_memory_prefix
from sim.backends.stock.segments import Segment
from sim.contract.stock import random_lesson

pytestmark = [
    pytest.mark.lava(),
    pytest.mark.timeout(180),
    pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava needs Python 3.10"),
]
SCRIPT = """
from sim.backends.lava.stock.learning import learn_stock_in_lava
from sim.backends.lava.worker.watch import SHARED_MEMORY, run_worker, shared_memory_prefix
from sim.backends.stock.segments import Segment
from sim.contract.stock import random_lesson
spec, inputs, _ = random_lesson(3, steps=100000)
learn_stock_in_lava(spec, inputs, [Segment(50)] * 2000, on_segment=lambda done: print(done, flush=True))
"""


def shared_memory_of(processes: set[int]) -> set[Path]:
    """Return the files in /dev/shm that these processes have mapped."""
    found = set()
    for process in processes:
        try:
            lines = Path(f"/proc/{process}/maps").read_text().splitlines()
        except OSError:
            continue
        found |= {Path(line.split()[-1]) for line in lines if "/dev/shm/" in line and "(deleted)" not in line}
    return found


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process_and_no_shared_memory(sign):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    caller = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with caller:
        assert int(caller.stdout.readline()) >= 1  # a segment is done
        processes = lava_workers(caller.pid)
        files = shared_memory_of(processes)
        sessions = {os.getsid(process) for process in processes} - {os.getsid(0)}
        assert in_sessions(sessions) >= processes
        assert len(processes) > 3
        assert files
        caller.send_signal(sign)
        caller.communicate(timeout=60)
    assert caller.returncode != 0
    assert wait_for(lambda: not lava_workers(caller.pid))
    assert wait_for(lambda: not in_sessions(sessions))
    assert wait_for(lambda: not any(file.exists() for file in files))


@pytest.mark.parametrize(
    ("stall_s", "steps", "words"),
    [
        (0.2, [20, 20], "after segment 0; "),
        pytest.param(10.0, [5, 5, 10**5], "after segment 2; ", marks=pytest.mark.slow),
    ],  # Lava takes seconds to start
)
def test_a_stalled_run_says_after_which_segment_and_leaves_no_process(stall_s, steps, words):
    spec, inputs, _ = random_lesson(3, sum(steps))
    with pytest.raises(UserError, match=f"no segment finished for {stall_s:g} s {words}") as error:
        learn_stock_in_lava(spec, inputs, [Segment(count) for count in steps], stall_s=stall_s)
    assert "\n" not in str(error.value)
    assert not lava_workers()


def test_shared_memory_that_a_worker_leaves_is_released(tmp_path):
    with pytest.raises(UserError, match="no item finished for 3 s"):
        run_worker("tests.contract.leaking_worker", tmp_path, 1, "item", 3.0, lambda done: None)
    name = (tmp_path / "name").read_text()
    assert name.startswith(shared_memory_prefix(tmp_path))
    assert not (SHARED_MEMORY / name).exists()
