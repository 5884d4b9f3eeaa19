"""Training with noise: fresh noise whatever the chunks, clean validation images, old runs as they were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError
from neuro.data.sets import Dataset, split_validation
from neuro.front_ends.pixels import PixelEncoder
from sim.training import noise as noise_module
from sim.training.config import TrainConfig
from sim.training.identity import check_identity, identity
from sim.training.noise import TrainingNoise, drawn_once, noise_of, payloads_once
from sim.training.recipe import build_network, make_trainer
from sim.training.trainer import Choices, Trainer
from sim.training.tune import NOISE_RATE, guesses, wants_centring

NOISY = TrainConfig(seed=3, hidden=(8,), epochs=2, learning_rate=1.4, output_share=0.125, threads=1, noise=0.3)


def test_no_noise_is_none() -> None:
    images = np.zeros((3, 4))
    assert noise_of(0.0, images, PixelEncoder()) is None
    assert drawn_once(images, 0.0, 0) is images


def test_images_made_noisy_once_do_not_depend_on_how_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).random((7, 3, 3))
    whole = payloads_once(PixelEncoder(), images, 0.3, 5)
    np.testing.assert_array_equal(whole, PixelEncoder().encode(drawn_once(images, 0.3, 5)))
    monkeypatch.setattr(noise_module, "CHUNK", 2)
    np.testing.assert_array_equal(payloads_once(PixelEncoder(), images, 0.3, 5), whole)


def test_centred_images_are_centred_on_noisy_ones(blob_data: Dataset) -> None:
    split = split_validation(blob_data.y_train, 0)
    offsets = [
        build_network(blob_data, replace(NOISY, noise=noise), Choices(centred=True), split).encoder.offset
        for noise in (0.0, 3.0)
    ]
    assert offsets[1].std() < offsets[0].std()  # noise clipped at both ends tends to one half everywhere


def test_every_image_gets_other_noise_in_every_epoch_and_place(blob_data: Dataset) -> None:
    noise = TrainingNoise(0.3, blob_data.x_train, PixelEncoder())
    chosen = np.array([4, 4, 7])
    shown = [noise.payloads(chosen, seed, epoch, place) for seed in (0, 1) for epoch in (0, 1) for place in (0, 3)]
    shown.append(payloads_once(PixelEncoder(), blob_data.x_train[chosen], 0.3, 0))
    rows = np.concatenate([payloads[:2] for payloads in shown])
    assert len(np.unique(rows, axis=0)) == len(rows)
    np.testing.assert_array_equal(shown[0], noise.payloads(chosen, 0, 0, 0))
    np.testing.assert_array_equal(shown[0][1:], noise.payloads(chosen[1:], 0, 0, 1))


def test_chunks_do_not_matter_and_validation_images_are_noisy_once(blob_data: Dataset, silent: type[Any]) -> None:
    split = split_validation(blob_data.y_train, 0)

    def trained(noise: float, chunk: int) -> Trainer:
        trainer = make_trainer(blob_data, replace(NOISY, noise=noise), Choices(), split, 2)
        trainer.chunk = chunk
        trainer.run(silent())
        return trainer

    plain, whole, parts = trained(0.0, 500), trained(0.3, 500), trained(0.3, 33)
    for name, weights in whole.session.full_weights().items():
        np.testing.assert_array_equal(weights, parts.session.full_weights()[name])
    assert any(
        not np.array_equal(weights, plain.session.weights()[name]) for name, weights in whole.session.weights().items()
    )
    np.testing.assert_array_equal(whole.data.payloads, parts.data.payloads)
    assert not np.array_equal(whole.data.payloads, plain.data.payloads)


class Interrupting:
    """A watcher that stops the training after its second chunk."""

    def __init__(self, watcher: Any) -> None:
        self._watcher, self.chunks = watcher, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._watcher, name)

    def on_chunk(self, trainer: Any) -> None:
        """Stop."""
        self.chunks += 1
        if self.chunks == 2:
            raise KeyboardInterrupt


def test_a_noisy_training_goes_on_where_it_stopped_and_says_its_noise(
    blob_data: Dataset, train: Callable[..., Any], silent: type[Any], tmp_path: Path
) -> None:
    config = replace(NOISY, refit=False)
    whole = train(blob_data, config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(blob_data, config, tmp_path / "run", Interrupting(silent()), checkpoint_every_s=0.0)
    resumed = train(blob_data, config, tmp_path / "run", resume=True)
    first, second = (load_artifact(result.folder) for result in (whole, resumed))
    assert first.manifest["files"]["weights.npz"] == second.manifest["files"]["weights.npz"]
    assert first.manifest["config"]["noise"] == 0.3
    with pytest.raises(UserError, match=r"noise 0.3, asked for 0.0"):
        train(blob_data, replace(config, noise=0.0), tmp_path / "run", resume=True)


def test_runs_of_before_are_the_same_as_without_noise(blob_data: Dataset) -> None:
    config = TrainConfig(hidden=(8,))
    wanted = identity("ep", config, blob_data)
    assert "noise" not in wanted
    old = {name: value for name, value in wanted.items() if name != "draws"}
    check_identity(Path("run"), {**old, "noise": "per-synapse"}, wanted)
    with pytest.raises(UserError, match="draws shared, asked for per-synapse"):
        check_identity(Path("run"), {**old, "noise": "shared"}, wanted)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"noise": -0.1}, r"noise -0.1 outside 0..10"),
        ({"noise": float("nan")}, "noise nan"),
        ({"noise": "shared"}, "noise 'shared': give a number"),
        ({"noise": 0.5, "shift": 1}, "noise 0.5: not together with shift"),
        ({"noise": 0.5, "front_end": "ab", "centred": False}, "noise 0.5: not together with a front end"),
    ],
    ids=str,
)
def test_noise_that_cannot_be_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        TrainConfig(**options)


def test_stock_rules_learn_noisy_images_too(blob_data: Dataset) -> None:
    split = split_validation(blob_data.y_train, 0)
    config = replace(NOISY, family="stock", rule="R5", learning_rate=0.006, output_share=0.25)
    with make_trainer(blob_data, config, Choices(0.006, 0.25), split, 1).session as session:
        assert session.spec.family == "stock"
    trainer = make_trainer(blob_data, config, Choices(0.006, 0.25), split, 1)
    shown = trainer._presented(trainer.upcoming())
    assert not np.array_equal(shown, trainer.data.payloads[trainer.upcoming()])


def test_noisy_images_are_centred_and_learn_at_higher_rates_unless_told_otherwise(blob_data: Dataset) -> None:
    split, plain = split_validation(blob_data.y_train, 0), replace(NOISY, noise=0.0, centred=None)
    assert wants_centring(blob_data, NOISY, split)
    assert not wants_centring(blob_data, replace(NOISY, centred=False), split)
    assert guesses(NOISY)[0] == [NOISE_RATE * rate for rate in guesses(plain)[0]]
