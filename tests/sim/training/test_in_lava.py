"""Trainings inside Lava itself: equal to the chip's integers, and a run like any other."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuro.artifact.run_folder import load_artifact
from neuro.data.sets import Dataset, split_validation
from neuro.stock.network import StockNetwork
from sim.training.config import TrainConfig
from sim.training.in_lava import image_segments, train_in_lava
from sim.training.recipe import build_network
from sim.training.stock_recipe import stock_choices

needs_lava = pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava needs Python 3.10")
Command = Callable[..., Any]
KEYS = ["run", "backend", "images", "differences", "val_accuracy", "lava_s", "chip_s"]


@pytest.fixture(scope="session")
def learned_in_lava(
    tmp_path_factory: pytest.TempPathFactory, blob_data: Dataset, stock_config: TrainConfig
) -> tuple[Path, Any, list[int]]:
    """Folder of a run that learned three images in Lava, its result, and what its watcher was told."""
    folder, told = tmp_path_factory.mktemp("runs") / "lava", list[int]()
    return folder, train_in_lava(blob_data, stock_config, folder, 3, 120.0, told.append), told


@needs_lava
@pytest.mark.lava
@pytest.mark.timeout(240)
def test_three_images_learned_in_lava_are_those_of_the_chip(
    learned_in_lava: tuple[Path, Any, list[int]], blob_data: Dataset, stock_config: TrainConfig
) -> None:
    folder, result, told = learned_in_lava
    assert result.differences == {"weights": 0, "tags": 0, "traces": 0}
    assert list(result.to_json()) == KEYS
    assert result.n_compared == 17 * 8 + 2 * 8 * 3
    assert told == sorted(told)
    assert told[-1] == 3
    artifact = load_artifact(folder)
    network = artifact.spec
    assert isinstance(network, StockNetwork)
    config = replace(stock_config, draws="shared")
    split = split_validation(blob_data.y_train, config.seed)
    untrained = build_network(blob_data, config, stock_choices(config), split)
    assert {(p.noise, p.lsb) for p in network.plastic} == {("shared", 1)}
    for before, after in zip(untrained.projections, network.projections, strict=True):
        assert before.rule == after.rule  # the rates that were asked for
        assert (before.weights != after.weights).any() == (before.rule is not None)
    assert artifact.manifest["history"] == []
    assert artifact.manifest["kind"] == "ep in lava"
    assert artifact.manifest["chosen"]["learning_rate"] == stock_config.learning_rate


@pytest.mark.slow
@needs_lava
@pytest.mark.lava
@pytest.mark.timeout(240)
def test_a_run_learned_in_lava_is_evaluated_there(
    learned_in_lava: tuple[Path, Any, list[int]], command: Command
) -> None:
    folder = learned_in_lava[0]
    content = command("evaluate", folder, "--backend", "lava", "--check", "chip", "--images", 2, "--json").json
    assert content["differences"] == {"spikes": 0, "states": 0, "predictions": 0}
    assert (content["backend"], content["n"]) == ("lava", 2)
    assert content["spikes_per_inference"] > 0


def test_a_host_commits_every_so_many_images_and_at_the_end(blob_data: Dataset, stock_config: TrainConfig) -> None:
    split = split_validation(blob_data.y_train, 0)
    for rule, every, wanted in (("R5", 0, []), ("deferred", 2, [2, 4, 5]), ("deferred", 20, [5])):
        config = replace(stock_config, rule=rule)
        network = replace(build_network(blob_data, config, stock_choices(config), split), commit_every=every)
        segments = image_segments(network, 5)
        assert [segment.steps for segment in segments] == [network.schedule.steps] * 5
        assert [k for k, segment in enumerate(segments, 1) if segment.commits] == wanted
        assert {len(segment.commits) for segment in segments} <= {0, 3}


def test_rates_decide_what_is_learned(blob_data: Dataset, stock_config: TrainConfig) -> None:
    split = split_validation(blob_data.y_train, 0)
    rates = {}
    for rate in (0.003, 0.01, 0.03):
        config = replace(stock_config, learning_rate=rate)
        network = build_network(blob_data, config, stock_choices(config), split)
        rates[rate] = [p.rule.dw[0].mantissa * 2.0 ** p.rule.dw[0].exponent for p in network.plastic]
    assert np.array(rates[0.03]) == pytest.approx(3 * np.array(rates[0.01]), rel=0.15)
    assert (np.array(rates[0.003]) < rates[0.01]).all()
