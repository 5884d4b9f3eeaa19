"""Published readings beside the model: rows that say what is inside, by how much not, and what was held out."""

import pytest

from benchmarks.tools.published import _outside, line_of, published_rows

ROWS = published_rows()


def rows(workload, reading):
    return [row for row in ROWS if row["workload"] == workload and row["reading"] == reading]


def test_every_reading_has_a_row_and_says_where_it_stands():
    assert [len(rows("PilotNet SNN", what)) for what in ("step time", "dynamic energy", "total energy")] == [3] * 3
    assert len(rows("PilotNet SDNN", "static power")) == 3
    for row in ROWS:
        assert row["inside"] == (row["outside_by"] == 0)
        assert f"{row['workload']}, {row['run']}: {row['reading']}" in line_of(row)
        assert ("inside" in line_of(row)) or not row["inside"]


def test_a_run_left_out_can_fall_outside_what_the_others_say():
    least, *others = rows("PilotNet SNN", "dynamic energy")
    assert least["inside"]
    assert least["without_this_run"]["outside_by"] > 0.5
    assert "without this run outside by +" in line_of(least)
    assert all(row["without_this_run"]["outside_by"] == 0 for row in others)


def test_what_was_held_out_is_told_with_its_error():
    (step,) = rows("quadratic program, 264 variables", "step time")
    assert step["held_out"]
    assert step["inside"]
    powers = rows("winner-take-all, LIF", "total power")
    assert [row["held_out"] for row in powers] == [True] * 3
    assert all(-0.5 < row["outside_by"] < 0 for row in powers)  # the band is too kind to the chip


@pytest.mark.parametrize(("value", "outside"), [(2.0, 0.0), (1.0, 0.0), (0.5, 1.0), (8.0, -0.5)])
def test_outside_is_relative_to_the_reading(value, outside):
    assert _outside(value, (1.0, 4.0)) == outside
