"""Integers recorded once: no backend, and no change to the shared arithmetic, may move them unnoticed."""

import json
from pathlib import Path

import numpy as np
import pytest

from neuro.artifact.sigma_delta import spec_from_json
from neuro.spec.plasticity import Rate
from sim.backends.protocol import get_backend
from sim.contract.sigma_delta import run_fully


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).with_name("golden.npz"), allow_pickle=False) as archive:
        arrays = dict(archive)
    parts = {key[len("spec.") :]: value for key, value in arrays.items() if key.startswith("spec.")}
    return spec_from_json(json.loads(arrays["spec"].tobytes()), parts), arrays


@pytest.mark.parametrize("name", ["events", "reference"])
def test_spikes_and_states_are_those_recorded(golden, name):
    spec, arrays = golden
    record = run_fully(get_backend(name), spec, arrays["payloads"], arrays["targets"], seed=13, first_image=14)
    np.testing.assert_array_equal(record.spikes.rows(), arrays["spikes"])
    np.testing.assert_array_equal(record.predictions, arrays["predictions"])
    for population in spec.populations:
        np.testing.assert_array_equal(record.states[population.name], arrays[f"states.{population.name}"])


@pytest.mark.parametrize("name", ["events", "reference"])
def test_learned_weights_are_those_recorded(golden, name):
    spec, arrays = golden
    rates = {p.name: Rate(int(m), int(e)) for p, (m, e) in zip(spec.plastic, arrays["rates"], strict=True)}
    with get_backend(name).open(spec) as session:
        session.learn(arrays["payloads"], arrays["targets"], rates, seed=13, first_image=14)
        for projection, weights in session.full_weights().items():
            np.testing.assert_array_equal(weights, arrays[f"learned.{projection}"])
