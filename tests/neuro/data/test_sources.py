from __future__ import annotations

import os
import pickle
import struct
import warnings

import numpy as np
import pytest
import torch
from shared_sources import FILES, SIDE, images, npz

from neuro.base.errors import UserError
from neuro.data.sources import canonical, read_raw, stem_of


def test_homes_and_variables_are_expanded(tmp_path, monkeypatch):
    npz(tmp_path, images())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MY_DATA", str(tmp_path))
    for source in ("~/mine.npz", "$MY_DATA/mine.npz", "${MY_DATA}/mine.npz"):
        assert read_raw(source).source == str(tmp_path / "mine.npz")


@pytest.mark.parametrize(
    ("given", "name"),
    [("MNIST", "mnist"), ("Fashion_MNIST", "fashion-mnist"), ("FashionMNIST", "fashion-mnist"), ("CIFAR-10", "cifar10"),
     ("Digits", "digits"), ("kmnist", ""), ("mnist.npz", "")],
)  # fmt: skip
def test_named_sets_are_known_in_any_case(given, name):
    assert canonical(given) == name


def test_a_named_set_in_capitals_is_read(tmp_path, monkeypatch):
    npz(tmp_path, images()).rename(tmp_path / "mnist.npz")
    monkeypatch.setenv("SETTLE_DATA", str(tmp_path))
    raw = read_raw("MNIST")
    assert (raw.name, raw.source, raw.x_train.shape[1:]) == ("mnist", "mnist", (SIDE, SIDE))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("mnits", ("'mnits' is unknown", "did you mean mnist?", "torchvision:NAME")),
        ("mien.csv", ("cannot read mien.csv: no such file; did you mean mine.csv",)),
        ("empty", ("folder empty", "no images by class")),
        ("several", ("folder several", "a.csv, b.csv", "training part")),
        ("mine.zip", ("unpack it",)),
        ("mine.pkl", ("numpy.savez",)),
        ("mine.xlsx", (".csv",)),
        ("mine.what", ("cannot be read", ".npz")),
        ("pipe.csv", ("it is a pipe",)),
        ("x" * 300, ("too long",)),
        ("a\0b.csv", ("a?b.csv",)),
    ],
)
def test_what_is_no_source_is_refused_in_one_line(source, words, tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    for name in ("mine.csv", "mine.zip", "mine.pkl", "mine.xlsx", "mine.what", "several/a.csv", "several/b.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    with refused(*words):
        read_raw(source)


@pytest.mark.parametrize(
    ("source", "stem"),
    [("digits", "digits"), ("a/b.npz", "b"), ("torchvision:EMNIST/letters", "EMNIST-letters"), ("sklearn:wine", "wine"),
     ("photos/", "photos")],
)  # fmt: skip
def test_a_source_names_the_folder_of_its_run(source, stem):
    assert stem_of(source) == stem


def damaged(content, generator):
    """A content that was cut or changed somewhere."""
    if generator.integers(3) == 0:
        return content[: generator.integers(len(content))]
    changed = bytearray(content)
    for _ in range(generator.integers(1, 6)):
        changed[generator.integers(len(changed) if generator.integers(2) else min(len(changed), 400))] ^= 1 + int(
            generator.integers(255)
        )
    return bytes(changed)


def outcome(source):
    """What reading gives: True for data, or the line of the error."""
    try:
        return len(read_raw(str(source)).x_train) > 0
    except UserError as error:
        return str(error)


@pytest.mark.parametrize("kind", FILES)
def test_damaged_files_end_in_one_line_or_in_data(kind, tmp_path):
    source = FILES[kind](tmp_path, images(12, 6))
    files = [file for file in sorted(tmp_path.rglob("*")) if file.is_file()]
    generator = np.random.default_rng(len(kind))
    seen = []
    for _ in range(20):
        file = files[generator.integers(len(files))]
        content = file.read_bytes()
        file.write_bytes(damaged(content, generator))
        seen.append(outcome(source))
        file.write_bytes(content)
    lines = [line for line in seen if isinstance(line, str)]
    assert lines
    assert all(seen)
    assert not any("\n" in line for line in lines)
    assert len(read_raw(str(source)).x_train) == 12


class Trap:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("trapped",)


@pytest.mark.parametrize("ending", [".pt", ".pth", ".npy", ".npz", ".mat", ".h5", ".safetensors"])
def test_no_program_in_a_file_is_ever_run(ending, tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"x_train{ending}"
    torch.save({"x_train": Trap()}, tmp_path / "new")
    torch.save({"x_train": Trap()}, tmp_path / "old", _use_new_zipfile_serialization=False)
    for content in (pickle.dumps(Trap()), (tmp_path / "new").read_bytes(), (tmp_path / "old").read_bytes()):
        path.write_bytes(content)
        with refused("x_train"):
            read_raw(str(path))
    assert not (tmp_path / "trapped").exists()


def test_an_array_of_objects_is_refused(tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    for name in ("x_train", "y_train"):
        np.save(tmp_path / f"{name}.npy", np.array([Trap()]), allow_pickle=True)
    with refused("x_train.npy", "pickled objects"):
        read_raw(str(tmp_path / "x_train.npy"))


@pytest.mark.parametrize(
    ("descr", "shape"), [("'<U0'", "(3,)"), ("'<f8'", "(10**9, 4)"), ("'<f8'", "(-1,)"), ("'|u1", "(3,)")]
)
def test_an_npy_file_that_declares_what_it_does_not_hold_is_refused(descr, shape, tmp_path, refused):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    for name in ("x_train", "y_train"):
        content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(3)
        (tmp_path / f"{name}.npy").write_bytes(content)
    with refused("x_train.npy", "damaged"):
        read_raw(str(tmp_path / "x_train.npy"))
    assert not (tmp_path / "trapped").exists()


def test_objects_and_programs_of_torch_are_refused_with_the_remedy(tmp_path, refused):
    data = torch.utils.data.TensorDataset(torch.zeros(4, 2), torch.arange(4))
    torch.save(data, tmp_path / "mine.pt")
    with refused("mine.pt", "holds objects, e.g. a Dataset", "torch.save({"):
        read_raw(str(tmp_path / "mine.pt"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of newer torch; such files are about
        torch.jit.script(torch.nn.ReLU()).save(str(tmp_path / "mine.pt"))
    with refused("mine.pt", "a program (TorchScript)"):
        read_raw(str(tmp_path / "mine.pt"))
    torch.save(torch.zeros(3), tmp_path / "mine.pt")
    with refused("mine.pt", "one Tensor"):
        read_raw(str(tmp_path / "mine.pt"))


@pytest.mark.parametrize("kind", ["IDX folder, packed", ".mat", ".h5", ".parquet", "png folder", ".safetensors", ".pt"])
def test_more_than_may_be_read_is_refused_by_its_declared_size(kind, tmp_path, monkeypatch, refused):
    data = {name: np.zeros((400, *array.shape[1:]), array.dtype) for name, array in images().items()}
    data["y_train"], data["y_test"] = np.arange(400) % 3, np.arange(400) % 3
    source = FILES[kind](tmp_path, data)
    monkeypatch.setenv("SETTLE_MAX_BYTES", "20000")
    with refused("limit"):
        read_raw(str(source))
