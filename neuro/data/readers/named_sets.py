"""The named sets: digits (embedded), and mnist / fashion-mnist / cifar10.

One is looked for as `$SETTLE_DATA/<name>.npz`, then as `~/.cache/settle/<name>.npz`; failing both it is downloaded once
by torchvision (`neuro.data.download`).
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from neuro.base.files import is_file
from neuro.data.download import check_downloaded, download_named
from neuro.data.raw import RawData
from neuro.data.readers.numpy_files import read_npz


def read_named(name: str) -> RawData:
    """The set of this name, downloaded if it is nowhere yet.

    Raises: UserError if it cannot be downloaded, or has changed since its download.
    """
    if name == "digits":
        return _digits()
    return replace(read_npz(_find(name)), name=name, source=name)


def cache_folder() -> Path:
    """Folder that downloaded data sets are kept in."""
    return Path.home() / ".cache" / "settle"


def _digits() -> RawData:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return RawData("digits", (bunch.images / 16.0).astype(np.float32), bunch.target.astype(np.int32), source="digits")


def _find(name: str) -> Path:
    folders = [Path(os.environ["SETTLE_DATA"])] if os.environ.get("SETTLE_DATA") else []
    for folder in [*folders, cache_folder()]:
        for stem in (name, f"{name}_jpeg"):
            if is_file(folder / f"{stem}.npz"):
                check_downloaded(name, folder / f"{stem}.npz")
                return folder / f"{stem}.npz"
    return download_named(name, cache_folder())
