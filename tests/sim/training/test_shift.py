"""Shifted training images: what is encoded and then moved is what is moved and then encoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError
from neuro.data.sets import Dataset, split_validation
from neuro.front_ends.pixels import PixelEncoder
from sim.training.config import TrainConfig
from sim.training.recipe import make_trainer
from sim.training.shift import Shift, check_shift, shift_of
from sim.training.trainer import Choices, Trainer

SHAPES = st.sampled_from([(4, 5), (3, 3, 1), (5, 4, 3)])


def shifted(image: npt.NDArray[np.uint8], down: int, right: int) -> npt.NDArray[np.uint8]:
    """The oracle: pixel by pixel, black where nothing was."""
    result = np.zeros_like(image)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            if 0 <= y - down < image.shape[0] and 0 <= x - right < image.shape[1]:
                result[y, x] = image[y - down, x - right]
    return result


def shift_for(reach: int, shape: tuple[int, ...], encoder: PixelEncoder) -> Shift:
    shift = shift_of(reach, shape, encoder)
    assert shift is not None
    return shift


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), SHAPES, st.integers(1, 2), st.booleans(), st.integers(0, 3))
def test_encoding_and_moving_commute(
    seed: int, shape: tuple[int, ...], reach: int, centred: bool, gain_bits: int
) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (6, *shape)).astype(np.uint8)
    encoder = PixelEncoder(gain_bits=gain_bits)
    encoder = encoder.centred_on(images) if centred else encoder
    shift = shift_for(reach, shape, encoder)
    by = shift.drawn(seed, 0, len(images))
    moved = np.stack([shifted(image, *each) for image, each in zip(images, by, strict=True)])
    np.testing.assert_array_equal(shift.moved(encoder.encode(images), by), encoder.encode(moved))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), SHAPES, st.integers(0, 1), st.booleans())
def test_presented_images_are_mirrored_then_moved(seed: int, shape: tuple[int, ...], reach: int, centred: bool) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (9, *shape)).astype(np.uint8)
    encoder = PixelEncoder(gain_bits=1)
    encoder = encoder.centred_on(images) if centred else encoder
    shift = shift_of(reach, shape, encoder, flip=True)
    assert shift is not None
    flipped, by = shift.flipped(seed, 1, 9), shift.drawn(seed, 1, 9)
    wanted = np.stack([
        shifted(image[:, ::-1] if mirror else image, *each)
        for image, mirror, each in zip(images, flipped, by, strict=True)
    ])  # fmt: skip
    parts = [shift.presented(encoder.encode(images[at : at + 4]), seed, 1, at, 9) for at in (0, 4, 8)]
    np.testing.assert_array_equal(np.concatenate(parts), encoder.encode(wanted))


def test_half_of_the_images_are_mirrored_and_shifts_stay_what_they_were() -> None:
    both, alone = shift_of(1, (8, 8), PixelEncoder(), flip=True), shift_of(1, (8, 8), PixelEncoder())
    assert both is not None
    assert alone is not None
    np.testing.assert_array_equal(both.drawn(3, 1, 50), alone.drawn(3, 1, 50))
    assert 900 < np.count_nonzero(both.flipped(0, 0, 2000)) < 1100


@pytest.mark.parametrize("changes", [{"family": "stock", "rule": "R5"}, {"front_end": "ab"}, {"code_bits": 7}])
def test_mirroring_is_for_plain_images(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="flip: "):
        TrainConfig(flip=True, **changes)
    with pytest.raises(UserError, match="flip: images of shape"):
        check_shift(0, (64,), flip=True)


def test_every_shift_within_reach_is_drawn_and_no_other() -> None:
    by = shift_for(2, (8, 8), PixelEncoder()).drawn(0, 0, 2000)
    assert {tuple(each) for each in by} == {(y, x) for y in range(-2, 3) for x in range(-2, 3)}


def test_epochs_and_seeds_shift_differently() -> None:
    shift = shift_for(1, (8, 8), PixelEncoder())
    drawn = [shift.drawn(seed, epoch, 50).tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert all(drawn[i] != drawn[j] for i in range(4) for j in range(i))
    assert drawn[0] == shift.drawn(0, 0, 50).tolist()


@pytest.mark.parametrize(("reach", "shape"), [(1, (64,)), (8, (8, 9)), (-1, (8, 8))])
def test_what_cannot_be_shifted_is_refused(reach: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=f"shift {reach}"):
        check_shift(reach, shape)


@pytest.mark.parametrize("changes", [{"family": "stock", "rule": "R5"}, {"front_end": "ab", "centred": False}])
def test_shifts_are_for_plain_images(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="shift 1"):
        TrainConfig(shift=1, **changes)


def test_chunks_do_not_matter_and_validation_images_stay(blob_data: Dataset, silent: type[Any]) -> None:
    split = split_validation(blob_data.y_train, 0)

    def trained(shift: int, chunk: int) -> Trainer:
        trainer = make_trainer(blob_data, TrainConfig(hidden=(8,), threads=1, shift=shift), Choices(), split, 2)
        trainer.chunk = chunk
        trainer.run(silent())
        return trainer

    plain, whole, parts = trained(0, 500), trained(1, 500), trained(1, 33)
    assert [e.train_accuracy for e in whole.progress.history] == [e.train_accuracy for e in parts.progress.history]
    for name, weights in whole.session.full_weights().items():
        np.testing.assert_array_equal(weights, parts.session.full_weights()[name])
    assert any(
        not np.array_equal(weights, plain.session.weights()[name]) for name, weights in whole.session.weights().items()
    )
    np.testing.assert_array_equal(whole.data.payloads, plain.data.payloads)


def test_a_run_says_that_its_images_were_shifted(blob_data: Dataset, train: Callable[..., Any], tmp_path: Path) -> None:
    config = TrainConfig(hidden=(16,), epochs=4, learning_rate=1.4, output_share=0.125, threads=1, shift=1, refit=False)
    result = train(blob_data, config, tmp_path / "run")
    assert result.val_accuracy.value > 0.5  # chance is 0.33
    assert load_artifact(result.folder).manifest["config"]["shift"] == 1
    for other in (0, 2):
        with pytest.raises(UserError, match=f"shift 1, asked for {other}"):
            train(blob_data, replace(config, shift=other), tmp_path / "run", resume=True)
