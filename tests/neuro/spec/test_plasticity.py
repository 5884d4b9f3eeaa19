from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from neuro.spec.plasticity import RULES, NeuronTrace, Rate, evaluate, learning_rule, rate_for, rate_near

law = settings(max_examples=60, deadline=None)
payloads = st.integers(-40, 40)
signs = st.sampled_from([-1, 1])
RELATIVE_ERROR = 1 / 9  # half a step of the mantissa, worst at 4.5


@st.composite
def populations(draw, steps: int, silent: bool = False):
    """A trace of 1..4 neurons over `steps` steps, whose s_hat is the running sum of its spikes."""
    n = draw(st.integers(1, 4))
    spike = st.just(0) if silent else payloads
    spikes = np.array(draw(st.lists(spike, min_size=steps * n, max_size=steps * n)), np.int64).reshape(steps, n)
    first, state_first, state_second = (np.array(draw(st.lists(payloads, min_size=n, max_size=n))) for _ in range(3))
    return NeuronTrace(spikes, first, first + spikes.sum(axis=0), state_first * 1000, state_second * 1000)


@st.composite
def pairs(draw, silent_pre: bool = False, silent_post: bool = False):
    steps = draw(st.integers(0, 5))
    return draw(populations(steps, silent_pre)), draw(populations(steps, silent_post))


def event_by_event(pre: NeuronTrace, post: NeuronTrace) -> np.ndarray:
    """The event rule synapse by synapse and step by step, in Python integers."""
    change = np.zeros((pre.trace_first.size, post.trace_first.size), dtype=np.int64)
    for i, j in np.ndindex(change.shape):
        x1, y1 = int(pre.trace_first[i]), int(post.trace_first[j])
        for x0, y0 in zip(pre.spikes[:, i].tolist(), post.spikes[:, j].tolist(), strict=True):
            x1 += x0
            change[i, j] -= x1 * y0 + x0 * y1
            y1 += y0
    return change


@law
@given(pairs(), signs)
def test_event_form_equals_end_point_form_for_every_spike_train(pair, sign):
    event, end_point = (evaluate(learning_rule(name), *pair, sign) for name in ("event", "end-point"))
    np.testing.assert_array_equal(event, end_point)


@law
@given(pairs(), signs)
def test_event_form_is_the_sum_over_spikes(pair, sign):
    np.testing.assert_array_equal(evaluate(learning_rule("event"), *pair, sign), sign * event_by_event(*pair))


@law
@given(pairs(), signs)
def test_end_point_form_is_the_difference_of_the_products_of_traces(pair, sign):
    pre, post = pair
    first = pre.trace_first[:, None] * post.trace_first[None]
    second = pre.trace_second[:, None] * post.trace_second[None]
    np.testing.assert_array_equal(evaluate(learning_rule("end-point"), pre, post, sign), sign * (first - second))


@law
@given(pairs(silent_pre=True), signs)
def test_with_a_constant_pre_neuron_only_post_spikes_count(pair, sign):
    pre, post = pair
    expected = -sign * np.outer(pre.trace_first, post.spikes.sum(axis=0))
    np.testing.assert_array_equal(evaluate(learning_rule("event"), pre, post, sign), expected)


@law
@given(pairs(silent_pre=True, silent_post=True), signs)
def test_no_spike_no_change(pair, sign):
    assert not evaluate(learning_rule("event"), *pair, sign).any()


@law
@given(pairs(silent_pre=True), signs)
def test_state_difference_form_is_trace_times_state_change(pair, sign):
    pre, post = pair
    change = [[int(x) * int(a - b) for a, b in zip(post.state_first, post.state_second, strict=True)]
              for x in pre.trace_second]  # fmt: skip
    assert evaluate(learning_rule("y3"), pre, post, sign).tolist() == (sign * np.array(change)).tolist()


@law
@given(pairs(silent_pre=True), signs)
def test_state_difference_form_is_the_event_form_of_unrounded_states(pair, sign):
    pre, post = pair
    whole = replace(post, state_first=post.trace_first, state_second=post.trace_second)
    y3, event = (evaluate(learning_rule(name), pre, whole, sign) for name in ("y3", "event"))
    np.testing.assert_array_equal(y3, event)


@law
@given(pairs())
def test_both_forms_treat_pre_and_post_alike(pair):
    pre, post = pair
    for name in ("event", "end-point"):
        forward, backward = (evaluate(learning_rule(name), a, b, 1) for a, b in ((pre, post), (post, pre)))
        np.testing.assert_array_equal(forward, backward.T)


@law
@given(st.floats(2.0**-22, 7.5))
def test_rate_is_within_a_ninth_of_the_wanted_value(value):
    assert abs(rate_near(value).value - value) <= RELATIVE_ERROR * value * (1 + 1e-12)


@law
@given(st.floats(2.0**-30, 7.5), st.floats(2.0**-30, 7.5))
def test_rate_never_falls_as_the_wanted_value_rises(a, b):
    assert rate_near(min(a, b)).value <= rate_near(max(a, b)).value


@pytest.mark.parametrize("exponent", range(25))
def test_every_representable_rate_is_returned_exactly(exponent):
    for mantissa in range(8):
        assert rate_near(Rate(mantissa, exponent).value).value == mantissa * 2.0**-exponent


@law
@given(st.floats(2.0**-22, 7.5))
def test_rate_uses_the_widest_mantissa(value):
    rate = rate_near(value)
    assert rate.mantissa >= 4 or rate.exponent in (0, 24)


def test_rates_beyond_the_range_become_its_ends_and_absurd_ones_are_refused(refused):
    assert rate_near(0).value == 0
    assert rate_near(2.0**-26).value == 2.0**-24
    assert rate_near(20.0).value == 7
    for value in (1e9, 1e-12):
        with refused("learning rate", "nearer to its default"):
            rate_near(value)


@law
@given(
    st.floats(0.01, 10),
    st.sampled_from([0.125, 0.25, 0.5, 1.0]),
    st.integers(4, 9),
    st.integers(3, 7),
    st.integers(3, 7),
)
def test_rate_for_makes_the_integer_step_the_real_one(learning_rate, nudge, exponent, pre_bits, post_bits):
    x, y = 11, -7  # integer factors; the real ones are x * 2**-pre_bits and y * 2**-post_bits
    real = learning_rate / (2 * nudge) * (x * 2.0**-pre_bits) * (y * 2.0**-post_bits)
    wanted = real / (x * y) * 2.0**exponent
    assume(2.0**-24 <= wanted <= 7.5)
    rate = rate_for(learning_rate, nudge, exponent, pre_bits, post_bits)
    if rate.mantissa >= 4 and rate.value < 7:
        assert rate.value * x * y * 2.0**-exponent == pytest.approx(real, rel=RELATIVE_ERROR + 1e-9)
    else:
        assert wanted < 2.0**-22 or wanted > 6.5


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_rate_that_is_no_finite_positive_number_is_refused(value, refused):
    with refused("learning rate", str(value)):
        rate_near(value)


@pytest.mark.parametrize(("mantissa", "exponent"), [(8, 0), (-1, 0), (1, 25), (1, -1)])
def test_rates_the_chip_cannot_hold_are_refused(mantissa, exponent, refused):
    with refused("learning rate"):
        Rate(mantissa, exponent)


@pytest.mark.parametrize("shadow_bits", [-1, 9])
def test_shadow_bits_outside_their_range_are_refused(shadow_bits, refused):
    with refused("learning rule event", f"shadow_bits {shadow_bits}", "0..8"):
        learning_rule("event", shadow_bits)


def test_an_unknown_rule_is_refused_with_the_known_ones(refused):
    with refused("'hebb'", *RULES):
        learning_rule("hebb")


def test_only_the_third_factor_rule_uses_the_state_difference():
    assert [name for name in RULES if learning_rule(name).uses_state_difference] == ["y3"]


def test_rules_print_their_equation():
    assert str(learning_rule("end-point")) == "dW = sign * (+ x1 y1 @first_nudge_end  - x1 y1 @second_nudge_end)"
