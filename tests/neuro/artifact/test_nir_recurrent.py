"""A network as one recurrent layer: the same spikes in the readers as with a Delay node for every step."""

import numpy as np
import pytest
from shared_export import graph_of, without_rounding

from neuro.artifact.nir_graph import nir_bytes, read_nir
from neuro.artifact.nir_recurrent import LEVEL, to_recurrent_nir
from neuro.base.errors import UserError
from neuro.stock.processes import LIF

nir = pytest.importorskip("nir")
pytest.importorskip("nirtorch")
NirNetwork = pytest.importorskip("sim.backends.snn.nir_reader").NirNetwork

SIZES = {"input": 5, "first": 4, "second": 4, "third": 3}
EDGES = [("input", "first"), ("first", "second"), ("second", "third"), ("third", "first"), ("third", "third"),
         ("input", "third")]  # fmt: skip


@pytest.mark.parametrize("neuron", [LIF(1023, 123, 400), LIF(4095, 300, 60), LIF(511, 0, 500)])
def test_every_loop_and_short_cut_is_held(neuron):
    spec = graph_of(SIZES, EDGES, neuron)
    inputs = (np.random.default_rng(1).random((3, 30, 5)) < 0.4).astype(np.int32)
    wanted = without_rounding(spec, inputs)["third"]
    graph = read_nir(nir_bytes(to_recurrent_nir(spec, "third")), "a file")
    assert not any(isinstance(node, nir.Delay) for node in graph.nodes.values())
    found = NirNetwork(graph).run(inputs[:, : inputs.shape[1] - LEVEL])
    assert wanted.any()
    np.testing.assert_array_equal(found, wanted[:, LEVEL:])


def test_what_nir_cannot_hold_is_refused_as_ever():
    with pytest.raises(UserError, match="population first: its bias would start at another step"):
        to_recurrent_nir(graph_of(SIZES, EDGES, LIF(1023, 123, 400, bias_mantissa=1)), "third")
    with pytest.raises(UserError, match="'fourth' is no population"):
        to_recurrent_nir(graph_of(SIZES, EDGES, LIF(1023, 123, 400)), "fourth")
