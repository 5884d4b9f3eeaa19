"""What is done to a source is learned of its training part, said, written down, and done again."""

import json

import numpy as np
import pytest

from neuro.data.options import DataOptions
from neuro.data.preparation import IDENTITY, Preparation
from neuro.data.raw import RawData
from neuro.data.sets import prepare

GENERATOR = np.random.default_rng(3)
BYTES = GENERATOR.integers(0, 256, (50, 6, 5))
BYTES[0, 0, :2] = 0, 255
PLAIN = (BYTES / 255).astype(np.float32)
LABELS = np.arange(50) % 5


def raw(images, labels=LABELS, cut=40):
    return RawData("mine", images[:cut], labels[:cut], images[cut:], labels[cut:])


def auto(images, **options):
    return prepare(raw(images), DataOptions(**options))


IMAGES = {
    "int64 0..255": (BYTES, PLAIN, "data: int64 0..255 rescaled to 0..1 (divided by 255)"),
    "float 0..255": (BYTES * 1.0, PLAIN, "data: float64 0..255 rescaled to 0..1 (divided by 255)"),
    "float 0..16": (PLAIN * 16, PLAIN, "data: float32 0..16 rescaled to 0..1 (learned on training images)"),
    "mean 0": (PLAIN * 2 - 1, PLAIN, "data: float32 -1..1 rescaled to 0..1 (learned on training images)"),
    "16 bits": (BYTES.astype(np.uint16) * 257, PLAIN, "data: uint16 0..65535 rescaled to 0..1 (learned"),
    "booleans": (BYTES > 128, BYTES > 128, "data: bool 0..1 taken as 0 and 1"),
    "integers 0 and 1": (BYTES // 128, BYTES // 128, "data: int64 0..1 taken as 0 and 1"),
    "colours first": (
        np.repeat(BYTES[:, None], 3, 1), np.repeat(PLAIN[..., None], 3, 3),
        "data: images [n, 3, 6, 5] have their channels first; taken as [n, 6, 5, 3]",
    ),
    "one channel first": (PLAIN[:, None], PLAIN, "data: images [n, 1, 6, 5] have their channels first; taken as [n, 6"),
}  # fmt: skip


@pytest.mark.parametrize("case", IMAGES)
def test_images_in_any_units_become_the_same_pixels_and_it_is_said(case):
    images, expected, words = IMAGES[case]
    dataset = auto(images)
    assert dataset.x_train.dtype == np.float32
    np.testing.assert_allclose(dataset.x_train, expected[:40], atol=1e-6)
    np.testing.assert_allclose(dataset.x_test, expected[40:], atol=1e-6)
    assert f"data: {dataset.notes[0]}".startswith(words)


@pytest.mark.parametrize("images", [BYTES.astype(np.uint8), PLAIN, PLAIN.astype(float), PLAIN[..., None]])
def test_pixels_stay_as_they_are_and_manifests_say_nothing(images):
    dataset = auto(images)
    np.testing.assert_array_equal(dataset.x_train, images[:40].astype(dataset.x_train.dtype))
    assert dataset.notes == ()
    assert dataset.preparation.is_identity
    assert dataset.preparation.to_json() == {}


def test_rounding_is_not_outside():
    images = PLAIN.astype(float).copy()
    images[3, 2, 2] = 1.0000001
    for rescale in ("auto", "none"):
        dataset = auto(images, rescale=rescale)
        assert dataset.x_train[3, 2, 2] == 1.0
        assert dataset.preparation.is_identity


TABLE = GENERATOR.normal([1000.0, -3.0, 0.001], [300.0, 1.0, 0.0003], (50, 3))


def test_every_feature_of_a_table_has_its_own_range():
    dataset = auto(TABLE)
    low, high = TABLE[:40].min(axis=0), TABLE[:40].max(axis=0)
    np.testing.assert_allclose(dataset.x_train, (TABLE[:40] - low) / (high - low), atol=1e-6)
    assert dataset.preparation.by_feature
    assert dataset.notes[0].startswith("float64 -")
    assert "3 features, each rescaled to 0..1 (learned on training images)" in dataset.notes[0]


def test_standard_is_the_mean_and_three_deviations():
    dataset = auto(TABLE, rescale="standard")
    z = (TABLE - TABLE[:40].mean(axis=0)) / TABLE[:40].std(axis=0)
    np.testing.assert_allclose(dataset.x_test, np.clip((z[40:] + 3) / 6, 0, 1), atol=1e-6)
    z = (PLAIN - PLAIN[:40].mean()) / PLAIN[:40].std()
    np.testing.assert_allclose(auto(PLAIN, rescale="standard").x_test, (z[40:] + 3) / 6, atol=1e-6)


def test_columns_of_whole_numbers_are_the_pixels_of_one_image():
    flat = GENERATOR.integers(0, 17, (50, 64)).astype(float)
    dataset = auto(flat)
    np.testing.assert_allclose(dataset.x_train, flat[:40] / 16, atol=1e-6)
    assert not dataset.preparation.by_feature
    wide = BYTES.reshape(50, 30).repeat(3, 1)
    np.testing.assert_allclose(auto(wide).x_test * 255, wide[40:], atol=1e-4)


def test_constant_features_are_told():
    table = TABLE.copy()
    table[:40, 1] = 7.0
    dataset = auto(table)
    assert "1 of 3 features are constant in the training part and tell nothing" in dataset.notes
    assert not dataset.x_train[:, 1].any()


def test_test_values_outside_the_training_range_are_clipped_and_counted():
    images = PLAIN * 16
    images[45, 0, 0], images[46, 1, 1] = 16.5, -0.5
    dataset = auto(images)
    assert dataset.notes[1] == "2 of 300 test values lie outside the training range; clipped"
    assert (dataset.x_test[5, 0, 0], dataset.x_test[6, 1, 1]) == (1.0, 0.0)
    brighter = PLAIN.copy()
    brighter[45, 0, 0] = 1.01
    assert auto(brighter).notes == ("1 of 300 test values lie outside the training range; clipped",)


@pytest.mark.parametrize("images", [PLAIN * 16, PLAIN - 0.5, BYTES, BYTES > 3])
def test_none_refuses_what_is_no_pixel_and_says_what_would_do_it(images, refused):
    with refused("data mine: x_train", "--rescale minmax"):
        auto(images, rescale="none")
    assert auto(images, rescale="minmax").x_train.max() == 1.0


def test_data_that_teach_nothing_are_warned_of():
    assert "all training images are equal" in auto(np.ones((50, 4, 4))).notes[0]
    twice = PLAIN.copy()
    twice[41:44] = twice[:3]
    assert auto(twice).notes[0].startswith("3 of 10 test images are training images too")


def test_a_source_without_a_test_part_gets_a_fifth_of_every_class_by_the_seed():
    source = RawData("mine", PLAIN, LABELS)
    dataset = prepare(source, seed=4)
    assert np.bincount(dataset.y_test).tolist() == [2] * 5
    assert dataset.notes == ("no test part; 20% of every class drawn by seed 4: 10 images",)
    assert dataset.preparation.to_json() == {"test_share": 0.2}
    assert prepare(source, seed=4).sha256() == dataset.sha256() != prepare(source, seed=5).sha256()


SOURCES = {
    "table": RawData("mine", TABLE, np.array(["no", "yes"])[np.arange(50) % 2]),
    "colours first": RawData("mine", np.repeat(BYTES[:, None], 3, 1), LABELS + 1),
    "mean 0": raw(PLAIN * 2 - 1),
    "plain": raw(PLAIN),
    "zeros and ones": raw(BYTES // 128),
}


@pytest.mark.parametrize("case", SOURCES)
def test_a_preparation_is_written_down_and_done_again(case):
    source = SOURCES[case]
    learned = prepare(source, seed=2)
    again = Preparation.from_json(json.loads(json.dumps(learned.preparation.to_json())))
    assert again.to_json() == learned.preparation.to_json()
    assert prepare(source, seed=2, like=again).sha256() == learned.sha256()
    pixels, clipped = again.images(source.x_train[:7], learned.image_shape)
    everything = np.concatenate([learned.x_train, learned.x_test])
    assert clipped <= 3
    for image in pixels:
        assert (everything == image).reshape(len(everything), -1).all(axis=1).any()


def test_later_images_come_in_either_order_of_channels():
    colours = np.repeat(BYTES[:, None], 3, 1)
    preparation = auto(colours).preparation
    first, last = (preparation.images(i, (6, 5, 3))[0] for i in (colours, np.moveaxis(colours, 1, -1)))
    np.testing.assert_array_equal(first, last)


def test_later_images_of_another_shape_or_in_other_units_are_refused(refused):
    with refused("images: images of shape (4,), needed (3,)"):
        auto(TABLE).preparation.images(np.zeros((2, 4)), (3,))
    with refused("spans [0, 16]", "rescale it"):
        IDENTITY.images(PLAIN * 16, (6, 5))
    assert IDENTITY.images(BYTES, (6, 5))[0].dtype == np.uint8


def test_where_whole_numbers_are_0_and_1_none_is_ever_taken_for_a_byte(refused):
    ones = BYTES // 128
    twos = np.where(ones[40:] == 1, 2, 0)
    with refused("x_test spans [0, 2]", "rescale it"):
        prepare(RawData("mine", ones[:40], LABELS[:40], twos, LABELS[40:]))
    later, _ = auto(ones).preparation.images(ones[:3].astype(np.uint8), (6, 5))
    np.testing.assert_array_equal(later, ones[:3].astype(np.float32))


def test_applied_to_other_data_a_preparation_says_what_part_was_drawn_and_warns_of_nothing():
    again = np.concatenate([PLAIN[:25], PLAIN[:25]])
    like = auto(PLAIN).preparation
    (note,) = prepare(RawData("mine", again, LABELS), like=like).notes
    assert note.startswith("no test part; 20% of every class drawn by seed 0")
    warned = prepare(RawData("mine", again, LABELS)).notes[-1]
    assert "test images are training images too" in warned


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ([], "needs an object"), ({"rescaling": 3}, "rescaling"), ({"rescaling": {"low": 0.0}}, "rule"),
        ({"rescaling": {"rule": "x"}}, "low"),
        ({"rescaling": {"rule": "x", "low": 0.0, "high": float("nan"), "image_shape": [2]}}, "finite"),
        ({"rescaling": {"rule": "x", "low": [0.0], "high": [1.0], "image_shape": [2]}}, "shape"),
        ({"rescaling": {"rule": "x", "low": "a", "high": 1.0, "image_shape": [2]}}, "rescaling.low is text"),
        ({"classes": "ab"}, "classes"), ({"classes": [None]}, "classes"), ({"test_share": 2}, "test_share"),
        ({"channels": "middle"}, "channels"),
    ],
)  # fmt: skip
def test_edited_manifests_are_refused(fields, word, refused):
    with refused(word):
        Preparation.from_json(fields)
