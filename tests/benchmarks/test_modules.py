"""Every benchmark runs, on little data, and leaves a JSON file with what it promises."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import (
    accuracy,
    batch_size,
    depth,
    depth_tries,
    design_choices,
    gradient_alignment,
    large_network,
    scaling,
    train_speed,
    twin_fidelity,
)
from benchmarks.accuracy import largest_fall
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium


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


def test_design_choices_are_compared_with_the_default(tmp_path, monkeypatch):
    content = run(design_choices, tmp_path / "d.json", monkeypatch, "--seeds", "2", "--epochs", "2")
    assert content["kind"] == "measured"
    shallow = content["one hidden layer"]
    variants = [row["variant"] for row in shallow]
    assert sorted(variants) == sorted(["default", "step 3/4", "output box to 1", "exponent_offset 0"] * 2)
    assert all(0.5 < row["val_accuracy"] <= 1 and 0 <= row["silent"] <= 1 for row in shallow)
    assert len({(row["val_accuracy"], row["silent"]) for row in shallow if row["seed"] == 0}) > 1


def test_design_choices_change_what_they_say():
    spec = build_equilibrium(design_for((4, 4), 3, (5,)), 0)
    slow, tight = design_choices.with_step_three_quarters(spec), design_choices.with_tight_output(spec)
    for name in ("hidden1", "output"):
        unit = spec.population(name).neuron
        assert slow.population(name).neuron == replace(unit, step_multiplier=3, step_shift=2)
        assert tight.population(name).neuron == (replace(unit, upper=unit.one) if name == "output" else unit)


def test_largest_fall_ignores_the_first_third():
    curve = [0.5, 0.9, 0.2, 0.8, 0.7, 0.9]
    assert largest_fall([{"val_accuracy": value} for value in curve]) == pytest.approx(0.1)
    assert largest_fall([{"val_accuracy": 0.5}]) == 0.0


def test_twin_fidelity_finds_no_difference_in_integers(tmp_path, monkeypatch):
    networks = {
        "sigma-delta": ("digits", {"hidden": (16,), "epochs": 2, "learning_rate": 1.4, "output_share": 0.125}),
    }
    monkeypatch.setattr(twin_fidelity, "NETWORKS", networks)
    monkeypatch.setattr(twin_fidelity, "ATTACK_STEPS", 2)
    monkeypatch.setattr(twin_fidelity, "peak_mib", lambda *of: 1.0)  # in a process of its own: slow
    options = ("--networks", "sigma-delta", "--images", "20")
    content = run(twin_fidelity, tmp_path / "t.json", monkeypatch, *options)
    for row in content["rows"]:
        for images in ("clean", "attacked"):
            found = row[images]
            assert found["integer"] == {"label_agreement": 1.0, "output_error": 0.0, "n": 20}
            assert found["integer states that differ"] == found["integer labels that differ"] == 0
            assert found["relaxed"]["output_error"] > 0
        assert row["attacked"]["accuracy"] <= row["clean"]["accuracy"]


def test_batch_size_compares_batches(tmp_path, monkeypatch):
    options = ("--data", "digits", "--hidden", "8", "--epochs", "1", "--seeds", "2", "--batches", "1,32")
    content = run(batch_size, tmp_path / "b.json", monkeypatch, *options)
    assert list(content["batches"]) == ["1", "32"]
    for found in content["batches"].values():
        assert [row["seed"] for row in found["rows"]] == [0, 1]
        assert found["test_accuracy"] > 0.5  # chance is 0.1
        assert found["sd"] is not None
    first, second = ([row["chosen"]["learning_rate"] for row in part["rows"]] for part in content["batches"].values())
    assert max(second) <= max(first) / 2  # the first guess falls


def test_scaling_measures_batches_workers_and_sizes(tmp_path, monkeypatch):
    monkeypatch.setenv("SETTLE_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in {
        "HIDDEN": 8, "BATCHES": (1, 16), "GROWTH": (8, 16), "IMAGES": 64, "LEARNED": 64, "TRIES": 1, "SECONDS": 0.01,
        "against_workers": list,
    }.items():  # fmt: skip
        monkeypatch.setattr(scaling, name, value)
    content = run(scaling, tmp_path / "s.json", monkeypatch)
    assert content["data"] == "synthetic"
    places = [(row["backend"], row["device"], row["batch"]) for row in content["batches"] if row["device"] == "cpu"]
    assert places == [("events", "cpu", 1), ("events", "cpu", 16), ("torch", "cpu", 1), ("torch", "cpu", 16)]
    assert [row["hidden"] for row in content["sizes"]] == [8, 16]
    for row in content["sizes"]:
        assert row["ns_per_operation"] == pytest.approx(
            1e9 / row["images_per_s"] / row["synaptic_operations_per_image"]
        )
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_large_network_compares_backends_and_learns(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    images, labels = generator.integers(0, 256, (40, 8, 8, 3)).astype(np.uint8), np.arange(40) % 4
    np.savez(tmp_path / "noise.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    options = ("--data", str(tmp_path / "noise.npz"), "--layers", "conv:3x3,pool:4,conv:4x2:valid")
    content = run(large_network, tmp_path / "l.json", monkeypatch, *options)
    assert content["neurons"] == 2 * 2 * 3 + 4 + 4
    assert content["spikes compared"] > 0
    assert set(content["differences"].values()) == {0}
    assert content["learning"]["costs"][-1] < content["learning"]["costs"][0]
    assert all(share > 0 for share in content["learning"]["weights that moved"].values())


@pytest.mark.parametrize(
    ("part", "options"),
    [
        ("tries", ()),
        ("accuracy", ("--hidden", "64,32", "--only", "float")),
        ("kernels", ("--layers", "conv:4x3,pool:2", "--images", "300")),
    ],
)
def test_depth_answers_every_part(part, options, tmp_path, monkeypatch):
    chosen = {name: depth.TRIES[name] for name in ("default", "maps, kernels 5 x 5")}
    for module in (depth, depth_tries):
        monkeypatch.setattr(module, "TRIES", chosen)
    common = ("--part", part, "--data", "digits", "--seeds", "1", "--epochs", "1")
    content = run(depth, tmp_path / "d.json", monkeypatch, *common, *options)
    rows = list(content["tries"].values()) if part == "tries" else [[row] for row in content[part].values()]
    assert len(rows) == (2 if part == "tries" else 1)
    assert all(0.2 < row["val_accuracy"] <= 1 for each in rows for row in each)  # chance is 0.1
