from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError
from neuro.data.sets import Dataset, checked_dataset, load_dataset, split_validation
from neuro.front_ends.pixels import PixelEncoder
from sim.training.config import TrainConfig
from sim.training.recipe import FEWEST_EPOCHS, MOST_EPOCHS, build_network, make_trainer, n_epochs, wants_refit
from sim.training.trainer import Choices

RATES: dict[str, Any] = {"learning_rate": 1.4, "output_share": 0.125}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


def learned(dataset: Dataset, config: TrainConfig, silent: type[Any]) -> tuple[float, dict[str, np.ndarray]]:
    """Test accuracy and weights after a training on 90 % of the training images."""
    split = split_validation(dataset.y_train, config.seed)
    choices = Choices(config.learning_rate or 1.4, config.output_share or 0.125, bool(config.centred), 0)
    trainer = make_trainer(dataset, config, choices, split, config.epochs or 1)
    trainer.run(silent())
    record = trainer.session.run(trainer.session.spec.encoder.encode(dataset.x_test))
    return float(np.mean(record.predictions == dataset.y_test)), trainer.session.full_weights()


@pytest.mark.parametrize("batch_size", [1, 8])
def test_digits_are_learned_by_spikes(batch_size: int, digits: Dataset, silent: type[Any]) -> None:
    config = TrainConfig(seed=1, hidden=(64,), epochs=4, batch_size=batch_size, centred=True, **RATES)
    accuracy, weights = learned(digits, config, silent)
    assert accuracy > 0.93
    again, end_point = learned(digits, replace(config, rule="end-point"), silent)
    assert again == accuracy
    assert all(np.array_equal(weights[name], end_point[name]) for name in weights)


def test_y3_learns_digits_and_is_another_rule(digits: Dataset, silent: type[Any]) -> None:
    config = TrainConfig(seed=1, hidden=(64,), epochs=3, rule="y3", centred=True, **RATES)
    accuracy, weights = learned(digits, config, silent)
    _, event = learned(digits, replace(config, rule="event"), silent)
    assert accuracy > 0.93
    assert any(not np.array_equal(weights[name], event[name]) for name in weights)


def test_two_hidden_layers_learn_digits(digits: Dataset, train: Callable[..., Any], tmp_path: Path) -> None:
    config = TrainConfig(seed=1, hidden=(64, 32), epochs=8, learning_rate=0.5, output_share=0.4, refit=False)
    result = train(digits, config, tmp_path / "run")
    assert result.val_accuracy.value > 0.93
    assert result.test_accuracy.value > 0.9


@pytest.mark.parametrize(("layers", "least"), [("conv:12x3,pool:2,conv:16x2", 0.85), ("conv:16x3,pool:2", 0.9)])
def test_a_convolutional_network_learns_digits(
    layers: str, least: float, digits: Dataset, train: Callable[..., Any], tmp_path: Path
) -> None:
    config = TrainConfig(
        seed=1, hidden=(), layers=layers, epochs=6, learning_rate=1.4, output_share=1.0, refit=False, threads=1
    )
    result = train(digits, config, tmp_path / "run")
    assert result.val_accuracy.value > least
    assert load_artifact(result.folder).manifest["config"]["layers"] == layers


@pytest.mark.parametrize("hidden", [(64,), (64, 32)], ids=str)
def test_with_default_settings_the_network_kept_is_as_good_as_the_one_validated(
    hidden: tuple[int, ...], digits: Dataset, train: Callable[..., Any], tmp_path: Path
) -> None:
    result = train(digits, TrainConfig(hidden=hidden), tmp_path / "run")
    assert result.val_accuracy.value > 0.9
    assert result.test_accuracy.value > result.val_accuracy.value - 0.1  # of the best of 40 epochs, 143 images


@pytest.mark.parametrize("hidden", [(1,), (256,), (1024,), (256, 128), (128, 256, 64)], ids=str)
def test_layers_of_any_size_can_be_built(hidden: tuple[int, ...], digits: Dataset) -> None:
    split = split_validation(digits.y_train, 0)
    for offset in (0, 1):
        spec = build_network(digits, TrainConfig(hidden=hidden), Choices(exponent_offset=offset), split)
        assert [p.size for p in spec.populations] == [64, 1, *hidden, 10]


@pytest.mark.parametrize(("shadow_bits", "weight_bits", "least"), [(0, 8, 0.85), (4, 8, 0.9), (8, 4, 0.85)])
def test_coarser_synapses_learn_too(
    shadow_bits: int, weight_bits: int, least: float, digits: Dataset, silent: type[Any]
) -> None:
    config = TrainConfig(
        seed=1, hidden=(64,), epochs=3, shadow_bits=shadow_bits, weight_bits=weight_bits, centred=True, **RATES
    )
    accuracy, weights = learned(digits, config, silent)
    limit = 2 ** (weight_bits - 1) - 1
    assert accuracy > least
    assert all(np.abs(part).max() <= (limit + 0.5) * 2**shadow_bits for part in weights.values())


@pytest.mark.parametrize(
    ("shape", "n_classes", "as_bytes"),
    [((20,), 3, False), ((5, 6), 12, True), ((6, 5, 3), 3, True), ((4, 4, 1), 12, False)],
    ids=["vectors", "images", "colour", "one channel"],
)
def test_any_shape_and_number_of_classes(
    shape: tuple[int, ...],
    n_classes: int,
    as_bytes: bool,
    blobs: Callable[..., Any],
    train: Callable[..., Any],
    tmp_path: Path,
) -> None:
    arrays = blobs(shape, n_classes)
    if as_bytes:
        arrays.update({key: (arrays[key] * 255).astype(np.uint8) for key in ("x_train", "x_test")})
    np.savez(tmp_path / "data.npz", **arrays)
    dataset = load_dataset(str(tmp_path / "data.npz"))
    result = train(dataset, TrainConfig(hidden=(24,), epochs=4, **RATES), tmp_path / "run")
    assert dataset.n_classes == n_classes
    assert result.test_accuracy.value > 0.8
    assert result.test_accuracy.n == len(arrays["y_test"])


def test_float_and_byte_images_give_the_same_network(blobs: Callable[..., Any], silent: type[Any]) -> None:
    arrays = blobs()
    levels = (arrays["x_train"] * 255).astype(np.uint8)
    config = TrainConfig(hidden=(8,), epochs=1, **RATES)
    weights = []
    for images in (levels, (levels / 255.0).astype(np.float32)):
        dataset = checked_dataset("data", images, arrays["y_train"], arrays["x_test"], arrays["y_test"])
        weights.append(learned(dataset, config, silent)[1])
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_epochs_follow_the_number_of_images() -> None:
    assert n_epochs(TrainConfig(epochs=7), 10**9) == 7
    counts = [n_epochs(TrainConfig(), n) for n in (10, 1000, 10_000, 30_000, 60_000, 10**6)]
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[-1]) == (MOST_EPOCHS, FEWEST_EPOCHS)


def test_small_sets_are_trained_again_unless_told(blob_data: Dataset) -> None:
    many = replace(blob_data, y_train=np.zeros(20_000, dtype=np.int32))
    assert [wants_refit(TrainConfig(), data) for data in (blob_data, many)] == [True, False]
    assert [wants_refit(TrainConfig(refit=False), data) for data in (blob_data, many)] == [False, False]
    assert [wants_refit(TrainConfig(refit=True), data) for data in (blob_data, many)] == [True, True]


def test_network_is_a_function_of_seed_and_choices(blob_data: Dataset) -> None:
    split = split_validation(blob_data.y_train, 0)

    def weights(seed: int, **choices: Any) -> dict[str, np.ndarray]:
        spec = build_network(blob_data, TrainConfig(seed=seed, hidden=(8,)), Choices(**choices), split)
        return {p.name: np.asarray(p.weights) for p in spec.projections if p.weights is not None}

    first, again, other, coarse = weights(0), weights(0), weights(1), weights(0, exponent_offset=1)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["input->hidden1"], other["input->hidden1"])
    assert not np.array_equal(first["input->hidden1"], coarse["input->hidden1"])


def test_encoder_is_centred_on_learned_images_alone(blob_data: Dataset) -> None:
    split = split_validation(blob_data.y_train, 0)
    spec = build_network(blob_data, TrainConfig(hidden=(8,)), Choices(centred=True), split)
    expected = PixelEncoder().centred_on(blob_data.x_train[split.train]).offset
    assert np.array_equal(spec.encoder.offset, expected)
    plain = build_network(blob_data, TrainConfig(hidden=(8,)), Choices(centred=False), split)
    assert plain.encoder.offset is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"seed": 2**63},
        {"epochs": 0},
        {"epochs": 10_001},
        {"learning_rate": 0.0},
        {"learning_rate": -1.0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"output_share": 0.0},
        {"output_share": 1e9},
    ],
    ids=str,
)
def test_bad_configurations_are_refused(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(UserError, match=name):
        TrainConfig(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden": ()},
        {"hidden": (0,)},
        {"hidden": (8, -1)},
        {"hidden": (10**12,)},
        {"rule": "backprop"},
        {"shadow_bits": 9},
        {"shadow_bits": -1},
        {"weight_bits": 1},
        {"weight_bits": 9},
        {"threads": 0},
        {"batch_size": 0},
        {"batch_size": 10**9},
    ],
    ids=str,
)
def test_bad_networks_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"^.+$"):
        TrainConfig(**{"hidden": (8,), **wrong})


TWO_MAPS = "conv:4x3,pool:2,conv:4x3"


@pytest.mark.parametrize(
    ("asked", "shape", "schedule", "force", "until_silent", "shift"),
    [
        ({}, (28, 28), "parallel", "relaxing", False, 0),
        ({"hidden": (9, 7)}, (28, 28), "even-odd", "constant", True, 0),
        ({"layers": TWO_MAPS}, (28, 28), "even-odd", "constant", True, 1),
        ({"layers": TWO_MAPS}, (8, 8), "even-odd", "constant", True, 0),
        ({"layers": TWO_MAPS, "shift": 3}, (28, 28), "even-odd", "constant", True, 3),
        ({"layers": TWO_MAPS, "schedule": "parallel"}, (28, 28), "parallel", "relaxing", False, 0),
        ({"hidden": (9, 7), "noise": 0.5}, (28, 28), "parallel", "relaxing", False, 0),
        ({"hidden": (9, 7), "until_silent": False}, (28, 28), "even-odd", "constant", False, 0),
        ({"hidden": (9, 7), "output_force": "relaxing"}, (28, 28), "even-odd", "relaxing", False, 0),
        ({"schedule": "even-odd"}, (28, 28), "even-odd", "constant", True, 0),
        ({"family": "stock"}, (28, 28), "parallel", "relaxing", False, 0),
    ],
)
def test_what_is_left_open_suits_the_network(asked, shape, schedule, force, until_silent, shift):
    config = TrainConfig(**asked).settled(shape)
    assert (config.schedule, config.output_force, config.until_silent) == (schedule, force, until_silent)
    assert config.shift == shift
    assert config.settled(shape) == config


def test_fixed_steps_are_fewer_than_the_caps(digits):
    split = split_validation(digits.y_train, 0)
    steps = []
    for until_silent in (None, False):
        config = TrainConfig(hidden=(9, 7), until_silent=until_silent)
        steps.append(build_network(digits, config, Choices(), split).schedule.ends)
    assert steps[0] == (60, 100, 140)
    assert steps[1] == (20, 28, 36)


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"schedule": "parallel", "until_silent": True}, "drop --schedule parallel"),
        ({"hidden": (9, 7), "output_force": "relaxing", "until_silent": True}, "constant force fall silent"),
        ({"family": "stock", "schedule": "even-odd"}, "schedule: a choice of the sigma-delta family"),
        ({"family": "stock", "output_force": "constant"}, "output_force: a choice of the sigma-delta family"),
        ({"schedule": "random"}, "even-odd"),
    ],
)
def test_what_cannot_settle_so_is_refused(asked, word):
    with pytest.raises(UserError, match=word) as error:
        TrainConfig(**asked)
    assert "\n" not in str(error.value)
