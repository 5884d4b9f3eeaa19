"""NIR: a file is, in the readers of others, the network without its rounding; what it cannot hold is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_export import feed_forward, graph_of, without_rounding

from neuro.artifact.nir_graph import levels_of, nir_bytes, read_nir, to_nir
from neuro.base.errors import UserError
from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.stock.processes import LIF, GradedRelu, SpikeInput, StockPopulation, StockProjection
from sim.backends.stock.emulator import emulate

nir = pytest.importorskip("nir")
pytest.importorskip("nirtorch")
NirNetwork = pytest.importorskip("sim.backends.snn.nir_reader").NirNetwork

SIZES = {"input": 5, "first": 4, "second": 4, "third": 3}
CHAIN = [("input", "first"), ("first", "second"), ("second", "third")]
GRAPHS = {
    "chain": CHAIN,
    "within a layer": [*CHAIN, ("first", "first"), ("second", "second")],
    "feedback": [*CHAIN, ("second", "first"), ("third", "second")],
    "far feedback": [*CHAIN, ("third", "first")],
    "a short cut": [*CHAIN, ("input", "third")],
    "all": [*CHAIN, ("input", "second"), ("third", "first"), ("third", "third"), ("second", "first")],
}
LEAKY, MEMORYLESS = LIF(1023, 123, 400), LIF(4095, 0, 60)


def reread(spec, output="third"):
    return NirNetwork(read_nir(nir_bytes(to_nir(spec, output)), "a file"))


def spikes_of(spec, inputs, output="third"):
    """Output spikes from the file, in steps of the chip, and how late the output is."""
    delay = levels_of(spec)[output]
    sent = np.zeros((*inputs.shape[:2], next(p.size for p in spec.populations if p.name == output)), dtype=np.int32)
    sent[:, delay:] = reread(spec, output).run(inputs[:, : inputs.shape[1] - delay])
    return sent


@pytest.mark.parametrize("edges", GRAPHS.values(), ids=GRAPHS)
@pytest.mark.parametrize("neuron", [LEAKY, LIF(4095, 300, 60), LIF(511, 0, 500)])
def test_readers_run_the_network_without_its_rounding(edges, neuron):
    inputs = (np.random.default_rng(1).random((3, 30, 5)) < 0.4).astype(np.int32)
    spec = graph_of(SIZES, edges, neuron)
    wanted = without_rounding(spec, inputs)["third"]
    assert wanted.any()
    np.testing.assert_array_equal(spikes_of(spec, inputs), wanted)


@settings(max_examples=8, deadline=None)
@given(
    st.sets(st.tuples(st.sampled_from(list(SIZES)), st.sampled_from(["first", "second", "third"]))), st.integers(0, 99)
)
def test_where_nothing_is_rounded_the_file_holds_the_integers_of_the_chip(more, seed):
    edges = list(dict.fromkeys([*CHAIN, *sorted(more)]))
    spec = graph_of(SIZES, edges, MEMORYLESS, seed)
    inputs = (np.random.default_rng(seed).random((2, 25, 5)) < 0.5).astype(np.int32)
    np.testing.assert_array_equal(spikes_of(spec, inputs), emulate(spec, inputs, threads=1).spikes["third"])


def test_a_reader_starts_every_batch_from_zero():
    spec = graph_of(SIZES, GRAPHS["all"], LEAKY)
    inputs = (np.random.default_rng(2).random((2, 20, 5)) < 0.5).astype(np.int32)
    reader = reread(spec)
    np.testing.assert_array_equal(reader.run(inputs), reader.run(inputs))


def test_a_network_that_settles_keeps_its_loop_and_nearly_all_its_spikes():
    network = build_stock_network(StockDesign((2, 3), 3, (6,)), seed=1)
    graph = to_nir(network.inference, "output")
    assert [type(node).__name__ for node in graph.nodes.values()].count("Delay") == 1  # the loop takes two steps
    inputs = network.free_inputs(np.random.default_rng(3).integers(0, 33, (10, 6)))
    ours = emulate(network.inference, inputs, threads=1).spikes["output"]
    assert np.count_nonzero(spikes_of(network.inference, inputs, "output") != ours) <= 0.05 * ours.sum() + 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda spec: replace(spec, biased=("first",)), "host sets its biases"),
        (lambda spec: with_neuron(spec, replace(LEAKY, bias_mantissa=3)), "bias"),
        (lambda spec: with_neuron(spec, GradedRelu()), "payloads"),
        (lambda spec: joined(spec, SpikeInput()), "2 inputs"),
        (lambda spec: joined(spec, LEAKY), "nothing leads there"),
    ],
)
def test_what_nir_cannot_hold_is_refused(change, said):
    spec = graph_of(SIZES, CHAIN, LEAKY)
    with pytest.raises(UserError, match=said):
        to_nir(change(spec), "third")


def with_neuron(spec, neuron):
    first = replace(spec.populations[1], neuron=neuron)
    projections = tuple(replace(p, message_bits=16) if p.source == "first" else p for p in spec.projections)
    return replace(spec, populations=(spec.populations[0], first, *spec.populations[2:]), projections=projections)


def joined(spec, neuron):
    """The network with a population more, which only sends."""
    projection = StockProjection("more->third", "more", "third", np.full((2, 3), 20))
    more = StockPopulation("more", (2,), neuron)
    return replace(spec, populations=(*spec.populations, more), projections=(*spec.projections, projection))


def test_learning_is_not_exported():
    network = build_stock_network(StockDesign((2, 3), 3, (4,)), seed=0)
    with pytest.raises(UserError, match="3 inputs"):
        to_nir(network.graph, "output")


@pytest.mark.parametrize("content", [b"", b"no file", nir_bytes(to_nir(feed_forward().inference, "output"))[:900]])
def test_damaged_files_are_refused(content):
    with pytest.raises(UserError, match=r"a file: .*no NIR file"):
        read_nir(content, "a file")
