"""What a Lava run may never do: hang, or leave a process behind."""

import importlib.util
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from shared_processes import lava_workers, wait_for

from neuro.base.errors import UserError
from sim.backends.protocol import get_backend
from sim.contract.sigma_delta import random_images, random_rates, random_spec

pytestmark = [
    pytest.mark.lava(),
    pytest.mark.timeout(180),
    pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava needs Python 3.10"),
]


@pytest.fixture
def network():
    spec = random_spec(1)
    return spec, *random_images(spec, 1, 4)


def test_a_finished_run_leaves_no_process(network):
    spec, payloads, targets = network
    with get_backend("lava").open(spec) as session:
        record = session.run(payloads, targets)
    assert record.n_images == 4
    assert not lava_workers()


def test_a_stalled_run_is_ended_with_one_line_and_leaves_no_process(network):
    spec, payloads, targets = network
    with (
        get_backend("lava").open(spec, stall_s=0.2) as session,  # Lava alone takes longer to start
        pytest.raises(UserError, match=r"no image finished for 0\.2 s") as error,
    ):
        session.run(payloads, targets)
    assert "\n" not in str(error.value)
    assert wait_for(lambda: not lava_workers())


def test_a_worker_killed_from_outside_is_reported(network):
    spec, payloads, targets = network

    def kill_worker() -> None:
        wait_for(lava_workers)
        for pid in lava_workers():
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_worker)
    killer.start()
    with get_backend("lava").open(spec) as session, pytest.raises(UserError, match="the run failed"):
        session.run(payloads, targets)
    killer.join()
    assert wait_for(lambda: not lava_workers())


SCRIPT = """
from sim.backends.protocol import get_backend
from sim.contract.sigma_delta import random_images, random_spec
spec = random_spec(1)
with get_backend("lava").open(spec) as session:
    session.run(*random_images(spec, 1, 2000))
"""


def test_when_the_caller_is_killed_its_worker_ends():
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    caller = subprocess.Popen([sys.executable, "-c", SCRIPT], env=environment)
    assert wait_for(lambda: lava_workers(caller.pid))
    caller.kill()
    caller.wait()
    assert wait_for(lambda: not lava_workers(caller.pid))


def test_learning_on_lava_is_refused_and_says_where_to_learn(network):
    spec, payloads, targets = network
    with get_backend("lava").open(spec) as session, pytest.raises(UserError, match="events backend"):
        session.learn(payloads, targets, random_rates(spec, 0), seed=0, first_image=0)
