"""Measured, counted, modelled and reported numbers never look alike, and bands behave as intervals."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuro.base.quantities import Counted, Measured, Modelled, NotMeasurable, Reported, with_prefix

REALS = st.floats(1e-14, 1e11)
BANDS = st.tuples(REALS, REALS).map(lambda ends: Modelled(min(ends), max(ends), "J", (str(max(ends)),)))


@given(REALS)
def test_four_kinds_print_and_save_differently(value):
    names = ("measured", "modelled", "reported", "counted")
    kinds = (
        Measured(value, "J", "NVML", 3),
        Modelled(value, value, "J", ("a",)),
        Reported(value, "J", "b", "c"),
        Counted(value, "additions", "d", 3),
    )
    for quantity, kind in zip(kinds, names, strict=True):
        others = set(names) - {kind}
        assert kind in str(quantity)
        assert not any(other in str(quantity) for other in others)
        assert quantity.to_json()["kind"] == kind
    assert len({type(quantity) for quantity in kinds}) == len(set(kinds)) == 4


def test_what_was_not_measured_holds_a_reason_and_no_number():
    empty = NotMeasurable("no meter")
    assert str(empty) == "not measurable: no meter"
    assert empty.to_json() == {"kind": "not measurable", "value": None, "reason": "no meter"}
    assert not any(kind in str(empty) for kind in ("measured", "modelled", "reported"))


@given(REALS)
def test_a_prefix_keeps_three_digits(value):
    shown, unit = with_prefix(value, "J").split(" ")
    scale = {"G": 1e9, "M": 1e6, "k": 1e3, "": 1, "m": 1e-3, "µ": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}
    assert float(shown) * scale[unit.removesuffix("J")] == pytest.approx(value, rel=6e-3)
    assert float(shown) < 1000 or value > 9e11


def test_units_without_prefix_and_zero():
    assert with_prefix(0.0, "J") == "0 J"
    assert with_prefix(12.5, "images/s") == "12.5 images/s"
    assert with_prefix(2.5e-5, "J") == "25 µJ"


@given(BANDS, BANDS)
def test_bands_add_end_to_end_and_keep_their_sources(first, second):
    total = first + second
    assert (total.low, total.high) == (first.low + second.low, first.high + second.high)
    assert set(total.sources) == {*first.sources, *second.sources}


@pytest.mark.parametrize("ends", [(2.0, 1.0), (0.0, math.inf), (math.nan, 1.0)])
def test_a_band_needs_two_ends_in_order(ends):
    with pytest.raises(ValueError, match="low <= high"):
        Modelled(*ends, "J")


def test_what_cannot_be_added_or_is_no_number_is_refused():
    with pytest.raises(ValueError, match="cannot add"):
        Modelled(0, 1, "J") + Modelled(0, 1, "s")
    with pytest.raises(ValueError, match="at least 0"):
        Counted(-1.0, "additions", "somebody")
    for kind in (Measured, Reported, Counted):
        with pytest.raises(ValueError, match="finite"):
            kind(math.nan, "J", "somebody")
