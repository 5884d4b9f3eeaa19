"""The rules of the stock family as text, their rates, and what the engine cannot hold."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.stock.learning_engine import EngineTrace
from neuro.stock.rules import (
    FEEDBACK,
    FORWARD,
    RULES,
    UNIT_IMPULSE,
    UNIT_TAU,
    engine_rule,
    kept_scale_of,
    scale_of,
    stock_rule,
    turned_products,
)

TEXTS = {
    ("R1", FORWARD): {"dw": "+5*2^-3*u7*t*x1*y1", "dt": "-2*2^0*u7*t"},
    ("R2", FORWARD): {"dw": "+5*2^-3*u8*x1*y1-5*2^-3*u8*x2*y2"},
    ("R3", FORWARD): {"dw": "+5*2^-3*u8*x1*y1-5*2^-3*u8*x1*y2"},
    ("R3", FEEDBACK): {"dw": "+5*2^-3*u8*x1*y1-5*2^-3*u8*x2*y1"},
    ("R4", FORWARD): {"dw": "+5*2^-2*u8*x1*y1-5*2^-3*u8*x1*y2-5*2^-3*u8*x2*y1"},
    ("R5", FORWARD): {
        "dw": "+5*2^-3*u7*t*x1*y1-5*2^-1*u7*t*x1*(t-128)",
        "dt": "-1*2^0*u7*t-6*2^4*u7+4*2^4*u7*sgn(t+30)-5*2^5*u7*sgn(t-30)+1*2^0*u7*y1",
    },
    ("R5", FEEDBACK): {
        "dw": "+5*2^-3*u7*t*x1*y1-5*2^-1*u7*t*y1*(t-128)",
        "dt": "-1*2^0*u7*t-6*2^4*u7+4*2^4*u7*sgn(t+30)-5*2^5*u7*sgn(t-30)+1*2^0*u7*x1",
    },
}
for name, like in (("R1", "R1"), ("R2", "R2"), ("R4", "R4"), ("deferred", "R1")):
    TEXTS[name, FEEDBACK] = TEXTS[name, FORWARD] = TEXTS[like, FORWARD]
TURNED = "R7"  # its rate is set by a trace
PLAIN = [name for name in RULES if name != TURNED]


def rate_of(rule, scale, from_input=False):
    """The learning rate at which a rule has the factor `scale`."""
    pre = rule.input_trace if from_input else rule.fast
    return scale * rule.gain * pre.impulse * pre.tau / UNIT_TAU * rule.fast.impulse / UNIT_IMPULSE**2


def rule_at(name, direction, scale, from_input=False):
    rule = stock_rule(name)
    return engine_rule(rule, direction, rate_of(rule, scale, from_input), from_input=from_input)


@pytest.mark.parametrize(("name", "direction"), TEXTS)
@pytest.mark.parametrize("from_input", [False, True])
def test_every_rule_is_the_text_that_the_engine_takes(name, direction, from_input):
    assert rule_at(name, direction, 5 / 8, from_input).render() == TEXTS[name, direction]
    assert {rule for rule, _ in TEXTS} == set(PLAIN)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("direction", [FORWARD, FEEDBACK])
@pytest.mark.parametrize("mantissa", range(1, 8))
@pytest.mark.parametrize("exponent", [-7, 0, 2])
def test_every_rate_that_scale_of_gives_can_be_said(name, direction, mantissa, exponent):
    rule = rule_at(name, direction, mantissa * 2.0**exponent)
    positive = sum(p.mantissa * 2.0**p.exponent for p in rule.dw if p.mantissa > 0)
    assert positive == mantissa * 2.0**exponent * (2 if name == "R4" else 1)
    if name in ("R2", "R3", "R4"):
        assert sum(p.mantissa * 2.0**p.exponent for p in rule.dw) == 0  # equal traces, no change


@pytest.mark.parametrize("name", PLAIN)
def test_pixels_have_traces_of_their_own(name):
    rule = stock_rule(name)
    pixels, neurons = (rule_at(name, FORWARD, 1.0, from_input) for from_input in (True, False))
    assert (pixels.x1, neurons.x1) == (rule.input_trace, rule.fast)
    assert pixels.y1 == neurons.y1 == rule.fast
    bound = rule.input_trace.impulse / (1 - math.exp(-2 / rule.input_trace.tau))  # a spike every other step
    assert bound <= 127


@settings(max_examples=300, deadline=None)
@given(st.floats(2.0**-7, 28.0))
def test_a_scale_is_the_nearest_that_the_engine_holds(value):
    mantissa, exponent = scale_of(value)
    assert 1 <= mantissa <= 7
    assert -7 <= exponent <= 2
    held = [m * 2.0**e for m in range(1, 8) for e in range(-7, 3)]
    assert abs(mantissa * 2.0**exponent - value) == min(abs(one - value) for one in held)


@pytest.mark.parametrize("mantissa", range(1, 8))
@pytest.mark.parametrize("exponent", range(-7, 3))
def test_a_scale_that_the_engine_holds_is_kept_with_the_largest_mantissa(mantissa, exponent):
    value = mantissa * 2.0**exponent
    found = scale_of(value)
    assert found[0] * 2.0 ** found[1] == value
    assert found[0] > 3 or found[1] == -7


@pytest.mark.parametrize("value", [0.0, -1.0, 2.0**-9, 28.1, 1e6])
def test_a_scale_out_of_reach_is_refused(value, refused):
    with refused("learning rate", "lower the rate"):
        scale_of(value)


@pytest.mark.parametrize("name", PLAIN)
def test_too_large_a_rate_is_refused_and_too_small_a_one_is_the_smallest(name, refused):
    with refused("learning rate", "lower the rate"):
        rule_at(name, FORWARD, 29.0)
    assert rule_at(name, FORWARD, 1e-6) == rule_at(name, FORWARD, 2.0**-7)


@pytest.mark.parametrize(("steps", "due"), [(1024, "every 1024 steps"), (100, "every 100 steps")])
def test_a_period_that_the_engine_does_not_count_to_is_refused(steps, due, refused):
    with refused("R5", due, "powers of 2 up to 512"):
        engine_rule(replace(stock_rule("R5"), slot_steps=steps), FORWARD, 0.003)
    with refused("R2", "every 1024 steps"):
        engine_rule(replace(stock_rule("R2"), slot_steps=256), FORWARD, 0.003)


def test_an_unknown_rule_is_refused(refused):
    with refused("'R6'", "R1, R2, R3, R4, R5, R7, deferred"):
        stock_rule("R6")


TURNED_TEXTS = {
    FORWARD: {
        "dw": "-6*2^-7*u7*t*x1*y1-6*2^-5*u7*t*x1*(t-64)+6*2^-7*u7*t*x1+3*2^-7*u7*sgn(t)*x1*y1",
        "dt": "-1*2^0*u7*t-6*2^4*u7+6*2^4*u7*sgn(t+30)-5*2^5*u7*sgn(t-30)+4*2^3*u7*sgn(t+100)-1*2^0*u7*y1",
    },
    FEEDBACK: {
        "dw": "-6*2^-7*u7*t*x1*y1-6*2^-5*u7*t*y1*(t-64)+6*2^-7*u7*t*y1+3*2^-7*u7*sgn(t)*x1*y1",
        "dt": "-1*2^0*u7*t-6*2^4*u7+6*2^4*u7*sgn(t+30)-5*2^5*u7*sgn(t-30)+4*2^3*u7*sgn(t+100)-1*2^0*u7*x1",
    },
}


@pytest.mark.parametrize("direction", [FORWARD, FEEDBACK])
@pytest.mark.parametrize("at_output", [False, True])
def test_the_turned_rule_keeps_one_trace_and_compares_the_other(direction, at_output):
    rule = engine_rule(stock_rule(TURNED), direction, 1e-3, at_output=at_output)
    assert rule.render() == TURNED_TEXTS[direction]
    kept, compared = (rule.x1, rule.y1) if direction == FORWARD else (rule.y1, rule.x1)
    assert compared == EngineTrace(6 if at_output else 12, 32)
    assert kept.tau == 10
    assert rule.x2.impulse == rule.y2.impulse == 0


@pytest.mark.parametrize("from_input", [False, True])
@pytest.mark.parametrize("rate", [0.002, 0.003, 0.005, 0.02, 0.1])
def test_the_kept_trace_sets_the_rate_of_the_turned_rule(from_input, rate):
    form = stock_rule(TURNED)
    rule = engine_rule(form, FORWARD, rate, from_input=from_input)
    scale = -rule.dw[0].mantissa * 2.0 ** rule.dw[0].exponent * rule.x1.impulse * rule.y1.impulse
    assert scale * form.gain / UNIT_IMPULSE**2 == pytest.approx(rate, rel=0.06)
    assert {product.mantissa % 2 for product in rule.dw[:3]} == {0}
    assert rule.dw[0].exponent == -7 or rule.x1.impulse > 12  # the finest rounding that reaches it


@settings(max_examples=200, deadline=None)
@given(st.floats(6 * 6 * 2.0**-7, 6 * 24 * 4.0))
def test_a_kept_scale_is_the_nearest_that_the_engine_holds(value):
    exponent, impulse = kept_scale_of(value)
    held = [6 * 2.0**e * i for e in range(-7, 3) for i in range(6, 25)]
    assert abs(6 * 2.0**exponent * impulse - value) == min(abs(one - value) for one in held)


@pytest.mark.parametrize("value", [0.0, 0.1, 600.0])
def test_a_kept_scale_out_of_reach_is_refused(value, refused):
    with refused("learning rate", "kept trace", "lower the rate"):
        kept_scale_of(value)


@pytest.mark.parametrize("mantissa", [1, 3, 5, 7])
def test_an_odd_mantissa_of_the_turned_rule_is_refused(mantissa, refused):
    with refused("R7", f"mantissa {mantissa}", "not whole"):
        turned_products(FORWARD, mantissa, -7)
