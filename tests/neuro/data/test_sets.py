import io
import urllib.error

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.data import download
from neuro.data.preparation import stratified_sample
from neuro.data.readers.named_sets import cache_folder
from neuro.data.sets import checked_dataset, load_dataset, split_validation
from neuro.data.sources import NAMED

law = settings(max_examples=50, deadline=None)
labels_of = st.lists(st.integers(0, 9), min_size=20, max_size=300).map(lambda x: np.array(x, dtype=np.int32))


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home folder without SETTLE_DATA, and a network that is not there."""

    def offline(_):
        raise urllib.error.URLError("no route to host")

    monkeypatch.delenv("SETTLE_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in download.FETCH:
        monkeypatch.setitem(download.FETCH, name, offline)
    return tmp_path / "home"


def with_value(array, value):
    changed = array.copy()
    changed.flat[-1] = value
    return changed


BAD = {
    "images without an axis": ({"x_train": lambda x: x[:, 0, 0]}, ("x_train", "[n, d]")),
    "no test images": ({"x_test": lambda x: x[:0], "y_test": lambda y: y[:0]}, ("x_test", "n >= 1")),
    "images without pixels": ({"x_train": lambda x: x[:, :, :0]}, ("x_train", "shape (24, 2, 0)")),
    "too few images": ({"x_train": lambda x: x[:9], "y_train": lambda y: y[:9]}, ("9 training images", "10")),
    "test images of another shape": ({"x_test": lambda x: x.swapaxes(1, 2)}, ("(2, 3)", "(3, 2)", "equal")),
    "text": ({"x_test": lambda x: x.astype(str)}, ("x_test", "uint8")),
    "dates": ({"x_train": lambda x: x.astype("timedelta64[s]")}, ("x_train", "timedelta64", "give numbers")),
    "complex numbers": ({"x_train": lambda x: x + 1j}, ("x_train", "complex64", "give numbers")),
    "NaN": ({"x_train": lambda x: with_value(x, np.nan)}, ("x_train", "NaN")),
    "infinity": ({"x_test": lambda x: with_value(x, np.inf)}, ("x_test", "infinity")),
    "test images in other units": ({"x_test": lambda x: x * 16}, ("x_test", "[0, 1]", "--rescale minmax")),
    "labels of another count": ({"y_train": lambda y: y[:-1]}, ("y_train", "(23,)", "(24,)")),
    "probabilities as labels": ({"y_train": lambda y: np.full((24, 3), 1 / 3)}, ("y_train", "(24, 3)", "one-hot")),
    "a row without a one": ({"y_train": lambda y: np.eye(4, 3, dtype=int)[y + 1]}, ("y_train", "without a 1")),
    "real labels": ({"y_train": lambda y: y + 0.5}, ("y_train", "0.5", "whole number")),
    "labels that are missing": ({"y_train": lambda y: y * np.nan}, ("y_train", "NaN")),
    "boolean labels": ({"y_test": lambda y: y > 0}, ("y_test", "bool", "integers")),
    "durations as labels": ({"y_train": lambda y: y.astype("timedelta64[s]")}, ("y_train", "timedelta64", "or text")),
    "complex labels": ({"y_train": lambda y: y + 1j}, ("y_train", "complex128", "give numbers or text")),
    "text that training lacks": (
        {"y_train": lambda y: np.array(["a", "b", "c"])[y], "y_test": lambda y: np.array(["a", "b", "d"])[y]},
        ("y_test", "'d'", "'a', 'b', 'c'"),
    ),
    "huge label": ({"y_test": lambda y: with_value(y, 4096)}, ("y_test", "0..4096", "renumber")),
    "label absent from training": ({"y_test": lambda y: with_value(y, 3)}, ("y_test", "label 3", "0..2")),
    "one class": ({"y_train": lambda y: y * 0, "y_test": lambda y: y * 0}, ("y_train", "one class")),
}


@pytest.mark.parametrize("case", BAD)
def test_unusable_arrays_are_refused(case, raw_data, tmp_path, refused):
    changes, words = BAD[case]
    arrays = {key: changes[key](array) if key in changes else array for key, array in raw_data.items()}
    np.savez(tmp_path / "mine.npz", **arrays)
    with refused("mine", *words):
        load_dataset(str(tmp_path / "mine.npz"))


@pytest.mark.parametrize("missing", ["x_train", "y_train", "x_test"])
def test_a_missing_array_is_named(missing, raw_data, tmp_path, refused):
    np.savez(tmp_path / "mine.npz", **{key: array for key, array in raw_data.items() if key != missing})
    with refused("mine.npz", f"lacks {missing}"):
        load_dataset(str(tmp_path / "mine.npz"))


def test_a_file_with_pickled_objects_is_refused(raw_data, tmp_path, refused):
    np.savez(tmp_path / "mine.npz", **{**raw_data, "y_test": raw_data["y_test"].astype(object)})
    with refused("mine.npz", "pickled objects"):
        load_dataset(str(tmp_path / "mine.npz"))


@pytest.mark.parametrize("content", [b"", b"label,pixel\n1,0\n", b"PK\x03\x04 no archive"])
def test_a_file_that_is_no_archive_is_refused(content, tmp_path, refused):
    (tmp_path / "mine.npz").write_bytes(content)
    with refused("mine.npz", "save plain arrays"):
        load_dataset(str(tmp_path / "mine.npz"))


def test_a_truncated_file_is_refused_wherever_it_ends(raw_data, tmp_path, refused):
    buffer = io.BytesIO()
    np.savez(buffer, **raw_data)
    content = buffer.getvalue()
    for length in range(0, len(content), 37):
        (tmp_path / "mine.npz").write_bytes(content[:length])
        with refused("mine.npz", "damaged"):
            load_dataset(str(tmp_path / "mine.npz"))


@pytest.mark.parametrize("name", ["minst", "", "no/such/folder"])
def test_an_unknown_name_is_refused_with_the_known_ones(name, home, refused):
    with refused(repr(name), *NAMED.values(), ".npz"):
        load_dataset(name)


def test_a_missing_file_is_refused(tmp_path, refused):
    with refused("none.npz"):
        load_dataset(str(tmp_path / "none.npz"))


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_a_named_set_that_is_nowhere_and_no_network_is_refused(name, home, refused):
    with refused(name, "download failed", "no route to host", "SETTLE_DATA"):
        load_dataset(name)


def test_settle_data_comes_before_the_cache_and_both_before_the_network(raw_data, home, tmp_path, monkeypatch):
    cache_folder().mkdir(parents=True)
    assert cache_folder().is_relative_to(home)
    np.savez(cache_folder() / "mnist.npz", **raw_data)
    cached = load_dataset("mnist")
    monkeypatch.setenv("SETTLE_DATA", str(tmp_path))
    assert load_dataset("mnist").sha256() == cached.sha256()
    np.savez(tmp_path / "mnist.npz", **{**raw_data, "x_test": raw_data["x_test"] / 2})
    own = load_dataset("mnist")
    assert own.sha256() != cached.sha256()
    assert (own.name, own.source) == (cached.name, cached.source) == ("mnist", "mnist")


def test_a_damaged_file_in_the_cache_is_refused(raw_data, home, refused):
    cache_folder().mkdir(parents=True)
    buffer = io.BytesIO()
    np.savez(buffer, **raw_data)
    content = bytearray(buffer.getvalue())
    content[content.index(raw_data["x_train"].tobytes()) + 5] ^= 1
    (cache_folder() / "mnist.npz").write_bytes(content)
    with refused("mnist.npz", "damaged"):
        load_dataset("mnist")


def test_a_file_is_read_as_it_was_written(raw_data, tmp_path):
    for name, save in (("plain", np.savez), ("small", np.savez_compressed)):
        save(tmp_path / f"{name}.npz", **raw_data)
        dataset = load_dataset(str(tmp_path / f"{name}.npz"))
        for key, array in raw_data.items():
            np.testing.assert_array_equal(getattr(dataset, key), array)
        assert (dataset.name, dataset.image_shape, dataset.n_classes) == (name, (2, 3), 3)
        assert dataset.sha256() == load_dataset(dataset.source).sha256()


def test_images_become_bytes_or_float32_and_labels_int32(raw_data):
    arrays = dict(raw_data)
    assert checked_dataset("mine", **arrays).x_train.dtype == np.float32
    as_bytes = {key: (a * 255).astype(np.uint8) if key[0] == "x" else a.astype(np.uint8) for key, a in arrays.items()}
    dataset = checked_dataset("mine", **as_bytes)
    assert (dataset.x_train.dtype, dataset.y_train.dtype) == (np.uint8, np.int32)
    wide = checked_dataset("mine", **{key: a.astype(float) if key[0] == "x" else a for key, a in arrays.items()})
    assert wide.sha256() == checked_dataset("other", **arrays).sha256()


def test_the_hash_changes_with_every_array_its_type_and_its_shape(raw_data):
    hashes = {checked_dataset("mine", **raw_data).sha256()}
    for key in raw_data:
        hashes.add(checked_dataset("mine", **{**raw_data, key: raw_data[key][::-1]}).sha256())
    black = {key: a * 0 if key[0] == "x" else a for key, a in raw_data.items()}
    hashes.add(checked_dataset("mine", **black).sha256())
    hashes.add(checked_dataset("mine", **{k: a.astype(np.uint8) for k, a in black.items()}).sha256())
    flat = {key: a.reshape(len(a), -1) if key[0] == "x" else a for key, a in raw_data.items()}
    hashes.add(checked_dataset("mine", **flat).sha256())
    assert len(hashes) == 1 + len(raw_data) + 3


def test_digits_need_nothing_from_outside_and_split_by_seed(home):
    first, again, other = load_dataset("digits", 4), load_dataset("digits", 4), load_dataset("digits", 5)
    assert first.sha256() == again.sha256() != other.sha256()
    assert (first.image_shape, first.n_classes) == ((8, 8), 10)
    assert len(first.x_test) == pytest.approx(0.2 * 1797, abs=5)  # half an image per class
    whole = [np.concatenate([d.x_train, d.x_test]).reshape(1797, -1) for d in (first, other)]
    np.testing.assert_array_equal(*(images[np.lexsort(images.T)] for images in whole))


@law
@given(labels_of, st.integers(0, 2**32), st.floats(0.05, 0.5))
def test_a_split_uses_every_image_once_and_every_class_by_its_share(labels, seed, share):
    split = split_validation(labels, seed, share)
    assert sorted([*split.train, *split.validation]) == list(range(len(labels)))
    assert len(split.validation) >= 1
    assert np.all(np.diff(split.validation) > 0)
    if len(split.validation) > 1:
        for label in range(10):
            wanted = share * np.count_nonzero(labels == label)
            assert abs(np.count_nonzero(labels[split.validation] == label) - wanted) <= 0.5
    again = split_validation(labels, seed, share)
    np.testing.assert_array_equal(split.validation, again.validation)


@law
@given(st.integers(1, 40), st.integers(2, 6), st.integers(0, 99))
def test_the_limit_bounds_the_validation_images_of_equal_classes(per_class, n_classes, seed):
    labels = np.repeat(np.arange(n_classes, dtype=np.int32), 50)
    split = split_validation(labels, seed, share=1.0, limit=per_class * n_classes)
    assert np.bincount(labels[split.validation]).tolist() == [per_class] * n_classes


def test_samples_differ_by_seed_and_spread_over_the_class():
    labels = np.zeros(1000, dtype=np.int32)
    samples = [stratified_sample(labels, 0.1, np.random.default_rng(seed)) for seed in range(2)]
    assert not np.array_equal(*samples)
    for sample in samples:
        assert 400 < sample.mean() < 600  # the mean of 100 of 0..999 has a standard deviation of 27
