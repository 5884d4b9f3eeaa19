from __future__ import annotations

import pytest
from markupsafe import Markup

from sim.reports.section import Panel, Table, listed


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (("1,800", "12.5"), True),
        (("61.0 %", ""), True),
        (("181 nJ to 27.2 µJ", "0.1 to 2\u00a0mJ"), True),
        (("8 × 8", "64"), True),
        ((Markup("2<sup>−5</sup>"), Markup("8 bits × 2<sup>−9</sup>")), True),
        (("4.3 %", "fixed"), True),
        (("fixed", ""), False),
        (("3", "three"), False),
        (("[0, 1]", "1"), False),
        (("3 in 4", "1"), False),
    ],
)
def test_columns_of_numbers_are_known(cells: tuple[str, ...], numbers: bool) -> None:
    assert Table(("name", "value"), [("a", cell) for cell in cells]).numeric == [False, numbers]


def test_a_table_without_rows_has_no_numbers() -> None:
    assert Table(("one", "two"), []).numeric == [False, False]


def test_values_are_listed_as_one_reads_them() -> None:
    told = listed({"hidden": (64, 32), "refit": True, "centred": False, "rate_of": None, "data": {"seed": 0}, "x": ""})
    assert told == "hidden 64, 32 · refit yes · centred no · data (seed 0)"


def test_a_figure_has_a_name_for_those_who_do_not_see_it() -> None:
    panel = Panel('One & "two"', '<svg viewBox="0 0 1 1"></svg>', "")
    assert panel.svg == '<svg role="img" aria-label="One &amp; &#34;two&#34;" viewBox="0 0 1 1"></svg>'
