"""Classifiers without feedback: what they refuse, what they send, and that they survive a file."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from shared_export import even, feed_forward

from neuro.artifact.run_folder import Artifact, load_artifact, save_artifact
from neuro.base.errors import UserError
from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.front_ends.pixels import PixelEncoder
from neuro.stock.feed_forward import FeedForwardNetwork, feed_forward_graph
from neuro.stock.processes import LIF
from sim.backends.protocol import get_backend
from sim.backends.record import compare
from sim.backends.stock.emulator import emulate
from sim.robustness.bridge.fidelity import fidelity
from sim.twins.make import make_twin


def test_what_the_last_steps_of_the_input_hold_cannot_reach_the_output():
    network = feed_forward()
    payloads = np.random.default_rng(1).integers(0, 33, (6, 6))
    sent, cut = network.trains(payloads, network.steps), network.free_inputs(payloads)
    np.testing.assert_array_equal(cut[:, :-2], sent[:, :-2])
    assert sent[:, -2:].any()
    assert not cut[:, -2:].any()
    whole, less = (emulate(network.inference, inputs, threads=1).spikes["output"] for inputs in (sent, cut))
    assert whole.any()
    np.testing.assert_array_equal(whole, less)


def test_its_trains_are_those_of_a_network_that_settles():
    network = feed_forward()
    settling = build_stock_network(StockDesign((2, 3), 3, (4,)), seed=0)
    payloads = np.random.default_rng(2).integers(0, 33, (3, 6))
    np.testing.assert_array_equal(network.trains(payloads, 40), settling.trains(payloads, 40))


def test_a_run_of_it_is_read_back_and_edited_ones_are_refused(tmp_path):
    network = feed_forward()
    save_artifact(tmp_path, Artifact(network, {"seed": 0}))
    read = load_artifact(tmp_path).spec
    assert isinstance(read, FeedForwardNetwork)
    payloads = np.random.default_rng(3).integers(0, 33, (5, 6)).astype(np.int16)
    records = []
    for one in (network, read):
        with get_backend("chip").open(one) as session:
            records.append(session.run(payloads, keep_spikes=True, keep_states=True))
    assert compare(*records).total == 0
    assert records[0].settled.all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 2}, "an input needs 2 steps"),
        ({"spacing": 0}, "spacing"),
        ({"pixels": (3, 3)}, "bias unit"),
        ({"encoder": PixelEncoder(offset=np.zeros(6, dtype=np.int16))}, "no sign"),
        ({"graph": build_stock_network(StockDesign((2, 3), 3, (4,)), seed=0).graph}, "populations"),
        ({"graph": build_stock_network(StockDesign((2, 3), 3, (4,)), seed=0).inference}, "between neighbours"),
    ],
)
def test_what_is_no_feed_forward_classifier_is_refused(changes, said):
    with pytest.raises(UserError, match=said):
        replace(feed_forward(), **changes)


def test_layers_must_fit_each_other():
    generator = np.random.default_rng(0)
    with pytest.raises(UserError, match="weights have shape"):
        feed_forward_graph([even(generator, 7, 5), even(generator, 4, 3)], LIF())
    with pytest.raises(UserError, match="no weights to set"):
        feed_forward().with_weights({"nowhere": np.zeros((1, 1))})


def test_it_learns_nothing_on_the_chip():
    with get_backend("chip").open(feed_forward()) as session, pytest.raises(UserError, match="no rule"):
        session.learn(np.zeros((1, 6)), np.zeros((1, 3)), {}, seed=0, first_image=0)


def test_its_twin_gives_its_answers_and_a_gradient():
    network = feed_forward(steps=40)
    images = torch.tensor(np.random.default_rng(4).random((30, 2, 3)), dtype=torch.float32, requires_grad=True)
    twin = make_twin(network)
    with get_backend("chip").open(network) as session:
        found = fidelity(twin, session, images.detach())
    assert (found.label_agreement, found.output_error) == (1.0, 0.0)
    (gradient,) = torch.autograd.grad(twin(images)[:, 0].sum(), images)
    assert (gradient != 0).any()
