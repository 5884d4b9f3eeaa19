import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.fixed_point import round_shift
from neuro.spec.neurons import SigmaDelta, Source

law = settings(max_examples=60, deadline=None)


@law
@given(st.integers(1, 8), st.data())
def test_payload_limit_is_the_largest_trace_the_box_allows(state_bits, data):
    activation_bits = data.draw(st.integers(0, state_bits))
    lower, upper = data.draw(st.integers(-600, 0)), data.draw(st.integers(1, 600))
    unit = SigmaDelta(state_bits, activation_bits, lower, upper)
    traces = [round_shift(u, unit.send_shift) for u in range(lower, upper + 1)]
    assert unit.payload_limit == max(abs(trace) for trace in traces)


@law
@given(st.integers(-600, 600), st.integers(0, 300), st.sampled_from(["soft", "hard"]))
def test_a_threshold_shrinks_or_cuts_the_state(state, threshold, kind):
    unit = SigmaDelta(8, 8, -600, 600, threshold=threshold, threshold_kind=kind)
    beyond = abs(state) - (threshold if kind == "soft" else 0)
    wanted = 0 if abs(state) <= threshold else beyond if state > 0 else -beyond
    assert unit.activation(state) == wanted


@law
@given(st.integers(1, 22), st.data())
def test_one_real_unit_is_one_in_both_scales(state_bits, data):
    unit = SigmaDelta(state_bits, data.draw(st.integers(0, state_bits)), 0, 1 << state_bits)
    assert unit.one == 2**state_bits
    assert round_shift(unit.one, unit.send_shift) == 2**unit.activation_bits == unit.payload_limit


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"state_bits": 0, "activation_bits": 0}, "state_bits 0"),
        ({"state_bits": 23}, "state_bits 23"),
        ({"threshold": -1}, "threshold -1"),
        ({"threshold": 1 << 16}, "no state in the box"),
        ({"threshold_kind": "firm"}, "soft, hard"),
        ({"activation_bits": -1}, "activation_bits -1"),
        ({"state_bits": 4, "activation_bits": 5}, "activation_bits 5"),
        ({"lower": 1}, "box [1,"),
        ({"upper": -1, "lower": -5}, "box [-5, -1]"),
        ({"lower": 0, "upper": 0}, "wider than a point"),
        ({"upper": 2**23 + 1}, "24-bit"),
        ({"lower": -(2**23) - 1}, "24-bit"),
        ({"step_shift": 9}, "step_shift 9"),
        ({"step_shift": -1}, "step_shift -1"),
        ({"step_multiplier": 0}, "step size 0/2**2"),
        ({"step_multiplier": 5}, "step size 5/2**2"),
    ],
)
def test_sigma_delta_refuses_parameters_outside_their_range(parameters, word, refused):
    with refused("SigmaDelta", word):
        SigmaDelta(**parameters)


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"activation_bits": -1}, "activation_bits -1"),
        ({"activation_bits": 13}, "activation_bits 13"),
        ({"payload_limit": 0}, "payload_limit 0"),
        ({"payload_limit": 2**15}, "payload_limit 32768"),
        ({"payload_limit": 8, "constant": 9}, "constant 9"),
        ({"payload_limit": 8, "constant": -9}, "constant -9"),
    ],
)
def test_source_refuses_parameters_outside_their_range(parameters, word, refused):
    with refused("Source", word):
        Source(**parameters)


def test_the_ends_of_every_range_are_allowed():
    assert SigmaDelta(22, 0, -(2**23), 2**23, 256, 8).payload_limit == 2
    assert SigmaDelta(1, 1, 0, 1, 1, 0).payload_limit == 1
    assert Source(12, 2**15 - 1, constant=-(2**15) + 1).constant == -32767
