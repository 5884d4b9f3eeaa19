import io

import h5py
import numpy as np
import pytest

from neuro.base.hdf5 import require_hdf5


def hdf5(fill):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


def test_a_plain_file_is_taken(monkeypatch, refused):
    content = hdf5(lambda file: file.create_dataset("a/b/c", data=np.zeros((10, 10))))
    require_hdf5(content, "x.h5")
    monkeypatch.setenv("SETTLE_MAX_BYTES", "799")
    with refused("x.h5: holds 800 bytes, the limit is 799 bytes"):
        require_hdf5(content, "x.h5")


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (lambda f: f.create_dataset("x", (2**40,), "u1", chunks=(64,)), "x.h5"),
        (lambda f: f.create_dataset("x", (2**27,), "u1", chunks=(64,)), "that declare 134 MB"),
        (lambda f: f.update({"x": h5py.SoftLink("/x")}), "'x' is a link"),
        (lambda f: f.update({"x": h5py.ExternalLink("/etc/passwd", "/")}), "'x' is a link"),
        (lambda f: f.create_group("/".join("g" * 70)), "64 groups within each other"),
        (lambda f: f.create_dataset("x", (3,), "u1", external=[("/etc/hostname", 0, 3)]), "lies in another file"),
    ],
)
def test_what_a_file_does_not_hold_is_refused(fill, words, refused):
    with refused("x.h5", words):
        require_hdf5(hdf5(fill), "x.h5")


def test_damage_is_one_line(refused):
    content = hdf5(lambda file: file.create_dataset("x", data=np.arange(100)))
    for part in (b"", b"hello", content[: len(content) // 2], content[8:]):
        with refused("x.h5", "no HDF5 file"):
            require_hdf5(part, "x.h5")
