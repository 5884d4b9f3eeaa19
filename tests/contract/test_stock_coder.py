"""Sparse coders in Lava itself: every spike, u and v of several signals in one graph."""

import importlib.util

import numpy as np
import pytest
from shared_processes import lava_workers

from neuro.coding.dictionary import unit_norm
from neuro.coding.graded_relu import graded_coder
from neuro.coding.lif import SpikingDesign, spiking_coder
from sim.coding.stock import code, run_coder
from sim.contract.stock import count_stock_differences

EQUAL = {"spikes": 0, "u": 0, "v": 0}
GENERATOR = np.random.default_rng(0)
POSITIVE = unit_norm(GENERATOR.random((16, 24)) ** 3)
SIGNED = unit_norm(GENERATOR.normal(size=(16, 24)))
SIGNALS = unit_norm(GENERATOR.random((16, 3)) ** 2).T
pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava needs Python 3.10"),
    pytest.mark.lava,
    pytest.mark.timeout(180),
]
CODERS = {
    "biases": spiking_coder(POSITIVE, 0.05),
    "two Denses, payloads": spiking_coder(SIGNED, 0.05, SpikingDesign(2.0, input_bits=6)),
    "one Dense": spiking_coder(SIGNED, 0.05, SpikingDesign(2.0, 4, lateral="mixed")),
    "binary": spiking_coder(POSITIVE, 0.05, SpikingDesign(2.0, input_bits=0)),
    "graded": graded_coder(POSITIVE, 0.05),
}


@pytest.mark.parametrize("name", CODERS)
def test_coders_run_as_in_lava(name):
    coder = CODERS[name]
    drive = coder.drive(SIGNALS, 60)
    chip = run_coder(coder, drive)
    assert count_stock_differences(chip, run_coder(coder, drive, "lava")) == EQUAL
    sent = coder.n_spikes(chip.spikes)
    assert (sent > 3).all()
    assert len(set(sent.tolist())) > 1  # the signals differ, and so do their runs


def test_codes_are_those_of_the_chip_and_no_process_is_left():
    seen = []
    chip = code(CODERS["biases"], SIGNALS[:2], 80)
    lava = code(CODERS["biases"], SIGNALS[:2], 80, "lava", on_signal=lambda done: seen.extend(lava_workers()))
    np.testing.assert_array_equal(chip.codes, lava.codes)
    np.testing.assert_array_equal(chip.n_spikes, lava.n_spikes)
    assert lava.backend == "lava"
    assert seen  # while it ran
    assert not lava_workers()
