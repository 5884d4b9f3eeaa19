"""What a Lava run may never do: hang, or leave a process behind."""

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from neuro.base.errors import UserError
from sim.backends.protocol import get_backend
from sim.contract.sigma_delta import random_images, random_rates, random_spec

pytestmark = [
    pytest.mark.lava(),
    pytest.mark.timeout(180),
    pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava needs Python 3.10"),
]


def workers() -> set[int]:
    """Return the process ids of all Lava workers and their children."""
    found = set()
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and b"sim.backends.lava.sigma_delta.worker" in (folder / "cmdline").read_bytes():
                found.add(int(folder.name))
        except OSError:
            continue
    return found


def wait_for(condition) -> bool:
    """Wait until `condition()` holds, at most half a minute; returns whether it does."""
    for _ in range(300):
        if condition():
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def network():
    spec = random_spec(1)
    return spec, *random_images(spec, 1, 4)


def test_a_finished_run_leaves_no_process(network):
    spec, payloads, targets = network
    before = workers()
    with get_backend("lava").open(spec) as session:
        record = session.run(payloads, targets)
    assert record.n_images == 4
    assert workers() <= before


def test_a_stalled_run_is_ended_with_one_line_and_leaves_no_process(network):
    spec, payloads, targets = network
    before = workers()
    with (
        get_backend("lava").open(spec, stall_s=0.2) as session,  # Lava alone takes longer to start
        pytest.raises(UserError, match=r"no image finished for 0\.2 s") as error,
    ):
        session.run(payloads, targets)
    assert "\n" not in str(error.value)
    assert wait_for(lambda: workers() <= before)


def test_a_worker_killed_from_outside_is_reported(network):
    spec, payloads, targets = network
    before = workers()

    def kill_worker() -> None:
        wait_for(lambda: workers() - before)
        for pid in workers() - before:
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_worker)
    killer.start()
    with get_backend("lava").open(spec) as session, pytest.raises(UserError, match="the run failed"):
        session.run(payloads, targets)
    killer.join()
    assert wait_for(lambda: workers() <= before)


SCRIPT = """
from sim.backends.protocol import get_backend
from sim.contract.sigma_delta import random_images, random_spec
spec = random_spec(1)
with get_backend("lava").open(spec) as session:
    session.run(*random_images(spec, 1, 2000))
"""


def test_when_the_caller_is_killed_its_worker_ends():
    before = workers()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    caller = subprocess.Popen([sys.executable, "-c", SCRIPT], env=environment)
    assert wait_for(lambda: workers() - before)
    caller.kill()
    caller.wait()
    assert wait_for(lambda: workers() <= before)


def test_learning_on_lava_is_refused_and_says_where_to_learn(network):
    spec, payloads, targets = network
    with get_backend("lava").open(spec) as session, pytest.raises(UserError, match="events backend"):
        session.learn(payloads, targets, random_rates(spec, 0), seed=0, first_image=0)
