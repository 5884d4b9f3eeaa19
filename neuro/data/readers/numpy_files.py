"""numpy's files: .npz archives by the names of their arrays, .npy files beside each other."""

from __future__ import annotations

from pathlib import Path

from neuro.base.arrays import Array
from neuro.base.errors import UserError
from neuro.base.files import parse_arrays, parse_npy, read_bytes
from neuro.data.jpeg import decode_jpeg_arrays
from neuro.data.raw import RawData
from neuro.data.readers.arrays import of_mapping, plain
from neuro.data.readers.keys import meaning_of


def read_npz(path: Path) -> RawData:
    """The data in an .npz archive, which is never unpickled; JPEG pictures in it (`neuro.data.jpeg`) are decoded."""
    arrays = parse_arrays(read_bytes(path), path)
    if "jpeg_train" in arrays:
        arrays = decode_jpeg_arrays(arrays, path)
    return of_mapping(path.stem, arrays, f"data file {path}", str(path.resolve()))


def read_npy(path: Path) -> RawData:
    """The data in .npy files in one folder; `path` is one of them, whose name the others share but for their part.

    Raises: UserError if it is alone, or its name says nothing.
    """
    meaning = meaning_of(path.stem)
    if meaning is None:
        raise UserError(
            f"data file {path}: its name says neither images nor labels; name them x_train.npy, y_train.npy"
        )
    return _of_folder(path.parent, path, path.stem, meaning.rest)


def read_npy_folder(folder: Path) -> RawData:
    """The data in the .npy files of a folder: x_train.npy, y_train.npy, perhaps x_test.npy, y_test.npy."""
    return _of_folder(folder, folder, folder.resolve().name, ())


def _of_folder(folder: Path, source: Path, name: str, prefer: tuple[str, ...]) -> RawData:
    files = {file.stem: file for file in sorted(folder.iterdir()) if file.suffix.lower() == ".npy"}
    place = f"folder {folder}"

    def read(file: Path, place: str) -> Array:
        return plain(parse_npy(read_bytes(file), file), place)

    return of_mapping(name, files, place, str(source.resolve()), read, prefer)
