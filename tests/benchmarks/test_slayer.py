"""The row of the competitor: counts re-add, and every figure says what it is."""

import importlib.util
import json

import pytest

if importlib.util.find_spec("lava") is None:
    pytest.skip("needs lava-dl (Python 3.10)", allow_module_level=True)

from benchmarks import slayer_choice
from benchmarks.slayer import slayer_row_of, summary
from benchmarks.slayer_choice import compare, fewest_epochs, never_tested
from benchmarks.tools.results_file import merge
from hardware.slayer.config import SlayerConfig
from hardware.slayer.training import train_slayer_run
from neuro.artifact.run_folder import load_artifact
from neuro.data.sets import load_dataset
from sim.training.equilibrium import infer

pytestmark = pytest.mark.lava


def test_the_row_counts_what_was_done(blob_data, tmp_path):
    config = SlayerConfig(hidden=(8,), epochs=2, steps=16, learning_rate=0.003)
    result = train_slayer_run(blob_data, config, tmp_path / "run")
    row = slayer_row_of(tmp_path / "run", result, 20)
    cost, network = row.learning, load_artifact(tmp_path / "run").spec
    assert cost.forward == 16 * (17 * 8 + 8 * 3)
    assert cost.backward == 16 * (17 * 8 + 2 * 8 * 3)  # nobody asks for the gradient of the image
    assert cost.images == 2 * (300 - 30)
    operations = infer(network, blob_data.x_test[:20]).synaptic_operations(network)
    assert cost.with_spikes == sum(counts.sum() for counts in operations.values()) / 20
    assert 0 < cost.with_spikes < cost.forward  # spikes are fewer than steps
    content = row.to_json()
    kinds = {key: value["kind"] for key, value in content.items() if isinstance(value, dict) and key != "chosen"}
    assert kinds == {
        "test_accuracy": "measured", "spikes_per_inference": "measured", "energy": "modelled", "latency": "modelled",
        "learning": "counted",
    }  # fmt: skip
    assert row.accuracy == result.test_accuracy
    assert content["chosen"] == {"epochs": 2, "learning_rate": 0.003}
    assert content["learning"]["in all"] == cost.per_image * cost.images
    (line,) = summary([row])
    assert "(modelled)" in line


def test_settings_are_chosen_on_images_that_no_seed_tests():
    kept = {image.tobytes() for image in never_tested("digits", 3).x_train}
    for seed in range(3):
        assert kept.isdisjoint(image.tobytes() for image in load_dataset("digits", seed).x_test)
    everything = load_dataset("digits", 0)
    assert 0 < len(kept) < len(everything.y_train)
    assert len(never_tested("digits", 1).y_train) > len(kept)


def test_all_settings_are_compared_and_the_best_is_chosen(blob_data, monkeypatch):
    monkeypatch.setattr(slayer_choice, "RATES", (0.003, 1e-7))
    monkeypatch.setattr(slayer_choice, "LOSSES", {"rate": {"loss": "rate"}, "shares": {"loss": "max"}})
    found = compare(blob_data, (6,), splits=2, epochs=2, tried=(1,))
    assert [(row["loss"], row["learning_rate"], row["epochs"]) for row in found["settings"]] == [
        ("rate", 0.003, 2), ("rate", 1e-7, 2), ("shares", 0.003, 2), ("shares", 1e-7, 2), ("rate", 0.003, 1)
    ]  # fmt: skip
    for row in found["settings"]:
        assert [split["seed"] for split in row["splits"]] == [0, 1]
        assert row["val_accuracy"] == pytest.approx(sum(split["val_accuracy"] for split in row["splits"]) / 2)
    assert "not finite" in found["settings"][2]["splits"][0]["failed"]
    assert (found["chosen"]["loss"], found["chosen"]["learning_rate"]) == ("rate", 0.003)


def test_fewer_epochs_are_taken_within_a_standard_error():
    def row(epochs, share, rate=0.003):
        splits = [{"n": 100}]
        return {"loss": "a", "learning_rate": rate, "epochs": epochs, "val_accuracy": share, "splits": splits}

    rows = [row(30, 0.90), row(8, 0.80), row(15, 0.89), row(60, 0.91), row(2, 0.99, rate=1.0)]  # an error is 0.029
    assert fewest_epochs(rows, rows[0])["epochs"] == 15


def test_parts_of_a_file_are_replaced_one_by_one(tmp_path):
    path = tmp_path / "s.json"
    for part in ({"rows": [1], "data": "digits"}, {"choice": {"n": 2}}, {"rows": [3]}):
        merge(path, part)
    content = json.loads(path.read_text())
    assert {key: content[key] for key in ("rows", "data", "choice")} == {
        "rows": [3], "data": "digits", "choice": {"n": 2}
    }  # fmt: skip
    assert content["machine"]["cores"]
