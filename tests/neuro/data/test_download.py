import hashlib
import io
import sys
import tarfile
import urllib.error
from types import SimpleNamespace

import numpy as np
import pytest

from neuro.data import download
from neuro.data.download import CONTENT_SHA256, FETCH, content_hash, download_named
from neuro.data.sets import load_dataset


@pytest.fixture
def published() -> dict[str, np.ndarray]:
    """What the fake network publishes: 12 training and 4 test images of bytes."""
    generator = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 12), ("test", 4)):
        arrays[f"x_{split}"] = generator.integers(0, 256, (count, 5, 5), dtype=np.uint8)
        arrays[f"y_{split}"] = (np.arange(count) % 2).astype(np.uint8)
    return arrays


def fetch_fails(error):
    def fetch(_):
        raise error

    return fetch


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (urllib.error.URLError("no route to host"), ("download failed", "no route to host")),
        (RuntimeError("File not found or corrupted.\nTry again"), ("download failed", "not found or corrupted")),
        (TimeoutError(), ("download failed", "TimeoutError")),
        (ImportError("No module named 'torchvision'"), ("torchvision", "install it")),
    ],
)
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_a_failed_download_says_what_to_do_and_leaves_nothing(name, error, words, tmp_path, monkeypatch, refused):
    monkeypatch.setitem(FETCH, name, fetch_fails(error))
    with refused(name, *words, f"put {name}.npz into a folder and set SETTLE_DATA"):
        download_named(name, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_download_that_is_not_the_published_one_is_refused(published, tmp_path, monkeypatch, refused):
    monkeypatch.setitem(FETCH, "mnist", lambda _: published)
    with refused("mnist", "differs from the published", "SETTLE_DATA"):
        download_named("mnist", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_download_is_kept_and_not_repeated(published, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SETTLE_DATA", raising=False)
    monkeypatch.setitem(CONTENT_SHA256, "mnist", content_hash(published))
    monkeypatch.setitem(FETCH, "mnist", lambda _: published)
    first = load_dataset("mnist")
    monkeypatch.setitem(FETCH, "mnist", fetch_fails(AssertionError("downloaded twice")))
    assert load_dataset("mnist").sha256() == first.sha256()
    np.testing.assert_array_equal(first.x_train, published["x_train"])
    kept = sorted((tmp_path / ".cache" / "settle").iterdir())
    assert [path.name for path in kept] == ["mnist.npz", "mnist.npz.sha256"]


def test_a_download_that_changed_since_is_refused(published, tmp_path, monkeypatch, refused):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SETTLE_DATA", raising=False)
    monkeypatch.setitem(CONTENT_SHA256, "mnist", content_hash(published))
    monkeypatch.setitem(FETCH, "mnist", lambda _: published)
    load_dataset("mnist")
    np.savez(tmp_path / ".cache" / "settle" / "mnist.npz", **{**published, "y_test": 1 - published["y_test"]})
    with refused("mnist", "changed since its download"):
        load_dataset("mnist")


def test_content_hash_is_the_sha256_of_the_four_arrays_in_order(published):
    content = b"".join(published[key].tobytes() for key in ("x_train", "y_train", "x_test", "y_test"))
    assert content_hash(dict(reversed(published.items()))) == hashlib.sha256(content).hexdigest()
    published["x_test"][0, 0, 0] ^= 1
    assert content_hash(published) != hashlib.sha256(content).hexdigest()


def test_without_torchvision_the_message_says_so(tmp_path, monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with refused("mnist", "torchvision", "install it"):
        download_named("mnist", tmp_path)


@pytest.mark.parametrize(("name", "class_name"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_each_split_comes_from_the_class_of_that_name(name, class_name, published, tmp_path, monkeypatch):
    def fake(root, train, download):
        assert download
        assert root.startswith(str(tmp_path))
        split = "train" if train else "test"
        images, labels = (published[f"{letter}_{split}"].astype(np.int64) for letter in "xy")
        return SimpleNamespace(
            data=SimpleNamespace(numpy=lambda: images), targets=SimpleNamespace(numpy=lambda: labels)
        )

    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(datasets=SimpleNamespace(**{class_name: fake})))
    monkeypatch.setitem(CONTENT_SHA256, name, content_hash(published))
    with np.load(download_named(name, tmp_path)) as stored:
        for key, array in published.items():
            np.testing.assert_array_equal(stored[key], array)


def test_cifar10_records_become_images_with_colours_last(tmp_path, monkeypatch):
    generator = np.random.default_rng(2)
    images = generator.integers(0, 256, (14, 32, 32, 3), dtype=np.uint8)
    labels = (np.arange(14) % 10).astype(np.uint8)
    parts = {"data_batch_1.bin": slice(0, 6), "data_batch_2.bin": slice(6, 12), "test_batch.bin": slice(12, 14)}

    def fake_download(url, root, filename, md5):
        assert (url, md5) == (download.CIFAR10_URL, download.CIFAR10_MD5)
        with tarfile.open(f"{root}/{filename}", "w:gz") as archive:
            for name, part in reversed([*parts.items(), ("readme.html", None)]):
                records = b"about" if part is None else b"".join(map(record, labels[part], images[part]))
                info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
                info.size = len(records)
                archive.addfile(info, io.BytesIO(records))

    def record(label, image):
        return bytes([label]) + b"".join(image[:, :, colour].tobytes() for colour in range(3))

    for module in ("torchvision", "torchvision.datasets"):
        monkeypatch.setitem(sys.modules, module, SimpleNamespace())
    monkeypatch.setitem(sys.modules, "torchvision.datasets.utils", SimpleNamespace(download_url=fake_download))
    with np.load(download_named("cifar10", tmp_path)) as stored:
        np.testing.assert_array_equal(stored["x_train"], images[:12])
        np.testing.assert_array_equal(stored["x_test"], images[12:])
        np.testing.assert_array_equal(stored["y_train"], labels[:12])
        np.testing.assert_array_equal(stored["y_test"], labels[12:])
