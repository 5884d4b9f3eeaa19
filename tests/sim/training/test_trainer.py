from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from neuro.base.errors import UserError
from neuro.data.sets import Dataset, Split, split_validation
from sim.training.config import TrainConfig
from sim.training.pace import Mean
from sim.training.recipe import make_trainer
from sim.training.trainer import USUAL, Choices, Progress, Trainer
from sim.training.training_set import TrainingSet

EPOCHS = 3


@pytest.fixture(scope="module")
def fresh(blob_data: Dataset, small_config: TrainConfig) -> Callable[..., Trainer]:
    """fresh(batch_size=1): a trainer at its start."""

    def make(batch_size: int = 1, split: Split | None = None) -> Trainer:
        config = replace(small_config, batch_size=batch_size, threads=1)
        split = split or split_validation(blob_data.y_train, config.seed)
        return make_trainer(blob_data, config, Choices(1.4, 0.125), split, EPOCHS)

    return make


@pytest.fixture(scope="module")
def done(fresh: Callable[..., Trainer], silent: type[Any]) -> Trainer:
    trainer = fresh()
    trainer.run(silent())
    return trainer


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def untimed(progress: Progress) -> list[dict[str, Any]]:
    return [{**asdict(epoch), "images_per_s": 0} for epoch in progress.history]


def test_weights_move_and_shadows_round_to_them(done: Trainer, fresh: Callable[..., Trainer]) -> None:
    start, end, full = fresh().session.weights(), done.session.weights(), done.session.full_weights()
    assert all(not np.array_equal(start[name], end[name]) for name in end)
    for name, shadowed in full.items():
        assert np.abs(shadowed / 256.0 - end[name]).max() <= 0.5


@pytest.mark.parametrize("chunk", [1, 7, 100, 269, 10_000])
def test_chunks_do_not_matter(chunk: int, done: Trainer, fresh: Callable[..., Trainer], silent: type[Any]) -> None:
    trainer = fresh()
    trainer.chunk = chunk
    trainer.run(silent())
    assert same(trainer.session.full_weights(), done.session.full_weights())
    assert untimed(trainer.progress) == untimed(done.progress)


@pytest.mark.parametrize("stop_at", [1, 3, 5])
def test_nudges_soften_when_the_output_meets_its_box_and_resumed_they_stay_soft(
    stop_at: int, blob_data: Dataset, small_config: TrainConfig, silent: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.training.trainer.MET", -1.0)  # always too many

    def make() -> Trainer:
        config = replace(small_config, hidden=(8, 6), threads=1)
        split = split_validation(blob_data.y_train, config.seed)
        trainer = make_trainer(blob_data, config, Choices(1.0, 0.4), split, 2)
        trainer.chunk = 60
        return trainer

    whole, part, rest = make(), make(), make()
    spec = whole.session.spec
    whole.run(silent())
    assert whole.progress.softened == 3
    assert whole.progress.history[-1].settling.softened == 3
    assert whole.session.spec.schedule.nudge_shift == spec.schedule.nudge_shift + 3
    for _ in range(stop_at):
        part.step()
    rest.stand_at(Progress.from_json(asdict(part.progress)))
    assert rest.progress == part.progress
    rest.restore(part.full_weights())
    rest.run(silent())
    assert same(rest.session.full_weights(), whole.session.full_weights())


def test_what_does_not_settle_in_turn_is_not_softened(
    fresh: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.training.trainer.MET", -1.0)
    trainer = fresh()
    trainer.step()
    assert trainer.progress.softened == 0


def test_chunks_hold_whole_batches(fresh: Callable[..., Trainer]) -> None:
    for batch_size in (1, 8, 100, 4096):
        chunk = fresh(batch_size).chunk
        assert chunk >= 1
        assert chunk % batch_size == 0


@pytest.mark.parametrize("stop_at", range(1, 10))
def test_stops_at_any_chunk_and_goes_on(
    stop_at: int, done: Trainer, fresh: Callable[..., Trainer], silent: type[Any]
) -> None:
    class StopError(Exception):
        pass

    class Impatient(silent):
        def on_chunk(self, trainer: Trainer) -> None:
            super().on_chunk(trainer)
            if self.calls.count("chunk") == stop_at:
                raise StopError

    first = fresh()
    first.chunk = 100
    with pytest.raises(StopError):
        first.run(Impatient())
    second = fresh()
    second.chunk = 100
    second.session.restore(first.session.full_weights())
    second.best_weights, second.progress = first.best_weights, Progress.from_json(asdict(first.progress))
    second.run(silent())
    assert same(second.session.full_weights(), done.session.full_weights())
    assert same(second.best_weights, done.best_weights)
    assert untimed(second.progress) == untimed(done.progress)


@pytest.fixture(scope="module")
def averaging(blob_data: Dataset, small_config: TrainConfig) -> Callable[[], Trainer]:
    """A trainer of two layers in turn at its start, whose weights are averaged over 250 images."""

    def make() -> Trainer:
        config = replace(small_config, hidden=(7, 5), threads=1)
        split = split_validation(blob_data.y_train, config.seed)
        trainer = make_trainer(blob_data, config, Choices(1.0, 0.4), split, EPOCHS)
        assert trainer.pace.linear
        trainer.pace, trainer.mean, trainer.chunk = replace(trainer.pace, averaged=250), Mean(250), 100
        return trainer

    return make


def test_what_is_deployed_are_the_means(averaging: Callable[[], Trainer], silent: type[Any]) -> None:
    trainer = averaging()
    trainer.run(silent())
    own, means = trainer.session.full_weights(), trainer.mean.rounded()
    assert any(not np.array_equal(own[name], means[name]) for name in own)
    for name, weights in trainer.deployable().items():
        assert np.abs(means[name] / 256.0 - weights).max() <= 0.5
    assert same(trainer.session.full_weights(), own)  # measuring left the weights as they are
    assert all(epoch.settling is not None and 0 < epoch.settling.silent <= 1 for epoch in trainer.progress.history)


@pytest.mark.parametrize("stop_at", [1, 4, 8])
def test_a_training_with_means_goes_on_from_them(
    stop_at: int, averaging: Callable[[], Trainer], silent: type[Any]
) -> None:
    whole, first, second = averaging(), averaging(), averaging()
    whole.run(silent())
    for _ in range(stop_at):
        first.step()
        if first.progress.position >= first.n_images:
            first.end_epoch()
    second.restore(first.full_weights())
    second.best_weights, second.progress = first.best_weights, Progress.from_json(asdict(first.progress))
    second.run(silent())
    assert same(second.full_weights(), whole.full_weights())
    assert same(second.best_weights, whole.best_weights)
    assert untimed(second.progress) == untimed(whole.progress)


def test_means_of_other_weights_are_refused(averaging: Callable[[], Trainer]) -> None:
    trainer = averaging()
    trainer.step()
    full = trainer.full_weights()
    name = next(name for name in full if name.startswith("mean of "))
    with pytest.raises(UserError, match="mean of weights"):
        averaging().restore({**full, name: full[name][:1]})


def test_every_image_once_an_epoch_in_a_new_order(
    fresh: Callable[..., Trainer], silent: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = fresh()
    learn, seen, firsts = trainer.session.learn, [], []

    def watched(payloads: np.ndarray, targets: np.ndarray, rates: Any, *, seed: int, first_image: int) -> Any:
        seen.append(payloads.copy())
        firsts.append(first_image)
        return learn(payloads, targets, rates, seed=seed, first_image=first_image)

    monkeypatch.setattr(trainer.session, "learn", watched)
    trainer.run(silent())
    expected = np.sort(trainer.data.payloads[trainer.data.split.train], axis=0)
    assert len(seen) == EPOCHS
    assert all(np.array_equal(np.sort(epoch, axis=0), expected) for epoch in seen)
    assert not np.array_equal(seen[0], seen[1])
    assert firsts == [epoch * trainer.n_images for epoch in range(EPOCHS)]


def test_rates_fall_geometrically_to_the_final_share(fresh: Callable[..., Trainer]) -> None:
    trainer = fresh()
    by_epoch = [trainer.rates(epoch) for epoch in range(EPOCHS)]
    for name in by_epoch[0]:
        values = [rates[name].mantissa / 2.0 ** rates[name].exponent for rates in by_epoch]
        assert values[-1] / values[0] == pytest.approx(USUAL.final_rate, rel=0.3)  # mantissas have three bits
        assert values == sorted(values, reverse=True)
        assert values[1] / values[0] == pytest.approx(np.sqrt(USUAL.final_rate), rel=0.3)


def test_rates_are_relative_to_the_input(fresh: Callable[..., Trainer]) -> None:
    trainer = fresh()
    dim = TrainingSet(trainer.data.payloads // 2, trainer.data.labels, trainer.data.split)
    spec = trainer.session.spec
    assert dim.squared_length(spec) < trainer.data.squared_length(spec)
    silence = TrainingSet(np.zeros_like(trainer.data.payloads), trainer.data.labels, trainer.data.split)
    assert silence.squared_length(spec) > 0


def test_the_best_epoch_is_kept(fresh: Callable[..., Trainer], silent: type[Any]) -> None:
    trainer, weights = fresh(), []
    accuracies = iter([0.5, 0.9, 0.7])
    trainer.validation_accuracy = lambda: (next(accuracies), 1.0)

    class Keeper(silent):
        def on_epoch(self, trainer: Trainer) -> None:
            weights.append(trainer.session.weights())

    trainer.run(Keeper())
    assert trainer.progress.best_epoch == 1
    assert same(trainer.best_weights, weights[1])
    assert not same(trainer.best_weights, weights[2])


def test_without_validation_the_last_epoch_is_kept(
    fresh: Callable[..., Trainer], silent: type[Any], blob_data: Dataset
) -> None:
    everything = Split(np.arange(len(blob_data.y_train)), np.zeros(0, dtype=np.int64))
    trainer = fresh(split=everything)
    trainer.run(silent())
    assert trainer.n_images == len(blob_data.y_train)
    assert [epoch.val_accuracy for epoch in trainer.progress.history] == [None] * EPOCHS
    assert trainer.progress.best_epoch == EPOCHS - 1
    assert same(trainer.best_weights, trainer.session.weights())


def test_learning_curve_counts_what_happened(done: Trainer) -> None:
    history = done.progress.history
    assert [epoch.epoch for epoch in history] == [1, 2, 3]
    assert history[-1].train_accuracy > history[0].train_accuracy
    assert all(epoch.spikes_per_learning_image > (epoch.spikes_per_inference or 0) > 0 for epoch in history)
    assert Progress.from_json(asdict(done.progress)) == done.progress


def test_validation_images_are_never_learned(blob_data: Dataset, small_config: TrainConfig, silent: type[Any]) -> None:
    split = split_validation(blob_data.y_train, small_config.seed)
    images = blob_data.x_train.copy()
    images[split.validation] = 0
    weights = []
    for data in (blob_data, replace(blob_data, x_train=images)):
        trainer = make_trainer(data, small_config, Choices(1.4, 0.125, centred=True), split, EPOCHS)
        trainer.run(silent())
        weights.append(trainer.session.full_weights())
    assert same(*weights)
