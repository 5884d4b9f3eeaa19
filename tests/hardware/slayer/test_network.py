"""The competitor: SLAYER's network is ours, spike for spike, and it learns."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch
from shared_export import feed_forward

from neuro.base.errors import UserError
from neuro.data.sets import split_validation
from sim.backends.stock.emulator import emulate

if importlib.util.find_spec("lava") is None:
    pytest.skip("needs lava-dl (Python 3.10)", allow_module_level=True)

from hardware.slayer import learning as slayer_learning
from hardware.slayer.config import LOSSES, SlayerConfig
from hardware.slayer.learning import train_slayer, tune_slayer
from hardware.slayer.network import slayer_loss, slayer_spikes
from hardware.slayer.trainer import LEARNING_RATES, SlayerEpoch, SlayerProgress, slayer_epochs
from hardware.slayer.training import train_slayer_run
from neuro.stock.processes import LIF

pytestmark = pytest.mark.lava


@pytest.mark.parametrize("neuron", [LIF(1023, 123, 80), LIF(4095, 0, 120), LIF(0, 4096, 300), LIF(2047, 300, 60)])
def test_its_quantised_forward_pass_is_the_integers_of_the_chip(neuron):
    for seed in range(3):
        network = feed_forward(seed, neuron, steps=24)
        payloads = np.random.default_rng(seed).integers(0, 33, (20, 6))
        ours = emulate(network.inference, network.free_inputs(payloads), threads=1).spikes["output"]
        assert ours.any()
        np.testing.assert_array_equal(slayer_spikes(network, payloads), ours)


def test_it_learns_and_keeps_the_best_validated_epoch(blob_data):
    split = split_validation(blob_data.y_train, seed=0)
    config = SlayerConfig(hidden=(12,), epochs=4, steps=16)
    first, again = (train_slayer(blob_data, config, split) for _ in range(2))
    assert first.val_accuracy.value > 0.6  # three classes
    progress = first.progress
    assert first.val_accuracy.value == max(epoch.val_accuracy for epoch in progress.history)
    assert progress.history[progress.best_epoch - 1].val_accuracy == first.val_accuracy.value
    for one, two in zip(first.best.projections, again.best.projections, strict=True):
        np.testing.assert_array_equal(one.weights, two.weights)  # same seed, same network
        assert not (one.weights & 1).any()


def stub_of(monkeypatch, reached):
    """Takes the place of a training: validation accuracy by learning rate, None for a loss that leaves all bounds."""
    asked = []

    def train(dataset, config, split):
        asked.append((config, split))
        if reached[config.learning_rate] is None:
            raise UserError("not finite")
        epoch = SlayerEpoch(1, 0.0, reached[config.learning_rate], 0.0)
        return type("Trainer", (), {"progress": SlayerProgress(history=[epoch])})

    monkeypatch.setattr(slayer_learning, "train_slayer", train)
    return asked


@pytest.mark.parametrize(
    ("reached", "chosen"),
    [
        ((0.9, 0.9, 0.9), 0),
        ((0.9, 0.95, 0.8), 0),  # within two standard errors, 0.027 each
        ((0.8, 0.85, 0.95), 2),
        ((None, 0.4, 0.3), 1),
        ((0.5, None, None), 0),
    ],
)
def test_a_learning_rate_replaces_the_first_guess_only_if_it_is_clearly_better(blob_data, monkeypatch, reached, chosen):
    split = split_validation(blob_data.y_train, 0, share=0.41)
    asked = stub_of(monkeypatch, dict(zip(LEARNING_RATES, reached, strict=True)))
    rate, trials = tune_slayer(blob_data, SlayerConfig(), split)
    assert rate == LEARNING_RATES[chosen]
    assert [trial.learning_rate for trial in trials] == list(LEARNING_RATES)
    assert [trial.val_accuracy for trial in trials] == [value or 0.0 for value in reached]
    for _, used in asked:
        assert set(used.train) <= set(split.train)
        assert set(used.validation) <= set(split.validation)


def test_a_given_learning_rate_is_not_tried(blob_data, monkeypatch):
    asked = stub_of(monkeypatch, {})
    split = split_validation(blob_data.y_train, 0)
    assert tune_slayer(blob_data, SlayerConfig(learning_rate=0.07), split) == (0.07, [])
    assert asked == []


def test_neither_rate_nor_epoch_knows_the_test_images(blob_data, monkeypatch):
    monkeypatch.setattr(slayer_learning, "TRIAL_PRESENTATIONS", 60)
    config = SlayerConfig(hidden=(6,), epochs=2, steps=8)
    wrong = replace(blob_data, x_test=blob_data.x_test[:0], y_test=blob_data.y_test[:0])
    first, second = (train_slayer_run(dataset, config, None).artifact for dataset in (blob_data, wrong))
    assert first.manifest["results"]["test"] != second.manifest["results"]["test"]
    for key in ("chosen", "best_epoch"):
        assert first.manifest[key] == second.manifest[key]
    assert first.manifest["chosen"]["learning_rate"] in LEARNING_RATES
    assert [trial["n"] for trial in first.manifest["trials"]] == [30] * len(LEARNING_RATES)
    for one, two in zip(first.spec.projections, second.spec.projections, strict=True):
        np.testing.assert_array_equal(one.weights, two.weights)


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_are_those_of_lava_dl(loss):
    config = SlayerConfig(loss=loss)
    spikes = torch.tensor(np.random.default_rng(0).integers(0, 2, (5, 3, 16)), dtype=torch.float32)
    labels = torch.tensor([0, 1, 2, 0, 1])
    rates = spikes.mean(dim=2)
    right = torch.nn.functional.one_hot(labels, 3)
    wanted = {
        "rate": ((rates - (0.02 + 0.38 * right)) ** 2).sum(),
        "max": -torch.log((rates / rates.sum(dim=1, keepdim=True))[right.bool()]).sum(),
        "softmax": torch.nn.functional.cross_entropy(rates, labels, reduction="sum"),
    }[loss]
    torch.testing.assert_close(slayer_loss(config)(spikes, labels), wanted, rtol=1e-4, atol=1e-4)


def test_a_loss_without_bounds_ends_the_training(blob_data):
    split = split_validation(blob_data.y_train, seed=0)
    with pytest.raises(UserError, match=r"not finite at learning rate 0\.003"):
        train_slayer(blob_data, SlayerConfig(hidden=(4,), steps=8, loss="max", epochs=1), split)  # silent: log 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden": ()}, "hidden"),
        ({"epochs": 0}, "epochs"),
        ({"learning_rate": 0.0}, "learning rate"),
        ({"loss": "hinge"}, "choose one of rate, max, softmax"),
        ({"true_rate": 0.01}, "false < true"),
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
