"""The door itself: which calls it makes. Modules of Intel's extension are made up here, at this boundary only, from the
calls that public scripts make; that a chip answers them is not shown by this test, nor by any other here.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from hardware.board import door

pytestmark = [
    pytest.mark.lava(),
    pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava needs Python 3.10"),
]


ROOT = Path(__file__).parents[3]


class Adapter:
    """As PyToNxAdapter and NxToPyAdapter: ports `inp` and `out`."""

    def __init__(self, shape, num_message_bits):
        self.shape, self.num_message_bits = shape, num_message_bits
        self.inp, self.out = object(), object()


class Port:
    def __init__(self):
        self.joined = []

    def connect(self, other):
        self.joined.append(other)


@pytest.fixture
def extension(monkeypatch):
    """Puts a made-up extension in place; returns what is asked of its profiler."""
    asked = []
    adapters = []

    def adapter(shape, num_message_bits):
        adapters.append(Adapter(shape, num_message_bits))
        return adapters[-1]

    class Probes:
        def execution_time_probe(self, num_steps):
            asked.append(("time", num_steps))

        def energy_probe(self, num_steps):
            asked.append(("energy", num_steps))

    spikes, profiler = ModuleType("lava.proc.embedded_io.spike"), ModuleType("lava.utils.profiler")
    spikes.PyToNxAdapter = spikes.NxToPyAdapter = adapter
    profiler.Profiler = SimpleNamespace(init=lambda configuration: asked.append(configuration) or Probes())
    monkeypatch.setitem(sys.modules, "lava.proc.embedded_io", ModuleType("lava.proc.embedded_io"))
    monkeypatch.setitem(sys.modules, spikes.__name__, spikes)
    monkeypatch.setitem(sys.modules, profiler.__name__, profiler)
    return asked, adapters


def test_networks_run_with_the_configuration_of_the_chip():
    # In a process of its own: Lava changes the one that imports it.
    code = "from hardware.board.door import run_configuration; print(type(run_configuration()).__name__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Loihi2HwCfg"]


def test_adapters_stand_between_host_and_chip(extension):
    _, adapters = extension
    host, chip = Port(), Port()
    assert door.to_chip(host, 7, 0) is adapters[0].out
    assert host.joined == [adapters[0].inp]
    assert door.from_chip(chip, 3, 24) is adapters[1].out
    assert chip.joined == [adapters[1].inp]
    assert [(a.shape, a.num_message_bits) for a in adapters] == [((7,), 0), ((3,), 24)]


def test_probes_are_set_for_the_run(extension):
    asked, _ = extension
    configuration = object()
    door.profiler(configuration, 120)
    assert asked == [configuration, ("time", 120), ("energy", 120)]


def test_states_are_cleared_where_there_are_any():
    class Var:
        def __init__(self):
            self.value = np.array([3, -4])

        def get(self):
            return self.value

        def set(self, value):
            self.value = value

    leaky, graded, source = SimpleNamespace(u=Var(), v=Var()), SimpleNamespace(v=Var()), SimpleNamespace()
    door.clear({"leaky": leaky, "graded": graded, "source": source}, {})
    for state in (leaky.u, leaky.v, graded.v):
        np.testing.assert_array_equal(state.value, [0, 0])
