"""Every benchmark runs, on little data, and leaves a JSON file with what it promises."""

import json

import pytest

from benchmarks import accuracy, gradient_alignment, stock_graded, train_speed
from benchmarks.accuracy import largest_fall


def run(module, path, monkeypatch, *options):
    monkeypatch.setattr("sys.argv", ["benchmark", "--out", str(path), *options])
    module.main()
    return json.loads(path.read_text())


def test_train_speed_compares_three_engines_on_synthetic_images(tmp_path, monkeypatch):
    monkeypatch.setenv("SETTLE_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    content = run(train_speed, tmp_path / "speed.json", monkeypatch, "--images", "2000")
    assert content["kind"] == "measured"
    assert content["data"] == "synthetic"
    assert set(content["ratios"]) == {"a/b", "a/c"}
    assert len(content["rows"]) == 3
    assert all(row["test_accuracy"] > 0.5 for row in content["rows"])  # chance is 0.1


def test_accuracy_reports_local_learning_and_backpropagation(tmp_path, monkeypatch):
    options = ("--data", "digits", "--hidden", "16", "--epochs", "2", "--seeds", "1")
    content = run(accuracy, tmp_path / "a.json", monkeypatch, *options)
    rows = [row for rows in content["local"].values() for row in rows] + content["backprop"]
    assert len(rows) == 3
    assert all(0.5 < row["test_accuracy"] <= 1 for row in rows)


def test_gradient_alignment_tends_to_one(tmp_path, monkeypatch):
    content = run(gradient_alignment, tmp_path / "g.json", monkeypatch, "--seeds", "1")
    smallest = min(content["float"], key=lambda row: row["nudge"])
    assert all(value > 0.999 for value in smallest["cosine"].values())
    assert all(value >= 0.9 for row in content["integer"] for value in row["cosine"].values())


def test_stock_graded_converts_and_learns(tmp_path, monkeypatch):
    options = ("--data", "digits", "--seeds", "1", "--epochs", "3", "--lava", "0")
    content = run(stock_graded, tmp_path / "s.json", monkeypatch, *options)
    (row,) = content["digits"]["rows"]
    assert row["graded"] > 0.9
    assert row["learned_on_chip"] > 0.9
    assert row["agreement"] > 0.98
    assert min(row["cosine"].values()) > 0.9


def test_largest_fall_ignores_the_first_third():
    curve = [0.5, 0.9, 0.2, 0.8, 0.7, 0.9]
    assert largest_fall([{"val_accuracy": value} for value in curve]) == pytest.approx(0.1)
    assert largest_fall([{"val_accuracy": 0.5}]) == 0.0
