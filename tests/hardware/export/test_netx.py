"""netx files: what they hold, what they cannot, and that Lava runs them as they are."""

import importlib.util
import io
from dataclasses import replace

import numpy as np
import pytest
from shared_export import feed_forward, graph_of

from hardware.export.netx import acting_weights, forward_part, netx_bytes, netx_layers, run_netx
from neuro.base.errors import UserError
from neuro.base.files import write_atomically
from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.stock.processes import LIF, GradedRelu, StockProjection
from sim.backends.stock.emulator import emulate

lava = pytest.mark.lava
needs_lava_dl = pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="needs lava-dl (Python 3.10)")
SIZES, NEURON = {"input": 12, "code": 9, "output": 4}, LIF(2047, 200, 300, reset_interval=20, reset_offset=1)
EDGES = [("input", "code"), ("code", "output"), ("code", "code")]


def spec_of(edges=EDGES, neuron=NEURON):
    return graph_of(SIZES, edges, neuron)


def with_projection(spec, name, **changes):
    return replace(spec, projections=tuple(replace(p, **changes) if p.name == name else p for p in spec.projections))


@lava
@needs_lava_dl
def test_lava_dl_writes_the_neurons_and_weights_that_act():
    import h5py

    spec = with_projection(spec_of(), "code->code", exponent=-1, weights=np.full((9, 9), -8))
    with h5py.File(io.BytesIO(netx_bytes(spec)), "r") as file:
        first, second = file["layer/0"], file["layer/1"]
        assert (first["type"][0], second["type"][0]) == (b"dense_rec", b"dense")
        np.testing.assert_array_equal(first["weight"][()], spec.projections[0].effective.T)
        np.testing.assert_array_equal(first["weight_rec"][()], np.full((9, 9), -4))
        np.testing.assert_array_equal(second["weight"][()], spec.projections[1].effective.T * 2)
        neuron = {key: int(first["neuron"][key][()]) for key in ("iDecay", "vDecay", "vThMant")}
        assert neuron == {"iDecay": 2048, "vDecay": 200, "vThMant": 300}
        assert list(first["shape"][()]) == [9]


@pytest.mark.slow
@lava
@needs_lava_dl
def test_lava_runs_synapses_within_a_layer_spike_for_spike(tmp_path):
    spec = with_projection(spec_of(), "code->code", weights=np.tile([[-20, 10, 4]], (9, 3)))
    inputs = (np.random.default_rng(0).random((2, 20, 12)) < 0.4).astype(np.int32)
    write_atomically(tmp_path / "network.net", netx_bytes(spec))
    wanted = emulate(spec, inputs, threads=1).spikes["output"]
    assert wanted.any(axis=(1, 2)).all()
    np.testing.assert_array_equal(run_netx(tmp_path / "network.net", inputs, together=False), wanted)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: spec_of([*EDGES, ("output", "code")]), "output->code leads back.*--format nir"),
        (lambda: spec_of([*EDGES, ("input", "output")]), "input->output skips a layer"),
        (lambda: spec_of([EDGES[0], ("input", "output")]), "0 projections from code to output"),
        (lambda: with_projection(spec_of(), "code->output", exponent=3), "must be even and within"),
        (lambda: with_projection(spec_of(), "input->code", sign_mode="excitatory", weights=np.ones((12, 9), int)),
         "must be even"),
        (lambda: with_projection(spec_of(), "code->output", weights=np.zeros((9, 4), int)), "all weights are zero"),
        (lambda: replace(spec_of(), biased=("code",)), "host sets its biases"),
        (lambda: spec_of(neuron=replace(NEURON, bias_mantissa=1)), "bias is not exported"),
        (lambda: build_stock_network(StockDesign((2, 3), 3, (4,)), seed=0).graph, "SpikeInput is no neuron"),
    ],
)  # fmt: skip
def test_what_netx_cannot_hold_is_refused_with_the_reason(change, said):
    with pytest.raises(UserError, match=said):
        netx_layers(change())


def test_graded_neurons_are_refused():
    spec = spec_of()
    graded = replace(spec.populations[1], neuron=GradedRelu())
    projections = tuple(replace(p, message_bits=16) for p in spec.projections)
    with pytest.raises(UserError, match="GradedRelu is no neuron of the format"):
        netx_layers(
            replace(spec, populations=(spec.populations[0], graded, spec.populations[2]), projections=projections)
        )


@pytest.mark.parametrize(("exponent", "weights"), [(0, [-256, 254]), (1, [-128, 126]), (-2, [8, -16])])
def test_weights_act_with_their_exponent(exponent, weights):
    projection = StockProjection("a->b", "a", "b", np.array([weights]), exponent)
    np.testing.assert_array_equal(acting_weights(projection), np.array([weights]) * 2.0**exponent)


def test_without_feedback_a_network_that_settles_is_a_chain():
    network = build_stock_network(StockDesign((2, 3), 3, (5, 4)), seed=0)
    with pytest.raises(UserError, match="leads back"):
        netx_layers(network.inference)
    chain = forward_part(network.inference)
    assert [layer.population.name for layer in netx_layers(chain)] == ["hidden1", "hidden2", "output"]
    assert [(p.source, p.target) for p in forward_part(feed_forward().graph).projections] == [
        ("input", "hidden"), ("hidden", "output")
    ]  # fmt: skip
