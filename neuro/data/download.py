"""Fetch the named data sets once, through torchvision, and keep them as <name>.npz in the cache folder."""

from __future__ import annotations

import hashlib
import http.client
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from neuro.base.errors import UserError, first_line
from neuro.base.files import array_bytes, read_bytes, sha256, write_atomically

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR10_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"  # published beside the archive
CIFAR10_RECORD = 1 + 3 * 32 * 32

# SHA-256 of the four arrays one after the other, as `content_hash` computes it.
CONTENT_SHA256 = {
    "mnist": "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16",
    "fashion-mnist": "ca3ab2a37f845e1b8ae23cab1b51749a3011ba3bf1d9016176d75cbaabac376f",
}


def download_named(name: str, folder: Path) -> Path:
    """Download the data set `name` (mnist, fashion-mnist, cifar10), check its hash, and return the path of its .npz.

    Raises: UserError if torchvision is missing, the network unreachable, or the content not the published one.
    """
    target = folder / f"{name}.npz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            arrays = FETCH[name](Path(scratch))
    except ImportError as error:
        raise UserError(f"data set {name}: downloading needs torchvision; install it, or {_by_hand(name)}") from error
    except (OSError, RuntimeError, ValueError, tarfile.TarError, http.client.HTTPException) as error:
        raise UserError(f"data set {name}: download failed ({first_line(error)}); {_by_hand(name)}") from error
    expected = CONTENT_SHA256.get(name)
    if expected is not None and content_hash(arrays) != expected:
        raise UserError(f"data set {name}: the downloaded content differs from the published one; {_by_hand(name)}")
    content = array_bytes(arrays)
    write_atomically(target, content)
    write_atomically(hash_file(target), sha256(content).encode())
    return target


def hash_file(path: Path) -> Path:
    """The file beside a downloaded data set that holds its SHA-256."""
    return path.with_name(path.name + ".sha256")


def check_downloaded(name: str, path: Path) -> None:
    """Raise UserError if a file that was downloaded earlier has changed since. Files put there by hand have no hash."""
    known = hash_file(path)
    if known.is_file() and sha256(read_bytes(path)).encode() != read_bytes(known).strip():
        raise UserError(f"data set {name}: {path} has changed since its download; delete it and download it again")


def content_hash(arrays: dict[str, Any]) -> str:
    """The SHA-256 of x_train, y_train, x_test, y_test as contiguous uint8, one after the other."""
    digest = hashlib.sha256()
    for key in ("x_train", "y_train", "x_test", "y_test"):
        digest.update(np.ascontiguousarray(arrays[key], dtype=np.uint8).tobytes())
    return digest.hexdigest()


def _by_hand(name: str) -> str:
    return f"put {name}.npz into a folder and set SETTLE_DATA to it"


def _fetch_idx(class_name: str) -> Callable[[Path], dict[str, Any]]:
    def fetch(scratch: Path) -> dict[str, Any]:
        from torchvision import datasets

        arrays = {}
        for split in ("train", "test"):
            part = getattr(datasets, class_name)(str(scratch), train=split == "train", download=True)
            arrays[f"x_{split}"] = part.data.numpy().astype(np.uint8)
            arrays[f"y_{split}"] = part.targets.numpy().astype(np.uint8)
        return arrays

    return fetch


def _fetch_cifar10(scratch: Path) -> dict[str, Any]:
    """CIFAR-10 in its binary form: fixed records of one label byte and 3 x 32 x 32 pixel bytes."""
    from torchvision.datasets.utils import download_url

    download_url(CIFAR10_URL, str(scratch), "cifar10.tar.gz", CIFAR10_MD5)
    records_by_split: dict[str, list[Any]] = {"train": [], "test": []}
    with tarfile.open(scratch / "cifar10.tar.gz") as archive:
        for member in sorted(archive.getmembers(), key=lambda m: m.name):
            file = archive.extractfile(member) if member.name.endswith(".bin") else None
            if file is not None:
                records = np.frombuffer(file.read(), np.uint8).reshape(-1, CIFAR10_RECORD)
                records_by_split["test" if "test" in member.name else "train"].append(records)
    arrays = {}
    for split, chunks in records_by_split.items():
        records = np.concatenate(chunks)
        arrays[f"x_{split}"] = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).copy()
        arrays[f"y_{split}"] = records[:, 0].copy()
    return arrays


FETCH: dict[str, Callable[[Path], dict[str, Any]]] = {
    "mnist": _fetch_idx("MNIST"),
    "fashion-mnist": _fetch_idx("FashionMNIST"),
    "cifar10": _fetch_cifar10,
}
