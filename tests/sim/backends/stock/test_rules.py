"""The rules of the stock family in the learning engine: what tags and weights do in the slots of a sample."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.stock.rules import (
    BLANK_TAG,
    EMPTY,
    EMPTY_FROM,
    FEEDBACK,
    FORWARD,
    HELD,
    HELD_FROM,
    engine_rule,
    stock_rule,
)
from sim.backends.stock.learning_engine import EmulatedEngine

SLOT = 128
N_PRE, N_POST = 5, 6
law = settings(max_examples=40, deadline=None)
rates_of_spikes = st.lists(st.floats(0.0, 0.5), min_size=4, max_size=4)


def trains(generator, rate, n):
    """Spikes of one slot, every neuron at a rate of its own up to `rate`."""
    return generator.random((SLOT, n)) < generator.random(n) * rate


def engine_of(name, direction, mantissa, exponent, noise, weights, seed=1):
    """An engine of a rule of factor mantissa * 2**exponent, all tags as at the start of a training."""
    form = stock_rule(name)
    rate = mantissa * 2.0**exponent * form.gain * (form.fast.impulse / 12) ** 2
    rule = engine_rule(form, direction, rate)
    assert (rule.dw[0].mantissa * 2.0 ** rule.dw[0].exponent) == mantissa * 2.0**exponent
    return EmulatedEngine(rule, weights, np.full(weights.shape, form.tag), noise=noise, seed=seed)


@law
@given(
    seed=st.integers(0, 2**31 - 1),
    rates=rates_of_spikes,
    direction=st.sampled_from([FORWARD, FEEDBACK]),
    noise=st.sampled_from(["shared", "per-synapse"]),
    mantissa=st.integers(1, 7),
    exponent=st.integers(-7, -5),
)
def test_r5_holds_the_free_trace_and_learns_once(seed, rates, direction, noise, mantissa, exponent):
    generator = np.random.default_rng(seed)
    start = generator.integers(-30, 31, (N_PRE, N_POST))
    engine = engine_of("R5", direction, mantissa, exponent, noise, start, seed)

    def slot(pre_rate, post_rate):
        state = engine.run(trains(generator, pre_rate, N_PRE), trains(generator, post_rate, N_POST))
        x, y = np.broadcast_arrays(state.x[0][:, None].astype(int), state.y[0][None, :].astype(int))
        kept, held = (x, y) if direction == FORWARD else (y, x)
        return state.weights.astype(int), state.tags.astype(int), kept, held

    free_weights, tags, _, held_free = slot(rates[0], rates[1])
    np.testing.assert_array_equal(tags, HELD + held_free)
    np.testing.assert_array_equal(free_weights, start)
    weights, after, kept, held = slot(rates[2], rates[3])
    np.testing.assert_array_equal(after, EMPTY + held)
    assert (after < -30).all()
    wanted = mantissa * 2.0**exponent * tags * kept * (held - held_free) / 4096
    rounded_down = 2.0**exponent * (1 + 4)  # a product each, the second of four times the unit
    assert (np.abs(weights - start - wanted) < rounded_down + 1).all()
    blank_weights, tags, kept, held = slot(0.0, 0.0)
    np.testing.assert_array_equal(tags, held)  # zero unless a trace has not run empty
    np.testing.assert_array_equal(blank_weights[kept == 0], weights[kept == 0])
    assert (tags <= 3).all()
    assert (np.abs(blank_weights - weights) <= 3).all()


def test_r5_comes_back_to_zero_sample_after_sample():
    generator = np.random.default_rng(5)
    weights = np.zeros((40, 30), dtype=np.int16)
    engine = engine_of("R5", FORWARD, 3, -7, "per-synapse", weights)
    empty = []
    for _ in range(6):
        before = engine.state.weights.copy()
        still = engine.state.tags == 0
        engine.run(trains(generator, 0.5, 40), trains(generator, 0.5, 30))
        np.testing.assert_array_equal(engine.state.weights[still], before[still])
        engine.run(trains(generator, 0.5, 40), trains(generator, 0.5, 30))
        engine.run(np.zeros((SLOT, 40), bool), np.zeros((SLOT, 30), bool))
        empty.append(float((engine.state.tags == 0).mean()))
    assert min(empty) > 0.8
    assert (engine.state.weights != 0).mean() > 0.5


@law
@given(
    seed=st.integers(0, 2**31 - 1),
    rates=rates_of_spikes,
    direction=st.sampled_from([FORWARD, FEEDBACK]),
    noise=st.sampled_from(["shared", "per-synapse"]),
    rate=st.floats(0.001, 0.02),
)
def test_r7_holds_the_nudged_trace_and_learns_after_the_free_slot(seed, rates, direction, noise, rate):
    generator = np.random.default_rng(seed)
    start = generator.integers(-30, 31, (N_PRE, N_POST))
    form = stock_rule("R7")
    rule = engine_rule(form, direction, rate)
    engine = EmulatedEngine(rule, start, noise=noise, seed=seed)

    def slot(pre_rate, post_rate):
        state = engine.run(trains(generator, pre_rate, N_PRE), trains(generator, post_rate, N_POST))
        x, y = np.broadcast_arrays(state.x[0][:, None].astype(int), state.y[0][None, :].astype(int))
        kept, compared = (x, y) if direction == FORWARD else (y, x)
        return state.weights.astype(int), state.tags.astype(int), kept, compared

    weights, tags, _, nudged = slot(rates[0], rates[1])
    np.testing.assert_array_equal(weights, start)
    np.testing.assert_array_equal(tags, HELD_FROM - nudged)
    weights, after, kept, free = slot(rates[2], rates[3])
    np.testing.assert_array_equal(after, EMPTY_FROM - free)
    mantissa, unit = -rule.dw[0].mantissa, 2.0 ** rule.dw[0].exponent
    wanted = mantissa * unit * tags * kept * (nudged - free) / 4096 + 3 * unit * kept * free / 4096
    rounded_down = unit * (1 + 4 + 1 + 1)  # a product each, the second of four times the unit
    assert (np.abs(weights - start - wanted) < rounded_down + 1).all()
    still = (nudged == 0) & (free == 0)
    np.testing.assert_array_equal(weights[still], start[still])  # silent neurons do not drift
    before = weights
    for tag in (BLANK_TAG, 0):
        weights, tags, kept, left = slot(0.0, 0.0)
        assert not kept.any()
        np.testing.assert_array_equal(weights, before)
        np.testing.assert_array_equal(tags, tag - left)
    assert tags.min() >= -1  # what decays by chance may leave the last unit of a trace
    assert tags.max() <= 0


@law
@given(seed=st.integers(0, 2**31 - 1), name=st.sampled_from(["R1", "deferred"]), mantissa=st.integers(1, 7))
def test_r1_takes_the_free_product_away_and_adds_the_nudged_one(seed, name, mantissa):
    generator = np.random.default_rng(seed)
    weights = generator.integers(-30, 31, (N_PRE, N_POST))
    engine, sign = engine_of(name, FORWARD, mantissa, -7, "per-synapse", weights, seed), -1
    for _ in range(4):
        before = engine.state.weights.astype(int)
        assert (engine.state.tags == sign * 127).all()
        state = engine.run(trains(generator, 0.5, N_PRE), trains(generator, 0.5, N_POST))
        wanted = sign * 127 * mantissa * 2.0**-7 * np.outer(state.x[0], state.y[0]) / 4096
        assert (np.abs(state.weights - before - wanted) < 1 + 2.0**-7).all()
        sign = -sign


@law
@given(seed=st.integers(0, 2**31 - 1), name=st.sampled_from(["R2", "R3", "R4"]), mantissa=st.integers(1, 7))
def test_rules_with_slow_traces_learn_once_a_sample(seed, name, mantissa):
    generator = np.random.default_rng(seed)
    weights = generator.integers(-30, 31, (N_PRE, N_POST))
    for direction in (FORWARD, FEEDBACK):
        form = stock_rule(name)
        rule = engine_rule(form, direction, mantissa * 2.0**-7 * form.gain * (form.fast.impulse / 12) ** 2)
        engine = EmulatedEngine(rule, weights, noise="per-synapse", seed=seed)
        pre, post = (trains(generator, 0.3, n) for n in (N_PRE, N_POST))
        engine.run(np.tile(pre, (2, 1))[:255], np.tile(post, (2, 1))[:255])
        np.testing.assert_array_equal(engine.state.weights, weights)
        state = engine.run(pre[-1:], post[-1:])
        (x1, x2), (y1, y2) = state.x.astype(int), state.y.astype(int)
        wanted = {
            "R2": np.outer(x1, y1) - np.outer(x2, y2),
            "R3": np.outer(x1, y1 - y2) if direction == FORWARD else np.outer(x1 - x2, y1),
            "R4": 2 * np.outer(x1, y1) - np.outer(x1, y2) - np.outer(x2, y1),
        }[name]
        error = state.weights - weights - mantissa * 2.0**-7 * wanted / 8
        assert (np.abs(error) < 1 + 4 * 2.0**-7).all()
