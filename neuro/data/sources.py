"""The table of sources: what a source looks like says who reads it. A reader gives data as they are found.

read_raw("digits"), read_raw("~/photos"), read_raw("train.csv"), read_raw("torchvision:KMNIST")
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from neuro.base.errors import UserError
from neuro.base.files import is_file, require_regular, shown
from neuro.base.late import named
from neuro.data.raw import RawData

NAMED = {"digits": "digits", "mnist": "mnist", "fashionmnist": "fashion-mnist", "cifar10": "cifar10"}
PACKAGES = {
    "torchvision": "neuro.data.readers.torchvision_sets:read_torchvision",
    "sklearn": "neuro.data.readers.sklearn_sets:read_sklearn",
    "tonic": "neuro.data.readers.tonic_sets:read_tonic",
}
TEXT_TABLE = "neuro.data.readers.text_tables:read_table"
TORCH = "neuro.data.readers.torch_files:read_torch"
HDF5 = "neuro.data.readers.hdf5:read_hdf5"
ENDINGS = {
    ".npz": "neuro.data.readers.numpy_files:read_npz",
    ".npy": "neuro.data.readers.numpy_files:read_npy",
    ".csv": TEXT_TABLE, ".tsv": TEXT_TABLE, ".txt": TEXT_TABLE, ".data": TEXT_TABLE, ".csv.gz": TEXT_TABLE,
    ".tsv.gz": TEXT_TABLE,
    ".parquet": "neuro.data.readers.parquet:read_parquet",
    ".arrow": "neuro.data.readers.parquet:read_parquet",
    ".pt": TORCH, ".pth": TORCH,
    ".safetensors": "neuro.data.readers.safetensors:read_safetensors",
    ".h5": HDF5, ".hdf5": HDF5, ".he5": HDF5,
    ".mat": "neuro.data.readers.matlab:read_mat",
    "-ubyte": "neuro.data.readers.idx:read_idx",
    "-ubyte.gz": "neuro.data.readers.idx:read_idx",
}  # fmt: skip
FOLDER = "neuro.data.readers.folders:read_folder"
REMEDIES = {
    ".pkl": "pickled objects can run programs; save the arrays with numpy.savez",
    ".pickle": "pickled objects can run programs; save the arrays with numpy.savez",
    ".joblib": "pickled objects can run programs; save the arrays with numpy.savez",
    ".zip": "unpack it and give the folder",
    ".tar": "unpack it and give the folder",
    ".gz": "unpack it and give what it holds",
    ".tgz": "unpack it and give the folder",
    ".xlsx": "save the sheet as .csv",
    ".xls": "save the sheet as .csv",
    ".json": "save the table as .csv, or the arrays with numpy.savez",
    ".png": "give the folder that holds the folders of the classes",
    ".jpg": "give the folder that holds the folders of the classes",
}
KINDS_IN_SHORT = (
    f"{', '.join(NAMED.values())}, a file (.npz, .npy, .csv, .tsv, .parquet, .pt, .safetensors, .h5, .mat, IDX), a "
    "folder of images by class or of such files, torchvision:NAME, sklearn:NAME, or tonic:NAME"
)


def read_raw(source: str) -> RawData:
    """What the source called `source` holds, as it is there: a name, a file or a folder; ~ and $NAMES are expanded.

    Raises: UserError if it is unknown, unusable, or a download impossible.
    """
    name = canonical(source)
    if name:
        return _read("neuro.data.readers.named_sets:read_named", name)
    package = source.partition(":")[0].strip().lower()
    if ":" in source and package in PACKAGES:
        return _read(PACKAGES[package], f"{package}:{source.partition(':')[2].strip()}")
    path = Path(os.path.expandvars(os.path.expanduser(source)))
    is_there = is_file(path) or path.is_dir() or path.exists()  # a name too long is refused by the first
    if not source.strip() or not is_there:
        raise _unknown(source, path)
    if path.is_dir():
        return _read(FOLDER, path)
    require_regular(path)
    reader = reader_of(path)
    if reader is None:
        remedy = next((text for ending, text in REMEDIES.items() if path.name.lower().endswith(ending)), "")
        raise UserError(f"data file {shown(path)}: cannot be read; {remedy or f'give {KINDS_IN_SHORT}'}")
    return _read(reader, path)


def canonical(source: str) -> str:
    """The name of a named set, in whatever case and with whatever hyphens it was given; "" for anything else."""
    return NAMED.get(re.sub(r"[-_ ]", "", source.lower()), "")


def reader_of(path: Path) -> str | None:
    """The reader of a file, by the longest ending of its name that is known."""
    fitting = [ending for ending in ENDINGS if path.name.lower().endswith(ending)]
    return ENDINGS[max(fitting, key=len)] if fitting else None


def stem_of(source: str) -> str:
    """A source's name as part of a folder's name: train.csv -> train, torchvision:KMNIST -> KMNIST."""
    if canonical(source) or ":" not in source:
        return Path(os.path.expanduser(source)).resolve().stem if source.endswith(("/", ".")) else Path(source).stem
    return re.sub(r"[^A-Za-z0-9_]+", "-", source.partition(":")[2]).strip("-") or "data"


def _read(reader: str, source: str | Path) -> RawData:
    data: RawData = named(reader)(source)
    return data


def _unknown(source: str, path: Path) -> UserError:
    """What to raise for a source that is no name and not there: the closest names and files, then all kinds."""
    if reader_of(path) is not None:
        near = _near(path.name, _names_in(path.parent))
        return UserError(f"cannot read {shown(path)}: no such file{near}")
    near = _near(source.lower(), [*NAMED.values(), *(f"{package}:" for package in PACKAGES)])
    return UserError(f"data set {source!r:.200} is unknown{near}{' ' if near else '; '}give {KINDS_IN_SHORT}")


def _near(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, list(names))
    return f"; did you mean {', '.join(near)}?" if near else ""


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
