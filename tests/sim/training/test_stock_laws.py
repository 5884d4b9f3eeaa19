"""What has to hold of learning in the engine, whatever the rule: in the slots of a sample."""

from dataclasses import replace

import numpy as np
import pytest

from neuro.data.sets import load_dataset, split_validation
from neuro.stock.learning_engine import EngineTrace
from neuro.stock.rules import RULES
from sim.backends.stock.learning import LearningEmulator
from sim.training.config import TrainConfig
from sim.training.stock_recipe import build_stock

IMAGES = 30


def moved_by_slot(rule):
    """How much the weights of the pixels move in each slot, summed over images learned from fresh weights."""
    dataset = load_dataset("digits", 0)
    split = split_validation(dataset.y_train, 0)
    network = build_stock(dataset, TrainConfig(hidden=(64,), family="stock", rule=rule), split)
    chosen = split.train[:IMAGES]
    inputs = network.learning_inputs(network.encoder.encode(dataset.x_train[chosen]), dataset.y_train[chosen])
    emulator, name = LearningEmulator(network.graph), network.plastic[0].name
    before, moved = emulator.weights()[name].astype(int), np.zeros(len(network.schedule.slots))
    for image in inputs:
        for slot, part in enumerate(np.split(image, len(moved))):
            emulator.run(part)
            after = emulator.weights()[name].astype(int)
            moved[slot] += (after - before).sum()
            before = after
    return moved, np.array([slot == "blank" for slot in network.schedule.slots])


@pytest.mark.parametrize("rule", ["R5", "R7"])
def test_blank_slots_hardly_move_weights(rule):
    moved, blank = moved_by_slot(rule)
    assert np.abs(moved[blank]).sum() < 0.05 * np.abs(moved[~blank]).sum()
    assert np.abs(moved[~blank]).sum() > 1000


def test_pixel_traces_that_are_not_empty_after_a_blank_slot_leak(monkeypatch):
    monkeypatch.setitem(RULES, "R5", replace(RULES["R5"], input_trace=EngineTrace(12, 16)))
    moved, blank = moved_by_slot("R5")
    assert np.abs(moved[blank]).sum() > 0.05 * np.abs(moved[~blank]).sum()
