"""Folders: what lies in one says which reader takes it."""

from __future__ import annotations

from pathlib import Path

from neuro.base.errors import UserError
from neuro.base.late import named
from neuro.data.raw import RawData
from neuro.data.readers.idx import find_sets
from neuro.data.readers.keys import listed
from neuro.data.readers.parts import split_in

BY_ENDING = {
    ".npy": "neuro.data.readers.numpy_files:read_npy_folder",
    ".parquet": "neuro.data.readers.parquet:read_parquet_folder",
    ".arrow": "neuro.data.readers.parquet:read_parquet_folder",
}
OF_FILES = (".csv", ".tsv", ".pt", ".pth", ".mat", ".h5", ".hdf5", ".npz", ".safetensors", ".gz")


def read_folder(folder: Path) -> RawData:
    """The data in a folder: IDX files, .npy files, parquet files, or images by class.

    Raises: UserError if it holds none of these; one that holds a single other file says which to give.
    """
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise UserError(f"cannot read folder {folder}: {error.strerror}") from error
    files = [entry for entry in entries if entry.is_file()]
    if find_sets(folder):
        return _read("neuro.data.readers.idx:read_idx_folder", folder)
    for inner in (entries, [e for d in entries if d.is_dir() and split_or_data(d) for e in sorted(d.iterdir())]):
        for ending, reader in BY_ENDING.items():
            if any(entry.suffix.lower() == ending for entry in inner):
                return _read(reader, folder)
    usable = [file.name for file in files if file.suffix.lower() in OF_FILES]
    if usable:
        raise UserError(f"folder {folder}: holds {listed(usable)}; give the file with the training part")
    return _read("neuro.data.readers.image_folder:read_image_folder", folder)


def split_or_data(folder: Path) -> bool:
    """Whether a folder is a part of a data set, as Hugging Face lays them out: train, test, data."""
    return folder.name == "data" or split_in(folder.name) is not None


def _read(reader: str, folder: Path) -> RawData:
    data: RawData = named(reader)(folder)
    return data
