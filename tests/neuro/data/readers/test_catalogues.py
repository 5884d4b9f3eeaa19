from __future__ import annotations

import sys
import types
from importlib.machinery import ModuleSpec

import numpy as np
import pytest
import torch
from PIL import Image
from shared_sources import images
from torchvision import datasets

from neuro.data.readers.named_sets import cache_folder
from neuro.data.sources import read_raw

DATA = images()


class ByFlag:
    """As MNIST: arrays, parts by `train`."""

    def __init__(self, root, train=True, download=False):
        assert download
        assert root == str(cache_folder() / "torchvision")
        print("Downloading")
        part = "train" if train else "test"
        self.data, self.targets = (torch.from_numpy(DATA[f"{role}_{part}"].copy()) for role in "xy")


class Variants(ByFlag):
    """As EMNIST: what it does not know it passes on."""

    def __init__(self, root, split, **kwargs):
        assert split == "letters"
        super().__init__(root, **kwargs)


class BySplit:
    """As SVHN: arrays, parts by name."""

    def __init__(self, root, split="train", transform=None, download=False):
        self.data, self.labels = DATA[f"x_{split}"], DATA[f"y_{split}"]


class Pictures:
    """As Oxford's pets: pictures one by one, a part called trainval."""

    def __init__(self, root, split="trainval", download=False):
        if split not in ("trainval", "test"):
            raise ValueError(f"unknown split {split}")
        part = split.removesuffix("val")
        self.samples = list(zip(DATA[f"x_{part}"], DATA[f"y_{part}"], strict=True))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        image, label = self.samples[index]
        return Image.fromarray(image), int(label)


class Offline:
    def __init__(self, root, train=True, download=False):
        raise OSError("no route to host\nno, none")


class Undivided:
    """As EuroSAT: no parts."""

    def __init__(self, root, download=False):
        self.data, self.targets = DATA["x_train"], DATA["y_train"].tolist()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    made = {"KMNIST": ByFlag, "EMNIST": Variants, "SVHN": BySplit, "OxfordIIITPet": Pictures, "USPS": Offline,
            "EuroSAT": Undivided}  # fmt: skip
    for name, kind in made.items():
        monkeypatch.setattr(datasets, name, kind)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("torchvision:KMNIST", "KMNIST"),
        ("Torchvision: kmnist", "KMNIST"),
        ("torchvision:EMNIST/letters", "EMNIST/letters"),
        ("torchvision:svhn", "SVHN"),
        ("torchvision:oxford-iiit-pet", "OxfordIIITPet"),
    ],
)
def test_data_sets_of_torchvision_are_read_whatever_they_call_their_parts(source, name, capsys):
    raw = read_raw(source)
    for key, expected in DATA.items():
        np.testing.assert_array_equal(getattr(raw, key), expected)
    assert raw.source == f"torchvision:{name}"
    assert read_raw(raw.source).name == raw.name
    assert capsys.readouterr().out == ""


def test_a_data_set_without_parts_has_no_test_part():
    raw = read_raw("torchvision:EuroSAT")
    np.testing.assert_array_equal(raw.x_train, DATA["x_train"])
    assert raw.x_test is None


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("torchvision:KMNITS", ("did you mean KMNIST",)),
        ("torchvision:", ("choose one of",)),
        ("torchvision:EMNIST", ("torchvision:EMNIST/letters",)),
        ("torchvision:KMNIST/letters", ("has no variant letters",)),
        ("torchvision:USPS", ("torchvision:USPS: cannot be had (no route to host)", "network")),
        ("torchvision:CocoDetection", ("cannot be had", "annFile")),
        ("sklearn:wien", ("did you mean wine",)),
        ("sklearn:diabetes", ("no classes", "wine")),
    ],
)
def test_what_cannot_be_had_is_refused_in_one_line(source, words, refused):
    with refused(*words):
        read_raw(source)


@pytest.mark.parametrize(
    ("name", "shape", "n_classes"),
    [("wine", (178, 13), 3), ("iris", (150, 4), 3), ("Breast-Cancer", (569, 30), 2), ("load_digits", (1797, 8, 8), 10)],
)
def test_toy_sets_of_scikit_learn_are_read_as_they_are(name, shape, n_classes):
    raw = read_raw(f"sklearn:{name}")
    assert (raw.x_train.shape, len(set(raw.y_train.tolist())), raw.x_test) == (shape, n_classes, None)


def test_a_download_of_scikit_learn_that_fails_is_told_in_one_line(monkeypatch, refused):
    def offline(data_home):
        raise OSError("no route to host")

    monkeypatch.setattr("sklearn.datasets.fetch_olivetti_faces", offline)
    with refused("sklearn:olivetti_faces", "no route to host"):
        read_raw("sklearn:olivetti_faces")


class Events:
    """As NMNIST of tonic."""

    sensor_size = (8, 8, 2)

    def __init__(self, save_to, train=True):
        assert save_to == str(cache_folder() / "tonic")
        self.n = 30 if train else 6

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        events = np.zeros(index + 1, [("x", int), ("y", int), ("t", int), ("p", int)])
        events["x"] = index % 3
        return events, index % 3


def test_event_data_of_tonic_are_counted(monkeypatch):
    tonic, catalogue = types.ModuleType("tonic"), types.ModuleType("tonic.datasets")
    tonic.__spec__, catalogue.NMNIST, tonic.datasets = ModuleSpec("tonic", None), Events, catalogue
    monkeypatch.setitem(sys.modules, "tonic", tonic)
    monkeypatch.setitem(sys.modules, "tonic.datasets", catalogue)
    raw = read_raw("tonic:nmnist")
    assert (raw.source, raw.x_train.shape, raw.x_test.shape) == ("tonic:NMNIST", (30, 8, 8, 2), (6, 8, 8, 2))
    assert raw.x_train.sum() == sum(range(1, 31))
    assert "8 x 8 pixels and 2 polarities" in raw.notes[0]


@pytest.mark.parametrize(
    ("source", "package", "extra"),
    [("tonic:NMNIST", "tonic", "events"), ("mine.h5", "h5py", "data"), ("mine.parquet", "pyarrow", "data")],
)
def test_a_missing_package_is_named_with_its_extra(source, package, extra, monkeypatch, refused, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "mine.h5").touch()
    (tmp_path / "mine.parquet").touch()
    monkeypatch.chdir(tmp_path)
    with refused(f"needs {package}", f'pip install "settle[{extra}]"'):
        read_raw(source)
