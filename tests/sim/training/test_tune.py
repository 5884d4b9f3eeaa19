from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sim.training.tune
from neuro.data.sets import Dataset, Split, split_validation
from sim.training.config import TrainConfig
from sim.training.trainer import Choices
from sim.training.tune import LEARNING_RATES, OUTPUT_SHARES, Trial, mean_share, tune

CONFIG = TrainConfig(seed=3, hidden=(8,), epochs=2)


@pytest.fixture(autouse=True)
def _short_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sim.training.tune, "TRIAL_PRESENTATIONS", 1000)


@pytest.fixture
def split(blob_data: Dataset) -> Split:
    return split_validation(blob_data.y_train, CONFIG.seed)


def ignore(trial: Trial) -> None:
    pass


class Blind(Dataset):
    """A data set whose test images cannot be read."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("x_test", "y_test"):
            raise AssertionError(f"{name} was read")
        return super().__getattribute__(name)


def test_test_images_are_never_read(blob_data: Dataset, split: Split) -> None:
    blind = Blind(**{field.name: getattr(blob_data, field.name) for field in fields(Dataset)})
    assert tune(blind, CONFIG, split, ignore) == tune(blob_data, CONFIG, split, ignore)


def test_test_images_change_no_choice(blob_data: Dataset, train: Callable[..., Any], tmp_path: Path) -> None:
    garbage = replace(blob_data, x_test=1 - blob_data.x_test, y_test=(blob_data.y_test + 1) % 3)
    found = []
    for name, data in (("true", blob_data), ("garbage", garbage)):
        train(data, CONFIG, tmp_path / name)
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        found.append((manifest["trials"], manifest["chosen"], (tmp_path / name / "weights.npz").read_bytes()))
    assert found[0] == found[1]


def test_choices_are_deterministic_and_told_trial_by_trial(blob_data: Dataset, split: Split) -> None:
    told: list[Trial] = []
    choices, trials = tune(blob_data, CONFIG, split, told.append)
    assert told == trials
    assert len(trials) == 5  # three rates, then two more shares
    assert choices in [trial.choices for trial in trials]
    assert all(trial.n == len(split.validation) for trial in trials)
    for threads in (1, 2):
        assert tune(blob_data, replace(CONFIG, threads=threads), split, ignore) == (choices, trials)


def test_manifest_records_choices_and_trials(blob_data: Dataset, train: Callable[..., Any], tmp_path: Path) -> None:
    train(blob_data, CONFIG, tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    choices, trials = tune(blob_data, CONFIG, split_validation(blob_data.y_train, CONFIG.seed), ignore)
    assert manifest["chosen"] == {**asdict(choices), "gain_bits": 0, "epochs": 2, "refit": True}
    assert manifest["trials"] == [asdict(trial) for trial in trials]
    assert manifest["config"]["learning_rate"] is None


@pytest.mark.parametrize(
    "fixed",
    [
        {"learning_rate": 0.9},
        {"output_share": 0.3},
        {"centred": True},
        {"centred": False},
        {"exponent_offset": 0},
        {"exponent_offset": 1},
        {"learning_rate": 0.9, "centred": False, "exponent_offset": 0},
    ],
    ids=str,
)
def test_what_the_user_fixed_stays_fixed(fixed: dict[str, Any], blob_data: Dataset, split: Split) -> None:
    choices, trials = tune(blob_data, replace(CONFIG, **fixed), split, ignore)
    assert trials
    for tried in [choices, *(trial.choices for trial in trials)]:
        assert {name: getattr(tried, name) for name in fixed} == fixed


def test_nothing_is_tried_when_both_rates_are_given(blob_data: Dataset, split: Split) -> None:
    choices, trials = tune(blob_data, replace(CONFIG, learning_rate=0.9, output_share=0.3), split, ignore)
    assert (choices.learning_rate, choices.output_share, trials) == (0.9, 0.3, [])


def test_trials_learn_from_training_images_and_are_judged_on_validation_images(
    blob_data: Dataset, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, splits = sim.training.tune.make_trainer, []

    def watched(dataset: Dataset, config: TrainConfig, choices: Choices, part: Split, epochs: int, **more: Any) -> Any:
        splits.append(part)
        return make(dataset, config, choices, part, epochs, **more)

    monkeypatch.setattr(sim.training.tune, "make_trainer", watched)
    monkeypatch.setattr(sim.training.tune, "TRIAL_IMAGES", 50)
    monkeypatch.setattr(sim.training.tune, "TRIAL_VALIDATION", 20)
    tune(blob_data, CONFIG, split, ignore)
    assert len(splits) == 5
    for part in splits:
        assert (len(part.train), len(part.validation)) == (50, 20)
        assert set(part.train) <= set(split.train)
        assert set(part.validation) <= set(split.validation)


@pytest.mark.parametrize(
    ("gain", "expected"), [(0.0, LEARNING_RATES[1][0]), (0.05, LEARNING_RATES[1][0]), (0.4, LEARNING_RATES[1][2])]
)
def test_the_first_guess_yields_only_to_a_significant_gain(
    gain: float, expected: float, blob_data: Dataset, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pretend(dataset: Dataset, config: TrainConfig, choices: Choices, part: Split, *_: Any) -> float:
        return 0.5 + gain * (choices.learning_rate == LEARNING_RATES[1][2])

    monkeypatch.setattr(sim.training.tune, "_train_briefly", pretend)
    choices, _ = tune(blob_data, CONFIG, split, ignore)
    assert (choices.learning_rate, choices.output_share) == (expected, OUTPUT_SHARES[1][0])


def test_more_images_make_a_smaller_gain_significant() -> None:
    def beats(value: float, other: float, n: int) -> bool:
        return Trial(Choices(), value, n).beats(Trial(Choices(), other, n))

    assert [beats(0.92, 0.90, n) for n in (10, 100, 10_000)] == [False, False, True]
    assert not beats(0.9, 0.9, 10**6)
    assert not beats(0.8, 0.9, 10**6)
    assert beats(0.5, 0.0, 100)
    assert not beats(1.0, 1.0, 100)


def test_images_far_from_zero_are_centred_and_sparse_ones_are_not(blob_data: Dataset, split: Split) -> None:
    bright = replace(blob_data, x_train=np.float32(0.8) + blob_data.x_train / 5)
    generator = np.random.default_rng(0)
    sparse = replace(blob_data, x_train=(generator.random(blob_data.x_train.shape) < 0.1).astype(np.float32))
    dark = replace(blob_data, x_train=np.zeros_like(blob_data.x_train))
    for data, centred in ((bright, True), (sparse, False), (dark, False)):
        assert 0 <= mean_share(data, split) <= 1 + 1e-6
        assert tune(data, replace(CONFIG, learning_rate=1.0, output_share=0.1), split, ignore)[0].centred is centred


def test_small_sets_get_a_finer_grid(blob_data: Dataset, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(CONFIG, learning_rate=1.0, output_share=0.1)
    assert tune(blob_data, config, split, ignore)[0].exponent_offset == 1
    monkeypatch.setattr("sim.training.recipe.SMALL", 100)
    assert tune(blob_data, config, split, ignore)[0].exponent_offset == 0
