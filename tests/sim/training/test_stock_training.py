"""Trainings of the stock family: what they reach, leave behind, and refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_watchers import Interrupting

from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError
from neuro.data.sets import Dataset, Split, load_dataset
from neuro.stock.network import StockNetwork
from sim.backends.protocol import get_backend
from sim.backends.stock.backend import EmulatorSession
from sim.backends.stock.session import learned_names
from sim.evaluate import evaluate
from sim.training.config import TrainConfig
from sim.training.equilibrium import infer
from sim.training.recipe import build_network, n_epochs
from sim.training.stock_recipe import stock_choices, stock_rules_at

Train = Callable[..., Any]
Outcome = Callable[[Path], dict[str, Any]]


def test_digits_are_learned_in_three_epochs(train: Train, silent: type[Any], tmp_path: Path) -> None:
    watcher = silent()
    config = TrainConfig(hidden=(64,), epochs=3, family="stock", rule="R5", refit=False)
    result = train(load_dataset("digits", 0), config, tmp_path / "run", watcher)
    assert result.val_accuracy.value > 0.8
    assert result.test_accuracy.value > 0.8
    assert 20 < result.spikes_per_inference < 1000
    assert "trial" not in watcher.calls


@pytest.mark.parametrize(("rule", "noise"), [("R5", "per-synapse"), ("deferred", "shared")])
def test_the_run_is_the_network_that_was_measured(
    rule: str, noise: str, train: Train, blob_data: Dataset, stock_config: TrainConfig, tmp_path: Path
) -> None:
    wanted = replace(stock_config, rule=rule, draws=noise, epochs=6, learning_rate=0.003)
    result = train(blob_data, wanted, tmp_path / "run")
    artifact = load_artifact(tmp_path / "run")
    network = artifact.spec
    assert isinstance(network, StockNetwork)
    record = infer(network, blob_data.x_test)
    assert result.test_accuracy.n_correct == np.count_nonzero(record.predictions == blob_data.y_test)
    assert result.test_accuracy.value > 0.5  # chance is 1/3
    assert result.spikes_per_inference == record.spikes_per_inference(network)
    split = Split(np.arange(300), np.zeros(0, np.int64))  # few images: trained again on all of them
    untrained = build_network(blob_data, wanted, stock_choices(wanted), split)
    for before, after in zip(untrained.projections, network.projections, strict=True):
        assert before.name == after.name
        assert (before.weights != after.weights).any() == (before.name in learned_names(network))


@pytest.fixture(scope="module")
def whole(
    train: Train, blob_data: Dataset, stock_config: TrainConfig, outcome: Outcome,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:  # fmt: skip
    """What an uninterrupted training leaves."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(blob_data, stock_config, folder)
    return outcome(folder)


def test_same_seed_same_run_and_another_seed_another(
    train: Train, blob_data: Dataset, stock_config: TrainConfig, whole: dict[str, Any], outcome: Outcome, tmp_path: Path
) -> None:
    train(blob_data, stock_config, tmp_path / "again")
    assert outcome(tmp_path / "again") == whole
    train(blob_data, replace(stock_config, seed=4), tmp_path / "other")
    assert outcome(tmp_path / "other")["weights"] != whole["weights"]
    assert [line["epoch"] for line in whole["log"]] == [1, 2, 1, 2]  # few images: trained again on all of them
    assert whole["manifest"]["chosen"]["learning_rate"] == 0.01


@pytest.mark.parametrize(("kind", "at"), [("on_chunk", 1), ("on_chunk", 4), ("on_chunk", 8), ("on_epoch", 1),
                                          ("on_epoch", 2), ("on_epoch", 3), ("on_stage", 2)])  # fmt: skip
def test_interrupted_anywhere_a_run_resumes_to_the_same_end(
    kind: str, at: int, train: Train, blob_data: Dataset, stock_config: TrainConfig, whole: dict[str, Any],
    outcome: Outcome, tmp_path: Path,
) -> None:  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        train(blob_data, stock_config, tmp_path / "run", Interrupting(kind, at))
    assert not (tmp_path / "run" / "manifest.json").exists()
    train(blob_data, stock_config, tmp_path / "run", resume=True)
    assert outcome(tmp_path / "run") == whole


@pytest.mark.parametrize("rule", ["R5", "deferred"])
def test_interrupted_inside_the_backend_the_last_checkpoint_stands(
    rule: str, train: Train, blob_data: Dataset, stock_config: TrainConfig, outcome: Outcome, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A signal that arrives while a kernel runs: its images are learned, not yet counted."""
    config = replace(stock_config, rule=rule, refit=False)
    train(blob_data, config, tmp_path / "whole")
    learn, left = EmulatorSession.learn, [4]  # the first is for compiling

    def interrupted(self: EmulatorSession, *arguments: Any, **options: Any) -> Any:
        result = learn(self, *arguments, **options)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patched:
        patched.setattr(EmulatorSession, "learn", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(blob_data, config, tmp_path / "run", checkpoint_every_s=0.0)
    train(blob_data, config, tmp_path / "run", resume=True)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


@pytest.mark.parametrize(
    "change",
    [{"rule": "R1"}, {"draws": "shared"}, {"weight_lsb": 2}, {"hidden": (9,)}, {"learning_rate": 0.02},
     {"family": "sigma-delta", "rule": "event"}],
    ids=str,
)  # fmt: skip
def test_resuming_with_other_settings_names_them(
    change: dict[str, Any], finished_stock: Path, train: Train, blob_data: Dataset, stock_config: TrainConfig
) -> None:
    with pytest.raises(UserError, match="was made with "):
        train(blob_data, replace(stock_config, **change), finished_stock, resume=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 2}, "batch_size 2.*one image at a time"),
        ({"centred": True}, "centred.*drop --centred"),
        ({"weight_bits": 7}, "weight_bits 7.*drop --weight-bits"),
        ({"rule": "event"}, "rule 'event'.*R5"),
        ({"rule": "R6"}, "rule 'R6'"),
        ({"hidden": ()}, "hidden"),
        ({"hidden": (8, 0)}, "hidden"),
        ({"draws": "pink"}, "draws 'pink'"),
        ({"weight_lsb": 3}, "weight_lsb 3|lsb 3"),
        ({"learning_rate": -1.0}, "learning_rate"),
    ],
    ids=str,
)
def test_configurations_that_cannot_be_are_refused(
    change: dict[str, Any], words: str, train: Train, blob_data: Dataset, stock_config: TrainConfig, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        train(blob_data, replace(stock_config, **change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("change", [{"learning_rate": 5.0}, {"output_share": 900.0}], ids=str)
def test_rates_out_of_reach_are_refused_before_anything_is_done(
    change: dict[str, Any], train: Train, blob_data: Dataset, stock_config: TrainConfig, silent: type[Any],
    tmp_path: Path,
) -> None:  # fmt: skip
    watcher = silent()
    with pytest.raises(UserError, match="lower the rate"):
        train(blob_data, replace(stock_config, **change), tmp_path / "run", watcher)
    assert watcher.calls == []
    assert not (tmp_path / "run").exists()


def test_rates_fall_from_epoch_to_epoch_and_with_the_length_of_the_images(finished_stock: Path) -> None:
    network = load_artifact(finished_stock).spec
    assert isinstance(network, StockNetwork)
    choices = stock_choices(TrainConfig(family="stock", rule="R5", learning_rate=0.1, output_share=0.5))

    def factors(decay: float, length: float) -> dict[str, float]:
        rules = stock_rules_at(network, choices, decay, length)
        return {name: rule.dw[0].mantissa * 2.0 ** rule.dw[0].exponent for name, rule in rules.items()}

    start, end, longer = factors(1.0, 4.0), factors(1 / 8, 4.0), factors(1.0, 8.0)
    assert set(start) == {"input->hidden", "hidden->output", "output->hidden"}
    assert all(end[name] == pytest.approx(start[name] / 8, rel=0.15) for name in start)
    assert longer["input->hidden"] == start["input->hidden"] / 2
    assert longer["hidden->output"] == start["hidden->output"] == start["output->hidden"]
    assert start["hidden->output"] == pytest.approx(start["input->hidden"] / 4, rel=0.15)  # half, twice the impulse


def test_epochs_follow_from_the_number_of_images() -> None:
    config = TrainConfig(family="stock", rule="R5")
    assert [n_epochs(config, n) for n in (300, 18_000, 60_000, 10**6)] == [20, 12, 4, 3]
    assert n_epochs(replace(config, epochs=7), 60_000) == 7


def test_a_run_is_evaluated_on_the_chip_and_nowhere_it_does_not_run(finished_stock: Path, blob_data: Dataset) -> None:
    artifact = load_artifact(finished_stock)
    found = evaluate(artifact, finished_stock, blob_data, get_backend("chip"), 20, get_backend("chip"))
    assert found.differences is not None
    assert (found.differences.total, found.backend, found.check) == (0, "chip", "chip")
    assert found.differences.n_spikes > 100
    for name in ("events", "reference"):
        with pytest.raises(UserError, match=f"backend {name}: it runs no stock networks"):
            evaluate(artifact, finished_stock, blob_data, get_backend(name), 20, None)
