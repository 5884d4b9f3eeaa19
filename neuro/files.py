"""Files written whole or not at all, and arrays kept without pickle."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neuro.errors import UserError

Arrays = dict[str, npt.NDArray[np.generic]]


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to a temporary name beside `path`, then rename: readers see the old file or the new one.

    Raises: UserError if the folder cannot be written or the disk is full; nothing half-written is left.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        reason = "the disk is full; free some space" if error.errno == errno.ENOSPC else f"{error.strerror}"
        raise UserError(f"cannot write {path}: {reason}") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def json_bytes(content: Any) -> bytes:
    """Return `content` as readable JSON text with a final newline."""
    return (json.dumps(content, indent=1, sort_keys=False, allow_nan=False) + "\n").encode()


def array_bytes(arrays: Mapping[str, npt.NDArray[np.generic]]) -> bytes:
    """Return an uncompressed .npz archive of `arrays`; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def parse_arrays(content: bytes, path: Path) -> Arrays:
    """Return the arrays of an .npz archive; never unpickles. `path` is named in errors."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        reason = "it holds pickled objects" if "pickle" in str(error).lower() else "it is damaged or no .npz archive"
        raise UserError(f"{path}: {reason}; save plain arrays with numpy.savez") from error


def parse_json(content: bytes, path: Path) -> dict[str, Any]:
    """Return the JSON object in `content`. `path` is named in errors."""
    try:
        parsed = json.loads(content)
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON; restore the file or make the run again") from error
    if not isinstance(parsed, dict):
        raise UserError(f"{path}: holds no JSON object; restore the file or make the run again")
    return parsed


def read_bytes(path: Path) -> bytes:
    """Return the content of `path`. Raises: UserError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def sha256(content: bytes) -> str:
    """Return the SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
