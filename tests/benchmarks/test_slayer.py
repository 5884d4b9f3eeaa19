"""The row of the competitor: counts re-add, and every figure says what it is."""

import importlib.util

import pytest

if importlib.util.find_spec("lava") is None:
    pytest.skip("needs lava-dl (Python 3.10)", allow_module_level=True)

from benchmarks.slayer import slayer_row_of, summary
from hardware.slayer import SlayerConfig
from hardware.train_slayer import train_slayer_run
from neuro.artifact import load_artifact
from sim.train import infer

pytestmark = pytest.mark.lava


def test_the_row_counts_what_was_done(blob_data, tmp_path):
    config = SlayerConfig(hidden=(8,), epochs=2, steps=16)
    result = train_slayer_run(blob_data, config, tmp_path / "run", lambda epoch, n: None)
    row = slayer_row_of(tmp_path / "run", result, 20)
    cost, network = row.learning, load_artifact(tmp_path / "run").spec
    assert cost.forward == 16 * (17 * 8 + 8 * 3)
    assert cost.backward == 16 * (17 * 8 + 2 * 8 * 3)  # nobody asks for the gradient of the image
    assert cost.images == 2 * (300 - 30)
    operations = infer(network, blob_data.x_test[:20]).synaptic_operations(network)
    assert cost.with_spikes == sum(counts.sum() for counts in operations.values()) / 20
    assert 0 < cost.with_spikes < cost.forward  # spikes are fewer than steps
    content = row.to_json()
    kinds = {key: value["kind"] for key, value in content.items() if isinstance(value, dict)}
    assert kinds == {
        "test_accuracy": "measured", "spikes_per_inference": "measured", "energy": "modelled", "latency": "modelled",
        "learning": "counted",
    }  # fmt: skip
    assert row.accuracy == result.test_accuracy
    assert content["learning"]["in all"] == cost.per_image * cost.images
    (line,) = summary([row])
    assert "(modelled)" in line
