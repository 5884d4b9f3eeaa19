"""Data as people have it: names, files, arrays, tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from neuro.base.errors import UserError
from neuro.data.sets import KEYS, OWN_DATA, load_dataset
from sim.face.data import dataset_of, keep_arrays


def test_names_files_and_data_sets_are_taken_as_they_are(blob_data):
    assert dataset_of("digits", 3).sha256() == load_dataset("digits", 3).sha256()
    assert dataset_of(blob_data) is blob_data
    assert dataset_of(Path(blob_data.source)).sha256() == blob_data.sha256()


def test_four_arrays_a_mapping_and_tensors_are_the_same_data(blobs):
    arrays = blobs()
    expected = dataset_of(tuple(arrays[key] for key in KEYS)).sha256()
    assert dataset_of(arrays).sha256() == expected
    assert dataset_of([torch.tensor(arrays[key]) for key in KEYS]).sha256() == expected
    assert dataset_of({key: arrays[key].tolist() for key in KEYS}).y_test.tolist() == arrays["y_test"].tolist()


def test_of_images_and_labels_a_fifth_of_every_class_is_for_testing(blobs):
    arrays = blobs(n=300)
    images, labels = arrays["x_train"], arrays["y_train"]
    data = dataset_of((images, labels), 1)
    assert np.bincount(data.y_test).tolist() == [20, 20, 20]
    assert len(data.y_train) == 240
    together = np.concatenate([data.x_train, data.x_test])
    assert np.array_equal(np.sort(together.reshape(300, -1), axis=0), np.sort(images.reshape(300, -1), axis=0))
    assert dataset_of((images, labels), 1).sha256() == data.sha256() != dataset_of((images, labels), 2).sha256()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((np.zeros((4, 2)),), "a sequence of 1; give"),
        (7, "give a name"),
        ({"x_train": np.zeros((4, 2))}, "lacks y_train"),
        ((np.zeros((4, 2)), np.zeros(3)), r"y_train has shape \(3,\), its images need \(4,\)"),
        ((np.full((40, 2), np.nan), np.arange(40) % 2), "x_train holds NaN"),
    ],
)
def test_what_is_no_data_is_refused(data, words):
    with pytest.raises(UserError, match=words):
        dataset_of(data)


def test_arrays_are_kept_beside_the_run_and_found_there(blobs, tmp_path):
    data = dataset_of(blobs())
    kept = keep_arrays(data, tmp_path)
    assert kept.source == OWN_DATA
    assert load_dataset(str(tmp_path / OWN_DATA)).sha256() == data.sha256()
    named = load_dataset("digits")
    assert keep_arrays(named, tmp_path / "no") is named
    assert not (tmp_path / "no").exists()
