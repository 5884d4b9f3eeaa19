"""Spiking LCA as a graph: weights, biases and limits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.coding.dictionary import unit_norm
from neuro.coding.lif import SpikingCoder, SpikingDesign, spiking_coder
from neuro.front_ends.trains import present_spikes
from neuro.stock.processes import STATE_LIMIT

GENERATOR = np.random.default_rng(0)
POSITIVE = unit_norm(GENERATOR.random((16, 24)))
SIGNED = unit_norm(GENERATOR.normal(size=(16, 24)))
CODER = spiking_coder(POSITIVE, 0.1)
LATERALS = st.sampled_from(("split", "mixed"))
DESIGNS = st.one_of(
    st.builds(SpikingDesign, full_scale=st.floats(1, 16), tau_steps=st.integers(1, 64), lateral=LATERALS),
    st.builds(
        SpikingDesign,
        full_scale=st.floats(1, 8),
        tau_steps=st.integers(1, 16),
        lateral=LATERALS,
        input_bits=st.sampled_from((0, 5, 8)),
    ),
)


def lateral(coder: SpikingCoder) -> np.ndarray:
    """What a spike of each neuron adds to a of each other, of shape [K, K]."""
    among = [p for p in coder.graph.projections if p.source == p.target == "code"]
    assert all(p.exponent >= 0 or (p.effective % 2**-p.exponent == 0).all() for p in among)  # nothing is shifted out
    return sum(p.effective * 2.0**p.exponent for p in among)


def neuron(coder: SpikingCoder):
    return next(p.neuron for p in coder.graph.populations if p.name == "code")


@settings(max_examples=40, deadline=None)
@given(DESIGNS, st.booleans())
def test_a_spike_takes_in_all_what_the_gram_matrix_says(design, signed):
    atoms = SIGNED if signed else POSITIVE
    coder = spiking_coder(atoms, 0.1, design)
    taken = -lateral(coder) / (neuron(coder).current_decay + 1) * 4096 / coder.threshold
    wanted = atoms.T @ atoms - np.eye(24)
    step = max(2.0**p.exponent * (1 + (p.sign_mode == "mixed")) for p in coder.graph.projections if p.source == "code")
    assert np.abs(taken - wanted).max() <= 0.51 * step * 4096 / (neuron(coder).current_decay + 1) / coder.threshold
    assert (np.diag(taken) == 0).all()


@settings(max_examples=40, deadline=None)
@given(DESIGNS, st.booleans(), st.integers(0, 1000))
def test_a_signal_that_goes_on_adds_what_the_equation_says(design, signed, seed):
    atoms = SIGNED if signed else POSITIVE
    coder = spiking_coder(atoms, 0.1, design)
    signals = np.random.default_rng(seed).random((3, 16))
    signals /= np.linalg.norm(signals, axis=1, keepdims=True)
    drive = coder.drive(signals, 400)
    scale = 2.0 ** neuron(coder).bias_exponent
    unit = 64 * coder.threshold / design.full_scale
    wanted = unit * (signals @ atoms - 0.1)
    if design.input_bits is None:
        found = drive.biases["code"] * scale
        assert np.abs(found - wanted).max() <= 0.51 * scale
        return
    forward = next(p for p in coder.graph.projections if p.source == "input")
    per_step = drive.inputs.mean(axis=1) @ forward.effective * 2.0**forward.exponent
    held = 64 * 4096 / (neuron(coder).current_decay + 1)  # what 1 of a adds to v in all
    found = held * per_step + neuron(coder).bias
    of_payloads = (0.5 / 2**design.input_bits if design.input_bits else 1 / 400) * np.abs(atoms).sum(axis=0).max()
    of_weights = 2.0**forward.exponent * np.abs(drive.inputs.mean(axis=1)).sum(axis=1).max()  # half of the step of 2
    rounding = unit * of_payloads + held * of_weights + held / 2  # the last is given back for the shift
    assert np.abs(found - wanted).max() <= 1.01 * rounding + scale
    assert rounding <= 0.2 * unit


@pytest.mark.parametrize("bits", [0, 1, 6])
def test_spikes_send_the_signal_on_average(bits):
    signals = np.random.default_rng(1).random((4, 9))
    trains = present_spikes(signals, 1000, bits)
    assert trains.max() <= 1 << bits
    assert np.abs(trains.mean(axis=1) / (1 << bits) - signals).max() <= (0.001 if bits == 0 else 0.5 / (1 << bits))


def test_atoms_of_one_sign_need_one_inhibitory_projection():
    (projection,) = spiking_coder(POSITIVE, 0.1).graph.projections
    assert projection.sign_mode == "inhibitory"
    modes = {p.sign_mode for p in spiking_coder(SIGNED, 0.1).graph.projections}
    assert modes == {"inhibitory", "excitatory"}
    (both,) = spiking_coder(SIGNED, 0.1, SpikingDesign(lateral="mixed")).graph.projections
    assert both.sign_mode == "mixed"


def test_the_threshold_gives_way_to_many_coherent_atoms():
    coherent = unit_norm(1 + 0.1 * GENERATOR.random((16, 300)))
    coder = spiking_coder(coherent, 0.1)
    assert coder.threshold < 2000
    every_fourth = -lateral(coder).sum(axis=0).min() * 64 / (1 - (1 - 1 / 8) ** 4)
    assert 0.9 * STATE_LIMIT < every_fourth < STATE_LIMIT


def test_spikes_of_the_first_steps_need_not_count():
    coder = spiking_coder(POSITIVE, 0.1, SpikingDesign(skipped_share=0.25))
    spikes = np.zeros((1, 40, 24), dtype=np.int32)
    spikes[0, :10, 0] = 1
    spikes[0, 10::3, 1] = 1
    np.testing.assert_allclose(coder.codes({"code": spikes})[0, :3], [0, 4 * 10 / 30, 0])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: spiking_coder(POSITIVE, 0.0), ("sparsity_threshold 0",)),
        (lambda: spiking_coder(POSITIVE * np.nan, 0.1), ("dictionary", "finite")),
        (lambda: spiking_coder(2 * POSITIVE, 0.1), ("length 2", "unit_norm")),
        (lambda: SpikingDesign(full_scale=0.1), ("full_scale 0.1", "0.5..64")),
        (lambda: SpikingDesign(full_scale=float("nan")), ("full_scale nan",)),
        (lambda: SpikingDesign(tau_steps=0), ("tau_steps 0",)),
        (lambda: SpikingDesign(tau_steps=2.5), ("tau_steps 2.5", "integer")),
        (lambda: SpikingDesign(threshold=2**17), ("threshold 131072",)),
        (lambda: SpikingDesign(overshoot=0.6), ("overshoot 0.6",)),
        (lambda: SpikingDesign(input_bits=13), ("input_bits 13",)),
        (lambda: SpikingDesign(lateral="both"), ("lateral 'both'", "split, mixed")),
        (lambda: SpikingDesign(skipped_share=1.0), ("skipped_share 1.0",)),
        (lambda: spiking_coder(POSITIVE, 0.1, SpikingDesign(threshold=100_000)), ("24 bits", "lower it")),
        (
            lambda: spiking_coder(POSITIVE[:, :2], 0.1, SpikingDesign(threshold=20_000, signal_reach=9.0)),
            ("13 bits", "signal_reach"),
        ),
        (lambda: spiking_coder(np.ones((1, 4000)), 0.1), ("24 bits", "fewer")),
        (
            lambda: spiking_coder(POSITIVE, 0.01, SpikingDesign(input_bits=4)),
            ("steps of 0.016", "input_bits None"),
        ),
        (lambda: CODER.drive(3 * POSITIVE.T, 9), ("driven by 3", "signal_reach 1", "scale")),
        (lambda: CODER.drive(POSITIVE.T, 0), ("steps 0",)),
        (lambda: CODER.drive(POSITIVE, 9), ("signals", "[B, 16]")),
        (
            lambda: spiking_coder(POSITIVE, 0.1, SpikingDesign(input_bits=0)).drive(-POSITIVE.T, 9),
            ("0..1", "biases"),
        ),
        (lambda: spiking_coder(POSITIVE, 0.1, SpikingDesign(input_bits=4)).drive(9 * POSITIVE.T, 9), ("-1..1",)),
        (
            lambda: spiking_coder(POSITIVE, 0.1).codes({"code": np.ones((1, 9, 24), int)}),
            ("beyond reach", "full_scale"),
        ),
        (
            lambda: replace(spiking_coder(POSITIVE, 0.1), problem=spiking_coder(POSITIVE[:, :9], 0.1).problem),
            ("9 atoms",),
        ),
    ],
)
def test_what_no_chip_could_hold_is_refused(make, words, refused):
    with refused(*words):
        make()
