"""Every kind of source that the guide names is made, small, and trained from by one command or one call."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from shared_objects import OBJECTS, Recordings
from shared_sources import FILES, PARTS, flat_image_folder, images, npz

import settle
from neuro.data.source_kinds import KINDS, PAGE, guide

DATA = images()
QUICK = {"hidden": 8, "epochs": 2, "learning-rate": 1.4, "output-share": 0.125, "seed": 3}
WORDS = [word for name, value in QUICK.items() for word in (f"--{name}", value)]
CHANCE = 1 / 3


class Kmnist:
    """As torchvision's."""

    def __init__(self, root: str, train: bool, download: bool) -> None:
        self.data, self.targets = (DATA[f"{role}_{PARTS[not train]}"] for role in "xy")


class Nmnist(Recordings):
    """As tonic's."""

    def __init__(self, save_to: str, train: bool) -> None:
        super().__init__(DATA, PARTS[not train])


def named_set(folder: Path, patch: pytest.MonkeyPatch) -> str:
    npz(folder, DATA).rename(folder / "mnist.npz")
    patch.setenv("SETTLE_DATA", str(folder))
    return "MNIST"


def torchvision_set(folder: Path, patch: pytest.MonkeyPatch) -> str:
    patch.setattr("torchvision.datasets.KMNIST", Kmnist)
    return "torchvision:KMNIST"


def tonic_set(folder: Path, patch: pytest.MonkeyPatch) -> str:
    tonic, datasets = types.ModuleType("tonic"), types.ModuleType("tonic.datasets")
    tonic.__spec__ = ModuleSpec("tonic", None)
    patch.setattr(datasets, "NMNIST", Nmnist, raising=False)
    patch.setattr(tonic, "datasets", datasets, raising=False)
    patch.setitem(sys.modules, "tonic", tonic)
    patch.setitem(sys.modules, "tonic.datasets", datasets)
    return "tonic:NMNIST"


def file(kind: str) -> Callable[[Path, pytest.MonkeyPatch], Path]:
    return lambda folder, patch: FILES[kind](folder, DATA)


SOURCES: dict[str, Callable[[Path, pytest.MonkeyPatch], str | Path]] = {
    "digits": lambda folder, patch: "digits",
    "a named set": named_set,
    "torchvision": torchvision_set,
    "scikit-learn": lambda folder, patch: "sklearn:wine",
    "tonic": tonic_set,
    "images by class": file("png folder"),
    "images without parts": lambda folder, patch: flat_image_folder(folder, DATA),
    ".npz": file(".npz"),
    ".npz of medmnist": file(".npz of medmnist"),
    ".npy files": file(".npy file"),
    "folder of .npy": file(".npy folder"),
    ".csv": file(".csv"),
    ".csv of MNIST's form": file(".csv of MNIST's form"),
    ".csv.gz": file(".csv.gz"),
    ".tsv": file(".tsv"),
    ".txt, .data": file(".txt"),
    "parquet": file(".parquet"),
    "parquet of images": file(".parquet of images"),
    "Arrow": file(".arrow folder"),
    ".pt": file(".pt"),
    ".pth of a pair": file(".pth"),
    ".safetensors": file(".safetensors"),
    "HDF5": file(".h5"),
    ".mat": file(".mat"),
    ".mat of SVHN's form": file(".mat of SVHN's form"),
    ".mat 7.3": file(".mat 7.3"),
    "IDX": file("IDX file"),
    "folder of IDX": file("IDX folder, packed"),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_one_command_trains_from_every_kind_of_source(kind, command, tmp_path, monkeypatch):
    (tmp_path / "source").mkdir()
    source = SOURCES[kind](tmp_path / "source", monkeypatch)
    content = command("train", "ep", "--data", source, *WORDS, "--json").json
    assert content["test_accuracy"] > CHANCE
    assert content["n_test"] == {"digits": 359, "scikit-learn": 36, "images without parts": 12}.get(kind, 21)
    assert settle.load(content["run"]).evaluate(images=5).accuracy.n == 5  # its source is found again


@pytest.mark.parametrize("kind", OBJECTS)
def test_one_call_trains_from_every_kind_of_object(kind):
    options = {name.replace("-", "_"): value for name, value in QUICK.items()} | {"hidden": (8,)}
    run = settle.train(OBJECTS[kind](DATA), progress=False, **options)
    assert run.accuracy.n in (12, 21)
    assert run.accuracy.value > CHANCE


def test_every_row_of_the_guide_is_trained_from_and_stands_in_it():
    assert {kind.what for kind in KINDS} == SOURCES.keys() | OBJECTS.keys()
    assert len(KINDS) >= 25
    assert PAGE.read_text(encoding="utf-8") == guide(), "python -m neuro.data.source_kinds"
