from __future__ import annotations

import pytest

from neuro.data.sources import read_raw


def test_numbers_of_another_file_are_no_part_of_this_one(tmp_path, refused):
    h5py = pytest.importorskip("h5py")
    (tmp_path / "secret").write_bytes(bytes(60 * 16))
    with h5py.File(tmp_path / "mine.h5", "w") as file:
        file.create_dataset("x_train", (60, 16), "u1", external=[(str(tmp_path / "secret"), 0, 60 * 16)])
        file["y_train"] = [k % 2 for k in range(60)]
    with refused("mine.h5", "images"):
        read_raw(str(tmp_path / "mine.h5"))
