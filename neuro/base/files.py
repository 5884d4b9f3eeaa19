"""Files written whole or not at all, and arrays kept without pickle."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neuro.base.arrays import Array, Arrays
from neuro.base.errors import UserError

# What numpy and zipfile raise on archives that were cut, altered, encrypted or made up.
DAMAGE = (
    OSError, ValueError, TypeError, zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, MemoryError,
    OverflowError, struct.error, SyntaxError,
)  # fmt: skip


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to a temporary name beside `path`, then rename: readers see the old file or the new one.

    Raises: UserError if the folder cannot be written or the disk is full; nothing half-written is left.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _discard_orphans(path)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        _discard(temporary)
        reason = "the disk is full; free some space" if error.errno == errno.ENOSPC else f"{error.strerror}"
        raise UserError(f"cannot write {path}: {reason}") from error
    except BaseException:
        _discard(temporary)
        raise


def _discard_orphans(path: Path) -> None:
    """Remove what processes left that were killed while they wrote `path`."""
    for orphan in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        writer = orphan.name.split(".")[-2]
        if writer.isdigit() and not Path(f"/proc/{writer}").exists() and Path("/proc/self").exists():
            _discard(orphan)


def _discard(path: Path) -> None:
    with contextlib.suppress(OSError):  # it may never have come into being
        path.unlink(missing_ok=True)


def json_bytes(content: Any, *, sort_keys: bool = False) -> bytes:
    """The text of `content` as readable JSON text with a final newline."""
    return (json.dumps(content, indent=1, sort_keys=sort_keys, allow_nan=False) + "\n").encode()


def array_bytes(arrays: Mapping[str, Array]) -> bytes:
    """An uncompressed .npz archive of `arrays`; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def parse_arrays(content: bytes, path: Path) -> Arrays:
    """The arrays of an .npz archive; never unpickles. `path` is named in errors."""
    is_archive = zipfile.is_zipfile(io.BytesIO(content))
    try:
        if not is_archive:
            raise ValueError("no zip archive")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except DAMAGE as error:
        pickled = is_archive and "pickle" in str(error).lower()
        reason = "it holds pickled objects" if pickled else "it is damaged or no .npz archive"
        raise UserError(f"{path}: {reason}; save plain arrays with numpy.savez") from error
    for key, values in arrays.items():
        if not isinstance(values, np.ndarray):
            raise UserError(f"{path}: its member {key} is no array; save plain arrays with numpy.savez")
    return arrays


def parse_json(content: bytes, path: Path) -> dict[str, Any]:
    """The JSON object in `content`. `path` is named in errors."""
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON; restore the file or make the run again") from error
    if not isinstance(parsed, dict):
        raise UserError(f"{path}: holds no JSON object; restore the file or make the run again")
    return parsed


def read_bytes(path: Path) -> bytes:
    """The content of `path`. Raises: UserError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def sha256(content: bytes) -> str:
    """The SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
