import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuro.base.checks import Range, require_choice, require_integers
from neuro.base.errors import UserError

FAMILIES = ("sigma-delta", "stock", "graded")


@pytest.mark.parametrize(
    ("span", "value", "message"),
    [
        (Range(0, 8), 9, "schedule: shift 9 outside 0..8"),
        (Range(0, 8), -1, "schedule: shift -1 outside 0..8"),
        (Range(1), 0, "schedule: shift 0; give at least 1"),
        (Range(0.0, open_below=True), 0.0, "schedule: shift 0.0; give more than 0"),
        (Range(0.0, 1.0, open_below=True), 0, "schedule: shift 0 outside (0, 1]"),
        (Range(0.0, 1.0, open_above=True), 1.0, "schedule: shift 1.0 outside [0, 1)"),
        (Range(0.0, 1e3, open_below=True, open_above=True), 1e3, "schedule: shift 1000.0 outside (0, 1000)"),
        (Range(0, 2**31 - 1), 2**31, "schedule: shift 2147483648 outside 0..2147483647"),
        (Range(1), math.inf, "schedule: shift inf; give at least 1"),
        (Range(0.0, 1.0), math.nan, "schedule: shift nan outside 0..1"),
        (Range(0, 8), True, "schedule: shift True outside 0..8"),
        (Range(0, 8), "3", "schedule: shift 3 outside 0..8"),
    ],
)
def test_what_is_out_of_a_range_is_refused_with_its_limits(span, value, message):
    with pytest.raises(UserError) as refused:
        span.require("schedule", shift=value)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    "span", [Range(0, 8), Range(0.0, 8.0), Range(-1, 9, open_below=True, open_above=True), Range(0)]
)
@pytest.mark.parametrize("value", [0, 8, 3.5, np.int8(3), np.float32(0.25), None])
def test_what_is_in_a_range_or_not_given_passes(span, value):
    span.require("schedule", shift=value)
    assert value is None or value in span


def test_a_message_ends_with_the_remedy_and_needs_no_owner():
    with pytest.raises(UserError) as refused:
        Range(1, 90).require(remedy="the test set has no more", labels=None, images=91)
    assert str(refused.value) == "images 91 outside 1..90; the test set has no more"


@given(st.integers(-10, 10), st.integers(-10, 10), st.integers(-12, 12))
def test_a_range_holds_what_lies_between_its_ends(lowest, highest, value):
    assert (value in Range(lowest, highest)) == (lowest <= value <= highest)
    assert (value in Range(lowest, highest, True, True)) == (lowest < value < highest)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("sigmadelta", "family 'sigmadelta' is unknown; did you mean sigma-delta? choose one of"),
        ("lava", "family 'lava' is unknown; choose one of sigma-delta, stock, graded or a file"),
        (None, "family None is unknown; choose one of"),
    ],
)
def test_an_unknown_choice_is_answered_with_the_nearest_and_with_all(value, message):
    with pytest.raises(UserError, match="choose one of sigma-delta, stock, graded or a file") as refused:
        require_choice("family", value, FAMILIES, " or a file")
    assert str(refused.value).startswith(message)


def test_every_choice_passes_and_a_single_one_is_named_once():
    for family in FAMILIES:
        require_choice("family", family, iter(FAMILIES))
    with pytest.raises(UserError, match=r"^target 'loihi1' is unknown; choose one of loihi2$"):
        require_choice("target", "loihi1", ["loihi2"])


@pytest.mark.parametrize("value", [1.0, "1", None, True, np.float64(2)])
def test_only_integers_are_integers(value):
    require_integers("trace", impulse=1, tau=np.int64(3))
    with pytest.raises(UserError, match=r"^trace: tau .* must be an integer$"):
        require_integers("trace", impulse=1, tau=value)
