"""Trainings with recordings as teachers: what they align, that they can be resumed, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuro.base.errors import UserError
from neuro.data.sets import Dataset, split_validation
from sim.brain.guidance import recorded
from sim.brain.similarity import debiased_cka
from sim.training.compute import Compute
from sim.training.config import GUIDED, NO_CONTROL, TrainConfig
from sim.training.guided import with_recordings
from sim.training.identity import identity
from sim.training.recipe import make_trainer
from sim.training.trainer import Choices, Trainer

BATCHES: dict[str, Any] = {"batch_size": 16, "threads": 1, "learning_rate": 0.7, "output_share": 0.125}
KINDS = ("cka", "pairs", "readout", "head")


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory, blob_data: Dataset) -> Path:
    """12 neurons that answered to five of six training images of `blob_data`, in another order; some not always."""
    generator = np.random.default_rng(7)
    chosen = generator.permutation(len(blob_data.x_train))[:250]
    images = blob_data.x_train[chosen].reshape(250, -1).astype(np.float64)
    responses = np.maximum((images - images.mean(0)) @ generator.standard_normal((16, 12)), 0.0)
    responses[generator.random(responses.shape) < 0.05] = np.nan
    path = tmp_path_factory.mktemp("recordings") / "neurons.npz"
    np.savez(path, responses=responses, stimuli=blob_data.x_train[chosen])
    return path


@pytest.fixture(scope="session")
def guided(recordings: Path) -> TrainConfig:
    """As `small_config`, guided in batches."""
    return TrainConfig(seed=3, hidden=(8,), epochs=4, guide=str(recordings), **BATCHES)


def trained(dataset: Dataset, config: TrainConfig, compute: Compute | None = None) -> Trainer:
    taught, config = with_recordings(dataset, config)
    split = split_validation(dataset.y_train, config.seed)
    more = {} if compute is None else {"compute": compute}
    assert config.epochs is not None
    trainer = make_trainer(taught, config, Choices(0.7, 0.125), split, config.epochs, **more)
    trainer.run()
    return trainer


def alignment(trainer: Trainer, dataset: Dataset, config: TrainConfig) -> float:
    responses = with_recordings(dataset, config)[0].recordings
    assert responses is not None
    whole = np.isfinite(responses).all(axis=1)
    states = trainer.session.run(trainer.data.payloads, keep_states=True).states
    assert states is not None
    return debiased_cka(states["hidden1"][whole, 0].astype(np.float64), responses[whole])


def test_alignment_rises_with_the_weight_and_not_by_controls(blob_data: Dataset, guided: TrainConfig) -> None:
    reached = {
        name: alignment(trained(blob_data, replace(guided, **more)), blob_data, guided)
        for name, more in {
            "none": {"guide_control": NO_CONTROL}, "cka": {}, "shuffled": {"guide_control": "shuffled"}
        }.items()
    }  # fmt: skip
    assert reached["cka"] > reached["none"] + 0.05
    assert reached["shuffled"] < reached["none"]


@pytest.mark.parametrize("loss", KINDS)
def test_backends_learn_equal_weights_and_weight_0_is_no_guide(
    blob_data: Dataset, guided: TrainConfig, loss: str
) -> None:
    config = replace(guided, guide_loss=loss, epochs=1)
    learned = [trained(blob_data, config, Compute(name)).session.full_weights() for name in ("", "torch")]
    for name, weights in learned[0].items():
        np.testing.assert_array_equal(learned[1][name], weights)
    if loss != "head":  # which is there, whatever its weight
        none, nothing = (
            trained(blob_data, replace(config, **more)).session.full_weights()
            for more in ({"guide_weight": 0.0}, {"guide_control": NO_CONTROL})
        )
        for name, weights in none.items():
            np.testing.assert_array_equal(nothing[name], weights)
        assert any((none[name] != learned[0][name]).any() for name in none)


class Stopping:
    """A watcher that stops the training after its ninth batch."""

    def __init__(self, watcher: Any) -> None:
        self._watcher, self.left = watcher, 9

    def __getattr__(self, name: str) -> Any:
        return getattr(self._watcher, name)

    def on_chunk(self, trainer: Any) -> None:
        """Stop."""
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.mark.parametrize("loss", KINDS)
def test_a_guided_training_ends_as_if_it_had_never_been_stopped(
    train: Callable[..., Any], blob_data: Dataset, guided: TrainConfig, loss: str, tmp_path: Path, silent: type[Any]
) -> None:
    config = replace(guided, guide_loss=loss, epochs=2, refit=False)
    whole = train(blob_data, config, None).artifact
    with pytest.raises(KeyboardInterrupt):
        train(blob_data, config, tmp_path / "run", Stopping(silent()), checkpoint_every_s=0.0)
    resumed = train(blob_data, config, tmp_path / "run", resume=True).artifact
    for one, other in zip(whole.spec.projections, resumed.spec.projections, strict=True):
        if one.weights is not None:
            np.testing.assert_array_equal(one.weights, other.weights)
    assert len(resumed.manifest["config"]["guide_sha256"]) == 64


def test_what_was_recorded_is_told_and_identity_knows_the_content_not_the_path(
    blob_data: Dataset, guided: TrainConfig, recordings: Path, tmp_path: Path
) -> None:
    taught, config = with_recordings(blob_data, guided)
    assert taught.recordings is not None
    n_missing = int(np.isnan(taught.recordings[recorded(taught.recordings)]).sum())
    assert n_missing > 0
    assert taught.notes[-1] == (
        f"guided by 12 neurons recorded for 250 of 300 training images, {n_missing} responses missing"
    )
    moved = tmp_path / "moved.npz"
    moved.write_bytes(recordings.read_bytes())
    _, other = with_recordings(blob_data, replace(guided, guide=str(moved)))
    assert identity("ep", config, blob_data) == identity("ep", other, blob_data)
    assert identity("ep", TrainConfig(), blob_data).keys().isdisjoint({"guide", *GUIDED})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"guide_loss": "cka"}, "give guide, a file of recordings, too"),
        ({"guide": "x.npz"}, "of 1 there is little to compare; give batch_size 32"),
        ({"guide": "x.npz", "batch_size": 32, "guide_layer": "hidden2"}, "hidden2"),
        ({"guide": "x.npz", "batch_size": 32, "guide_loss": "distance"}, "distance"),
        ({"guide": "x.npz", "family": "stock"}, "sigma-delta family only"),
        ({"guide": "x.npz", "batch_size": 32, "guide_weight": -1.0}, "guide_weight"),
    ],
)
def test_what_cannot_guide_is_refused_in_one_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        TrainConfig(**options)
    assert "\n" not in str(error.value)


def test_a_weight_beyond_the_box_is_refused_with_the_largest_that_fits(blob_data: Dataset, guided: TrainConfig) -> None:
    with pytest.raises(
        UserError,
        match=r"guide_weight 500: its force on hidden1 is .* on average, beyond the box of its .*; give at most",
    ) as error:
        trained(blob_data, replace(guided, guide_weight=500.0))
    assert "\n" not in str(error.value)
