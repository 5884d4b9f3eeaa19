from __future__ import annotations

import pytest

from neuro.data.readers.keys import choose, meaning_of

MEANINGS = {
    "x_train": ("x", "train"), "X_train": ("x", "train"), "xtrain": ("x", "train"), "XTrain": ("x", "train"),
    "train_images": ("x", "train"), "trainImages": ("x", "train"), "train/image": ("x", "train"),
    "TRAIN-DATA": ("x", "train"), "train_set_x": ("x", "train"), "training_inputs": ("x", "train"),
    "y_test": ("y", "test"), "testLabels": ("y", "test"), "test/label": ("y", "test"), "yte": ("y", "test"),
    "t10k_labels": ("y", "test"), "test_set_y": ("y", "test"), "test_fine_labels": ("y", "test"),
    "val_images": ("x", "val"), "validation/targets": ("y", "val"), "dev_y": ("y", "val"),
    "images": ("x", ""), "img": ("x", ""), "pixel_values": ("x", ""), "data": ("x", ""), "X": ("x", ""),
    "labels": ("y", ""), "target": ("y", ""), "species": ("y", ""), "image_labels": ("y", ""), "data_class": ("y", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", MEANINGS)
def test_usual_names_are_understood_in_any_case(name):
    for spelled in (name, name.upper() if "_" in name else name, name.lower() if "_" in name else name):
        meaning = meaning_of(spelled)
        assert meaning is not None
        assert ((meaning.role, meaning.split), meaning.rest) == (MEANINGS[name], ())


@pytest.mark.parametrize("name", ["weights", "train", "DESCR", "x_train_test", "mean", "offset", ""])
def test_other_names_mean_nothing(name):
    assert meaning_of(name) is None


def test_the_plainest_name_is_chosen():
    keys = choose(["data", "target", "feature_names", "target_names", "images"], "here").keys
    assert keys == {"x_train": "images", "y_train": "target"}
    assert choose(["mean_image", "x", "y", "y_std"], "here").keys == {"x_train": "x", "y_train": "y"}


@pytest.mark.parametrize(
    ("names", "test", "note"),
    [
        (["x_train", "y_train", "x_test", "y_test"], {"x_test": "x_test", "y_test": "y_test"}, ""),
        (["x_train", "y_train", "x_val", "y_val"], {"x_test": "x_val", "y_test": "y_val"}, "taken as the test part"),
        (["x_train", "y_train", "x_val", "y_val", "x_test", "y_test"], {"x_test": "x_test", "y_test": "y_test"},
         "validation part is not used"),
        (["x_train", "y_train", "x_test"], {}, "has no labels and is not used"),
        (["X", "y", "X_test", "y_test"], {"x_test": "X_test", "y_test": "y_test"}, ""),
        (["X", "y"], {}, ""),
    ],
)  # fmt: skip
def test_the_test_part_is_found_and_said(names, test, note):
    choice = choose(names, "here")
    assert {key: name for key, name in choice.keys.items() if key.endswith("test")} == test
    assert note in " ".join(choice.notes)
    assert bool(choice.notes) == bool(note)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a", "b"], "lacks x_train"),
        (["x_train", "b"], "lacks y_train"),
        (["x_train", "y_train", "y_test"], "lacks x_test"),
        (["left_image", "right_image", "label"], "both left_image and right_image"),
        ([], "it holds nothing"),
    ],
)
def test_what_is_missing_or_double_is_named(names, words, refused):
    with refused("here", words):
        choose(names, "here")
