"""Graded networks as users meet them: trained, stored, evaluated, reported."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_pages import Page

from neuro.artifact.run_folder import load_artifact, network_of, save_artifact
from neuro.base.errors import UserError
from neuro.base.files import parse_arrays, parse_json, read_bytes
from neuro.data.sets import load_dataset
from neuro.equilibrium.graded_relu import GradedNetwork
from sim.backends.protocol import get_backend, one_hot_targets
from sim.evaluate import evaluate
from sim.reports.page import write_report
from sim.training.config import TrainConfig

CONFIG = TrainConfig(seed=1, hidden=(16,), rule="graded", family="stock", epochs=4, refit=False, threads=1)


@pytest.fixture(scope="module")
def run(train: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graded") / "run"
    train(load_dataset("digits", 1), CONFIG, folder)
    return folder


def test_the_deployed_network_is_what_was_measured(run: Path) -> None:
    artifact, dataset = load_artifact(run), load_dataset("digits", 1)
    network = artifact.spec
    assert isinstance(network, GradedNetwork)
    evaluation = evaluate(artifact, run, dataset, get_backend("chip"), None, None)
    assert evaluation.accuracy.n_correct == artifact.manifest["results"]["test"]["n_correct"]
    assert evaluation.accuracy.value > 0.9
    with get_backend("events").open(network.spec) as session:
        trained = session.run(network.encoder.encode(dataset.x_test)).predictions
    with get_backend("chip").open(network) as session:
        deployed = session.run(network.encoder.encode(dataset.x_test)).predictions
    assert np.mean(trained == deployed) > 0.97


def test_it_survives_a_round_trip(run: Path, tmp_path: Path) -> None:
    artifact = load_artifact(run)
    save_artifact(tmp_path / "copy", artifact)
    copy = load_artifact(tmp_path / "copy").spec
    assert isinstance(copy, GradedNetwork)
    assert copy.design == artifact.spec.design
    for first, second in zip(artifact.spec.projections, copy.projections, strict=True):
        np.testing.assert_array_equal(first.weights, second.weights)


def test_a_damaged_design_is_refused(run: Path) -> None:

    content = parse_json(read_bytes(run / "spec.json"), run / "spec.json")
    arrays = parse_arrays(read_bytes(run / "weights.npz"), run / "weights.npz")
    for wrong in ({"state_bits": 40}, {"speed": 3}, {**content["graded"], "free_steps": 0}):
        with pytest.raises(UserError, match="graded"):
            network_of({**content, "graded": wrong}, arrays)


def test_nudging_moves_the_output_toward_the_target(run: Path) -> None:
    artifact, dataset = load_artifact(run), load_dataset("digits", 1)
    network, label = artifact.spec, dataset.y_test[:50]
    payloads, targets = network.encoder.encode(dataset.x_test[:50]), one_hot_targets(network, label)
    with get_backend("chip").open(network) as session:
        spikes = session.run(payloads, targets, keep_spikes=True).spikes.rows()
    output = [population.name for population in network.populations].index(network.output)
    states = np.zeros((50, network.design.all_steps + 1, 10))
    mine = spikes[spikes[:, 2] == output]
    states[mine[:, 0], mine[:, 1], mine[:, 3]] = mine[:, 4]
    free, end = network.design.free_steps, network.design.free_steps + network.design.nudged_steps
    images, one = np.arange(50), network.design.one
    missing = one - states[images, free, label]
    clear = (np.abs(missing) > one / 20) & (states[images, free, label] > 0)
    up, down = states[images, end, label], states[images, -1, label]
    assert clear.sum() > 10
    assert (np.sign(up - states[images, free, label]) == np.sign(missing))[clear].mean() > 0.9
    assert (np.sign(down - states[images, free, label]) == -np.sign(missing))[clear].mean() > 0.9


def test_a_report_says_in_which_form_it_was_measured(run: Path, tmp_path: Path) -> None:
    page = Page(write_report([run], tmp_path / "page.html"))
    assert "graded, 15 steps, on the chip backend" in page.text
    assert "sigma-delta form" in page.text


@pytest.mark.parametrize("change", [{"hidden": (0,)}, {"rule": "R9"}, {"family": "sigma-delta"}])
def test_wrong_settings_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        replace(CONFIG, **change)


@pytest.mark.lava
@pytest.mark.timeout(120)
@pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava needs Python 3.10")
def test_lava_runs_all_phases_alike(run: Path) -> None:
    evaluation = evaluate(
        load_artifact(run), run, load_dataset("digits", 1), get_backend("lava"), 3, get_backend("chip")
    )
    assert evaluation.differences is not None
    assert evaluation.differences.total == 0
    assert evaluation.differences.n_spikes > 1000
