"""Figures as text: mean and spread, bands, cells, sources; and README's table is that of the results."""

import pytest
from jinja2 import UndefinedError

from benchmarks.figures.readme import README, main, with_table
from benchmarks.figures.shown import band, cell, column, largest, render, source, span, spread, where

MODELLED = {"kind": "modelled", "low": 1e-6, "high": 2e-5, "unit": "J", "sources": []}


def test_a_spread_is_mean_and_standard_deviation():
    assert spread([0.97, 0.99]) == "0.9800\u00a0±\u00a00.0141"
    assert spread([0.97]) == "0.9700"
    assert span([12.4, 10.1]) == "10 to 12"
    assert span([10.2, 10.1]) == "10"


def test_bands_span_each_other_and_only_bands_do():
    assert band(MODELLED) == "1 µJ to 20 µJ"
    assert band([MODELLED, {**MODELLED, "high": 3e-5}]) == "1 µJ to 30 µJ"
    with pytest.raises(ValueError, match="only what is modelled"):
        band({"kind": "measured", "value": 1.0, "unit": "J"})


def test_a_cell_says_its_kind():
    assert cell(MODELLED) == "1 µJ to 20 µJ, modelled"
    assert cell({"kind": "measured", "value": 1.2e-4, "unit": "s"}) == "120 µs, measured"
    assert cell({"kind": "measured", "value": 1234.5, "unit": "images/s"}) == "1,234, measured"
    assert cell({**MODELLED, "low": 900.4, "high": 12000.0, "unit": "images/s"}) == "900 to 12,000, modelled"
    assert cell({"kind": "not measurable", "reason": "no energy counter: zeus"}) == "not measurable: no energy counter"


def test_the_largest_measured_cell_is_taken():
    slow, fast = ({"kind": "measured", "value": value, "unit": "images/s"} for value in (10.0, 20.0))
    assert largest([slow, MODELLED, fast]) == fast
    assert largest([MODELLED]) == MODELLED


def test_rows_are_chosen_and_a_choice_of_none_is_an_error():
    rows = [{"seed": 0, "robust": {"0.1": 0.5}}, {"seed": 1, "robust": {"0.1": 0.7}}]
    assert column(where(rows, seed=1), "robust", "0.1") == [0.7]
    with pytest.raises(LookupError, match="no row has"):
        where(rows, seed=2)


def test_a_figure_that_is_not_there_is_an_error():
    assert render("{{ percent(0.0123) }}") == "1.23 %"
    with pytest.raises(UndefinedError):
        render("{{ result('train_speed')['rows'][9]['x'] }}")


def test_a_source_names_file_command_machine_and_date():
    text = source("bench-mnist")
    assert "bench-mnist.json" in text
    assert "settle bench runs/mnist --threads 1" in text
    assert "Date: 2026-" in text
    assert "Date: not in the file." in source("accuracy-mnist")


def test_the_table_of_readme_is_that_of_the_results(tmp_path):
    text = README.read_text(encoding="utf-8")
    assert with_table(text) == text, "run python -m benchmarks.figures.readme"
    copy = tmp_path / "README.md"
    copy.write_text(text.replace("images/s", "lines"), encoding="utf-8")
    main(copy)
    assert copy.read_text(encoding="utf-8") == text
