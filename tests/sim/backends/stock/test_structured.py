"""Learning by what networks of images have in common: equal to the generic engine in every integer."""

from dataclasses import replace

import numpy as np
import pytest

from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.stock.learning_engine import EngineFactor, product
from neuro.stock.rules import RULES
from sim.backends.stock.learning import LearningEmulator
from sim.backends.stock.session import commit_pairs
from sim.backends.stock.structured import StructuredEmulator, turn_of, why_not
from sim.backends.stock.tag_ends import POST, PRE, tag_end

COUNT = 12


def network(rule, noise="per-synapse", hidden=(12,), **more):
    design = StockDesign((5, 5), 4, hidden, rule, squared_length=9.0, learning_rate=0.02, noise=noise, **more)
    return build_stock_network(design, seed=3)


def lessons(seed=0):
    generator = np.random.default_rng(seed)
    payloads = generator.integers(0, 33, (COUNT, 25)) * (generator.random((COUNT, 25)) < 0.6)
    return payloads, np.arange(COUNT) % 4


def check_equal(net, fast, slow, run):
    weights = {**slow.weights(), **slow.still_weights()}
    for name, values in fast.weights().items():
        np.testing.assert_array_equal(values, weights[name], err_msg=name)
    for name, values in fast.tags().items():
        np.testing.assert_array_equal(values, slow.tags()[name], err_msg=name)
    for name, traces in fast.traces().items():
        for trace, values in traces.items():
            np.testing.assert_array_equal(values, slow.traces()[name][trace], err_msg=f"{name} {trace}")
    for name, (u, v) in fast.states().items():
        np.testing.assert_array_equal(u, run.u[name][0], err_msg=name)
        np.testing.assert_array_equal(v, run.v[name][0], err_msg=name)


@pytest.mark.parametrize(
    ("rule", "noise", "hidden", "lsb"),
    [(rule, noise, (12,), 1) for rule in RULES for noise in ("per-synapse", "shared")]
    + [("R7", "per-synapse", (12,), 2)],
)
def test_every_rule_learns_the_same_integers_as_step_by_step(rule, noise, hidden, lsb):
    net, (payloads, labels) = network(rule, noise, hidden, lsb=lsb), lessons()
    assert why_not(net) is None
    time = 5000 * net.schedule.steps
    fast, slow = StructuredEmulator(net, time=time), LearningEmulator(net.graph, time=time)
    before = fast.weights()
    for part in (slice(0, 5), slice(5, COUNT)):
        inputs = net.learning_inputs(payloads[part], labels[part])
        found = fast.learn(payloads[part], labels[part], keep_spikes=True)
        run = slow.run(inputs.reshape(-1, inputs.shape[2]))
        for name, spikes in found.spikes.items():
            np.testing.assert_array_equal(spikes, run.spikes[name][0], err_msg=name)
        output = run.spikes[net.output].reshape(-1, net.schedule.steps, net.n_classes)
        np.testing.assert_array_equal(found.output, net.scores({net.output: output}))
        phases = np.tile(net.phases(), len(labels[part]))
        for population in net.populations:
            per_step = run.spikes[population.name][0].sum(axis=1)
            np.testing.assert_array_equal(
                found.counts[population.name], np.bincount(phases, per_step), err_msg=population.name
            )
        for pair in commit_pairs(net):
            fast.commit(pair)
            slow.commit(pair)
        check_equal(net, fast, slow, run)
    assert all((fast.weights()[p.name] != before[p.name]).mean() > 0.02 for p in net.plastic)
    assert found.counts["hidden" if len(hidden) == 1 else "hidden2"].sum() > 100


def test_what_has_no_such_structure_is_told_in_words():
    net = network("R5")
    first = net.plastic[0]

    def with_rule(**changes):
        rule = replace(first.rule, **changes)
        graph = replace(net.graph, projections=(replace(first, rule=rule), *net.projections[1:]))
        return replace(net, graph=graph)

    assert "do not all wait for u" in why_not(with_rule(t_epoch=2))
    assert "do not all wait for u" in why_not(with_rule(dw=(*first.rule.dw, product(1, 0, "x0", "y1"))))
    assert "reads the weight" in why_not(with_rule(dw=(*first.rule.dw, product(-1, 0, "u", "w"))))
    assert "both ends" in why_not(with_rule(dt=(*first.rule.dt, product(1, 0, "u", "x1"))))
    assert "do not come round" in why_not(with_rule(k=6))
    odd = replace(first, lsb=2, weights=first.weights + 1)
    assert "odd weights" in why_not(replace(net, graph=replace(net.graph, projections=(odd, *net.projections[1:]))))
    silent = tuple(replace(p, rule=None, tag=0) if p.rule else p for p in net.projections)
    assert "nothing learns" in why_not(replace(net, graph=replace(net.graph, projections=silent)))
    assert turn_of(net) == 128


def test_tags_belong_to_the_end_that_they_read():
    for name, ends in (("R5", (POST, PRE)), ("R7", (POST, PRE)), ("R1", (POST, POST))):
        rules = [p.rule for p in network(name).plastic if p.source != "input"]
        assert tuple(tag_end(rule.dt, RULES[name].tag) for rule in rules) == ends
    half = (product(1, -1, "u", EngineFactor("t", 1)),)
    assert tag_end(half, 0) is None  # each synapse rounds by itself
    assert tag_end((product(1, 8, "u", "t", "y1"),), 1) is None  # so does each where the sum saturates
    assert tag_end((), 5) == POST
