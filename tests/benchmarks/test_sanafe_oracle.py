"""SANA-FE, another simulator, prices the spikes of three small networks; and what is said where it is not there."""

import os
import subprocess
import sys

import numpy as np
import pytest
from shared_hardware import limited

from benchmarks.tools import sanafe_replay
from benchmarks.tools.sanafe_replay import PYTHON, compared, sanafe_python
from hardware.chip.blocks import blocks_of
from hardware.chip.limits import limits_of
from hardware.placement.partition import partition
from neuro.base.errors import UserError
from neuro.equilibrium.design import design_for
from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.front_ends.pixels import PixelEncoder
from sim.backends.protocol import get_backend

NETWORKS = ("units", "units on cores of 8", "LIF")


def there() -> bool:
    try:
        python = sanafe_python()
    except UserError:
        return False
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec('sanafe') is None)"
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0


needs_sanafe = pytest.mark.skipif(not there(), reason=f"SANA-FE is not installed: {PYTHON}=PYTHON that has it")


def replayed(name):
    network = build_equilibrium(design_for((8, 8), 10, (32,)), 0)
    if name == "LIF":
        network = build_stock_network(StockDesign((8, 8), 10, (32,), encoder=PixelEncoder(activation_bits=5)), 0)
    limits = limited(neurons=8) if name.endswith("8") else limits_of("loihi2-lava")
    top = 1 << network.encoder.activation_bits
    payloads = np.random.default_rng(0).integers(0, top, (2, 64)).astype(np.int16)
    with get_backend(network.native_backend).open(network) as session:
        record = session.run(payloads, keep_spikes=True)
    return compared(network, record, partition(blocks_of(network, limits, learns=False), limits))


@needs_sanafe
@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_another_simulator_prices_the_same_spikes_alike(name):
    found = replayed(name)
    errors = found.errors()
    assert found.theirs_j > 1e-8
    assert abs(errors["energy"]) < (0.12 if name.endswith("8") else 0.05)  # the host's messages go to many cores there
    assert errors["synapses"] == pytest.approx(0, abs=1e-9)
    assert errors["energy by its rules"] == pytest.approx(0, abs=1e-9)
    assert errors["at once"] < 0
    if name.endswith("8"):
        return  # its messages wait for each other on their way, ours do not
    assert abs(errors["two pipelines"]) < 0.1
    assert errors["in sequence"] > 0


def test_without_it_one_line_says_what_to_set(monkeypatch):
    monkeypatch.delenv(PYTHON, raising=False)
    monkeypatch.setattr(sanafe_replay.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"sanafe is not installed here; set SETTLE_SANAFE to a Python that has it"):
        sanafe_python()


def test_a_python_without_it_is_named(monkeypatch):
    if os.environ.get(PYTHON) == sys.executable:
        pytest.skip("this Python has SANA-FE")
    monkeypatch.setenv(PYTHON, sys.executable)
    with pytest.raises(UserError, match=r"failed: ModuleNotFoundError.*sanafe.*install it there") as error:
        replayed("units")
    assert "\n" not in str(error.value)
