"""NIR files in the readers of others, each in a program of its own: spikes, not only that it loads."""

import subprocess
import sys

import numpy as np
import pytest
from shared_export import graph_of, without_rounding

from benchmarks.tools import nir_readers
from benchmarks.tools.nir_readers import NotRead, differing, python_of
from neuro.artifact.nir_graph import levels_of, nir_bytes, to_nir
from neuro.artifact.nir_recurrent import LEVEL, to_recurrent_nir
from neuro.base.errors import UserError
from neuro.stock.processes import LIF

pytest.importorskip("nir")

SIZES = {"input": 5, "first": 6, "second": 4, "third": 3}
CHAIN = [("input", "first"), ("first", "second"), ("second", "third")]
LOOP = [*CHAIN, ("second", "first"), ("third", "second"), ("second", "second")]
NEURON = LIF(1023, 123, 400)


def there(reader):
    try:
        python = python_of(reader)
    except UserError:
        return False
    code = f"import importlib.util as u, sys; sys.exit(not (u.find_spec('nir') and u.find_spec({reader!r})))"
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0


def case(edges, write):
    """A file, inputs, the spikes that it should send, and by how many steps it is earlier."""
    spec = graph_of(SIZES, edges, NEURON)
    inputs = (np.random.default_rng(1).random((3, 40, 5)) < 0.4).astype(np.int32)
    level = LEVEL if write is to_recurrent_nir else levels_of(spec)["third"]
    wanted = without_rounding(spec, inputs)["third"]
    assert wanted.sum() > 10
    return nir_bytes(write(spec, "third")), inputs, wanted, level


def needs(reader):
    """Slow: an environment of its own, or a second look at what the first test of snnTorch holds."""
    missing = pytest.mark.skipif(not there(reader), reason=f"set SETTLE_{reader.upper()} to a Python that has {reader}")
    return pytest.param(reader, marks=[missing, pytest.mark.slow])


def test_no_spike_of_a_loop_differs_in_snntorch():
    pytest.importorskip("nirtorch")
    assert differing("snntorch", *case(LOOP, to_recurrent_nir)) == 0


@pytest.mark.parametrize("edges", [LOOP, CHAIN], ids=["feedback", "chain"])
@pytest.mark.parametrize("reader", [needs("snntorch"), needs("norse")])
def test_no_spike_of_a_recurrent_layer_differs(reader, edges):
    assert differing(reader, *case(edges, to_recurrent_nir)) == 0


@pytest.mark.parametrize("reader", [needs("snntorch"), needs("norse")])
def test_no_spike_of_a_chain_of_layers_differs(reader):
    assert differing(reader, *case(CHAIN, to_nir)) == 0


@pytest.mark.parametrize("reader", [needs("snntorch"), needs("norse"), needs("rockpool")])
def test_delay_nodes_are_read_by_none_of_them(reader):
    with pytest.raises(NotRead):
        differing(reader, *case(LOOP, to_nir))


@pytest.mark.parametrize("reader", [needs("rockpool")])
def test_neurons_that_reset_by_subtraction_spike_otherwise(reader):
    assert differing(reader, *case(CHAIN, to_nir)) > 0


@pytest.mark.parametrize("reader", [needs("sinabs")])
def test_a_reader_without_these_neurons_says_so(reader):
    with pytest.raises(NotRead, match="sinabs: "):
        differing(reader, *case(CHAIN, to_nir))


def test_a_reader_that_is_not_there_is_named_with_what_to_set(monkeypatch):
    monkeypatch.delenv("SETTLE_NORSE", raising=False)
    monkeypatch.setattr(nir_readers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="norse is not installed here; set SETTLE_NORSE to a Python that has it"):
        python_of("norse")
    with pytest.raises(UserError, match="reader 'nengo' is unknown; choose one of snntorch"):
        python_of("nengo")
    monkeypatch.setenv("SETTLE_NORSE", sys.executable)
    assert python_of("norse") == sys.executable
