"""Stock EP networks: what is drawn, what is tied, what cannot be."""

import itertools

import numpy as np
import pytest

from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.stock.family import INPUT, OUTPUT
from neuro.stock.network import RELAY, SHADOW
from neuro.stock.rules import RULES


def build(seed=1, **more):
    return build_stock_network(StockDesign((3, 3), 3, **{"hidden": (6,), **more}), seed)


def test_equal_seeds_give_equal_networks_and_other_seeds_others():
    first, second, other = build(4), build(4), build(5)
    for one, two in zip(first.projections, second.projections, strict=True):
        assert {**vars(one), "weights": 0} == {**vars(two), "weights": 0}
        np.testing.assert_array_equal(one.weights, two.weights)
    assert first.populations == second.populations
    for one, two in zip(first.plastic, other.plastic, strict=True):
        assert (one.weights != two.weights).any()
        assert one.noise_seed != two.noise_seed


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("hidden", [(6,), (6, 4)])
def test_feedback_starts_as_the_transpose_and_no_two_synapses_share_noise(rule, hidden):
    net = build(rule=rule, hidden=hidden, lsb=2, feedback_shift=2)
    by_ends = {(p.source, p.target): p for p in net.projections if p.transmits}
    layers = [p.name for p in net.moving]
    for lower, upper in itertools.pairwise(layers):
        forward, back = by_ends[lower, upper], by_ends[upper, lower]
        np.testing.assert_array_equal(back.weights, forward.weights.T)
        assert back.exponent == forward.exponent + 2
    assert not by_ends[INPUT, layers[0]].weights[-1].any()  # bias
    assert (by_ends[INPUT, layers[0]].weights % 2 == 0).all()
    assert len({p.noise_seed for p in net.plastic}) == len(net.plastic)
    assert {(p.noise, p.lsb) for p in net.plastic} == {("per-synapse", 2)}
    host = rule == "deferred"
    assert all(p.transmits is not host and p.name.startswith(SHADOW) is host for p in net.plastic)
    assert len(net.plastic) == (len(hidden) + 1 if host else 2 * len(hidden) + 1)
    assert net.commit_every == (20 if host else 0)


def threshold(squared_length):
    return build(squared_length=squared_length).population("hidden").neuron.threshold


@pytest.mark.parametrize("squared_length", [1.5, 17.0, 100.0, 400.0])
def test_the_threshold_grows_with_the_length_of_the_images(squared_length):
    assert threshold(4 * squared_length) == pytest.approx(2 * threshold(squared_length), abs=1)
    net = build(squared_length=squared_length)
    gain = 2.0 ** next(p for p in net.projections if (p.source, p.target) == ("hidden", OUTPUT)).exponent
    assert 0.5 < gain * 1600 / max(threshold(squared_length), 1600) < 2  # weights between neurons stay as large


def test_teacher_and_relay_balance_at_the_target_rate():
    for target_rate in (0.1, 0.25, 0.5):
        net = build(target_rate=target_rate)
        gives = {(p.source, p.target): float(np.diag(p.weights)[0]) * 2.0**p.exponent for p in net.projections[-4:]
                 if p.weights.shape[0] > 1}  # fmt: skip
        rate = gives["label", OUTPUT] / net.spacing / -gives[RELAY, OUTPUT]
        assert rate == pytest.approx(target_rate, rel=0.02)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hidden": ()}, ["hidden"]),
        ({"hidden": (4, 0)}, ["hidden"]),
        ({"rule": "R6"}, ["R6"]),
        ({"target_rate": 0.0}, ["target_rate"]),
        ({"target_rate": 1.5}, ["target_rate"]),
        ({"strength": 0.0}, ["strength"]),
        ({"strength": 16.0}, ["strength"]),
        ({"squared_length": 0.0}, ["squared_length"]),
        ({"leak": -1}, ["voltage_decay"]),
        ({"current_decay": 4096}, ["current_decay"]),
        ({"spacing": 0}, ["spacing"]),
        ({"learning_rate": 10.0}, ["lower the rate"]),
        ({"noise": "pink"}, ["pink"]),
        ({"lsb": 3}, ["lsb"]),
        ({"squared_length": 1e9}, ["threshold"]),
    ],
    ids=str,
)
def test_a_design_that_cannot_be_is_refused(change, words, refused):
    with refused(*words):
        build(**change)


def test_one_class_is_none(refused):
    with refused("1 classes"):
        build_stock_network(StockDesign((3,), 1, (4,)), 0)
