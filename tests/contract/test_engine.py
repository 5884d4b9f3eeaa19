"""The learning engine against Lava itself: every weight, tag and trace equal."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.errors import UserError
from neuro.stock.learning_engine import EngineRule, EngineTrace, product
from sim.backends.lava.stock.learning_engine import learn_in_lava
from sim.backends.stock.learning_engine import EmulatedEngine
from sim.contract.engine import count_differences, random_engine_case

needs_lava = pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava needs Python 3.10")


@needs_lava
@pytest.mark.lava
@pytest.mark.timeout(180)
@settings(max_examples=1, deadline=None)
@given(st.integers(0, 2**31))
def test_random_rules_learn_as_in_lava(first):
    cases = [random_engine_case(first + k) for k in range(16)]
    moved = 0
    for case, lava in zip(cases, learn_in_lava(cases), strict=True):
        assert count_differences(case, lava) == {"weights": 0, "tags": 0, "x": 0, "y": 0}, case.rule.render()
        moved += int(np.count_nonzero(lava["weights"] != case.weights))
    assert moved > 0


@needs_lava
@pytest.mark.lava
@pytest.mark.timeout(60)
def test_a_lava_run_that_stalls_is_ended():
    with pytest.raises(UserError, match="no case finished"):
        learn_in_lava([random_engine_case(0)], stall_s=0.2)


@pytest.mark.parametrize("noise", ["shared", "per-synapse"])
def test_learning_in_pieces_equals_learning_at_once(noise):
    for seed in range(10):
        case = random_engine_case(seed, steps=120)
        whole, pieces = (
            EmulatedEngine(case.rule, case.weights, case.tags, sign_mode=case.sign_mode, noise=noise) for _ in range(2)
        )
        whole.run(case.pre, case.post)
        for part in np.array_split(np.arange(120), 7):
            pieces.run(case.pre[part], case.post[part])
        for name, values in whole.state._asdict().items():
            np.testing.assert_array_equal(getattr(pieces.state, name), values, err_msg=name)


def test_per_synapse_rounding_is_unbiased_and_independent():
    # dw = 1 * 2^-3 at every step: an eighth of a weight unit, rounded
    rule = EngineRule((product(1, -3, "u"),), k=0)
    engine = EmulatedEngine(rule, np.zeros((200, 50), dtype=int), noise="per-synapse", seed=5)
    silence = np.zeros((400, 200), bool), np.zeros((400, 50), bool)
    weights = engine.run(*silence).weights
    assert abs(weights.mean() - 50) < 5 * np.sqrt(400 * 7 / 64 / 10_000)
    assert 0.8 < weights.var() / (400 * 7 / 64) < 1.25
    shared = EmulatedEngine(rule, np.zeros((200, 50), dtype=int)).run(*silence).weights
    assert len(np.unique(shared)) == 1  # Lava's noise: one number for all synapses


def test_a_trace_decays_and_gains():
    trace = EngineTrace(impulse=20, tau=10)
    rule = EngineRule((product(1, 0, "x0", "x1"),), x1=trace)
    spikes = np.zeros((2000, 1), bool)
    spikes[::5] = True
    engine = EmulatedEngine(rule, np.zeros((1, 1), dtype=int), noise="per-synapse")
    values = [int(engine.run(spikes[t : t + 1], np.zeros((1, 1), bool)).x[0, 0]) for t in range(2000)]
    after_spike = 20 / (1 - np.exp(-5 / 10))  # fixed point of z <- z exp(-5 / tau) + impulse
    assert np.mean(values[200::5]) == pytest.approx(after_spike, rel=0.02)


@pytest.mark.parametrize("wrong", [np.full((2, 3), 256), np.full((2, 3), -300)])
def test_weights_the_chip_cannot_hold_are_refused(wrong):
    rule = EngineRule((product(1, 0, "x0"),))
    with pytest.raises(UserError, match="weights"):
        EmulatedEngine(rule, wrong)
    with pytest.raises(UserError, match="spikes"):
        EmulatedEngine(rule, np.zeros((2, 3), dtype=int)).run(np.zeros((4, 3), bool), np.zeros((4, 3), bool))
