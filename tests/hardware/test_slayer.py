"""The competitor: SLAYER's network is ours, spike for spike, and it learns."""

import importlib.util

import numpy as np
import pytest
from shared_export import feed_forward

from neuro.data import split_validation
from neuro.errors import UserError
from sim.backends.chip import run_chip

if importlib.util.find_spec("lava") is None:
    pytest.skip("needs lava-dl (Python 3.10)", allow_module_level=True)

from hardware.slayer import SlayerConfig, slayer_epochs, slayer_spikes, train_slayer
from neuro.stock import LIF

pytestmark = pytest.mark.lava


@pytest.mark.parametrize("neuron", [LIF(1023, 123, 80), LIF(4095, 0, 120), LIF(0, 4096, 300), LIF(2047, 300, 60)])
def test_its_quantised_forward_pass_is_the_integers_of_the_chip(neuron):
    for seed in range(3):
        network = feed_forward(seed, neuron, steps=24)
        payloads = np.random.default_rng(seed).integers(0, 33, (20, 6))
        ours = run_chip(network.inference, network.free_inputs(payloads), threads=1).spikes["output"]
        assert ours.any()
        np.testing.assert_array_equal(slayer_spikes(network, payloads), ours)


def test_it_learns_and_keeps_the_best_validated_epoch(blob_data):
    split = split_validation(blob_data.y_train, seed=0)
    config = SlayerConfig(hidden=(12,), epochs=4, steps=16)
    first, again = (train_slayer(blob_data, config, split) for _ in range(2))
    assert first.val_accuracy.value > 0.6  # three classes
    assert first.val_accuracy.value == max(epoch.val_accuracy for epoch in first.history)
    assert first.history[first.best_epoch - 1].val_accuracy == first.val_accuracy.value
    for one, two in zip(first.network.projections, again.network.projections, strict=True):
        np.testing.assert_array_equal(one.weights, two.weights)  # same seed, same network
        assert not (one.weights & 1).any()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden": ()}, "hidden"),
        ({"epochs": 0}, "epochs"),
        ({"learning_rate": 0.0}, "learning rate"),
        ({"steps": 2}, "steps"),
        ({"threshold": 2**17}, "threshold"),
    ],
)
def test_settings_out_of_range_are_refused(changes, said):
    with pytest.raises(UserError, match=said):
        SlayerConfig(**changes)


def test_small_sets_are_seen_more_often():
    assert slayer_epochs(1295) == 30
    assert slayer_epochs(60_000) == 5
    assert 5 < slayer_epochs(4000) < 30
