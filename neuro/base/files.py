"""Files written whole or not at all, and arrays kept without pickle."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import io
import json
import math
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np

from neuro.base.arrays import Array, Arrays
from neuro.base.errors import UserError
from neuro.base.memory import LIMIT, limit_is_given, memory_for, require_bytes, size_text

# What numpy and zipfile raise on archives that were cut, altered, encrypted or made up.
DAMAGE = (
    OSError, ValueError, TypeError, zipfile.BadZipFile, zlib.error, EOFError, LookupError, RuntimeError, OverflowError,
    struct.error, SyntaxError, AttributeError,
)  # fmt: skip
SAVE = "save plain arrays with numpy.savez"
RESTORE = "restore the file or make the run again"
LARGEST_RATIO = {
    zipfile.ZIP_STORED: 1,
    zipfile.ZIP_DEFLATED: 1032,
}  # what one packed byte can hold; numpy has no others
SUSPICIOUS_RATIO, SUSPICIOUS_BYTES = 200, 256 << 20  # an archive that grows so much, to so much, is asked about
LARGEST_INTEGER = 2**64
LONGEST_SHOWN = 200
NPY: Any = np.lib.format  # without types
KINDS = {
    stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}  # fmt: skip


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
        raise UserError(f"cannot write {shown(path)}: {reason}") from error
    except ValueError as error:
        raise UserError(f"cannot write {shown(path)}: no name of a file ({error})") from error
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
    """The arrays of an .npz archive; never unpickles. `path` is named in errors.

    What the archive declares, in its directory and in the header of every array, is checked before memory is taken.
    Raises: UserError if it is damaged, holds objects, or more than may be read (`neuro.base.memory`).
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            _require_declared(members, len(content), path)
            arrays: Arrays = {}
            for member in members:
                name = member.filename.removesuffix(".npy")
                if name in arrays:
                    raise UserError(f"{path}: holds {name} twice; {SAVE}")
                arrays[name] = _member(archive, member, path)
            return arrays
    except UserError:
        raise
    except DAMAGE as error:
        raise UserError(f"{path}: it is damaged or no .npz archive; {SAVE}") from error


def _require_declared(members: list[zipfile.ZipInfo], size: int, path: Path) -> None:
    """Raise UserError if an archive of `size` bytes declares what it cannot hold, or more than may be read."""
    packed, unpacked = sum(m.compress_size for m in members), sum(m.file_size for m in members)
    if packed > size or any(m.file_size > m.compress_size * LARGEST_RATIO.get(m.compress_type, 0) for m in members):
        raise UserError(f"{path}: it is damaged, or declares more than it can hold; {SAVE}")
    require_bytes(shown(path), unpacked)
    if unpacked > SUSPICIOUS_BYTES and unpacked > SUSPICIOUS_RATIO * size and not limit_is_given():
        raise UserError(
            f"{path}: {size_text(size)} that declare {size_text(unpacked)}, {unpacked // size} times as much; if you "
            f"trust it, set {LIMIT}={unpacked}, or save it with numpy.savez"
        )


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> Array:
    """One array of an archive; its header must declare what the directory does."""
    with archive.open(member) as file:
        return _array(file, member.file_size, path, f"its member {member.filename}", SAVE)


def parse_npy(content: bytes, path: Path) -> Array:
    """The array of an .npy file; never unpickles. `path` is named in errors.

    Raises: UserError if it is damaged, holds objects, or declares another size than it has.
    """
    remedy = "save a plain array with numpy.save"
    try:
        return _array(io.BytesIO(content), len(content), path, "it", remedy)
    except UserError:
        raise
    except DAMAGE as error:
        raise UserError(f"{path}: it is damaged or no .npy file; {remedy}") from error


def _array(file: IO[bytes], size: int, path: Path, what: str, remedy: str) -> Array:
    """The array in an .npy file of `size` bytes, if its header declares as much. what: it is called, for errors."""
    if file.read(len(NPY.MAGIC_PREFIX)) != NPY.MAGIC_PREFIX:
        raise UserError(f"{path}: {what} is no array; {remedy}")
    read = {1: NPY.read_array_header_1_0, 2: NPY.read_array_header_2_0}[file.read(2)[0]]
    try:
        shape, _, dtype = read(file)
    except (MemoryError, RecursionError, TokenError) as error:  # of Python's parser, at brackets within brackets
        raise ValueError("no header of an array") from error
    if dtype.hasobject:
        raise UserError(f"{path}: it holds pickled objects; {remedy}")
    n_bytes = math.prod(shape) * dtype.itemsize
    if n_bytes != size - file.tell() or min(shape, default=0) < 0 or dtype.itemsize == 0:
        raise ValueError("the header declares another size than there is")
    with memory_for(f"{path}: {what}", n_bytes):
        file.seek(0)
        array: Array = NPY.read_array(file, allow_pickle=False)
        return array


def parse_json(content: bytes, path: Path) -> dict[str, Any]:
    """The JSON object in `content`: finite numbers of 64 bits, no key twice. `path` is named in errors."""
    try:
        parsed = json.loads(
            content, object_pairs_hook=_without_doubles, parse_float=_finite, parse_int=_integer, parse_constant=_finite
        )
    except UserError as error:
        raise UserError(f"{path}: {error}; {RESTORE}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON; {RESTORE}") from error
    if not isinstance(parsed, dict):
        raise UserError(f"{path}: holds no JSON object; {RESTORE}")
    if b"\\ud" in content.lower() and not _is_text(parsed):
        raise UserError(f"{path}: holds half a character; {RESTORE}")
    return parsed


def _is_text(parsed: dict[str, Any]) -> bool:
    """Whether all text in JSON can be written again: half of a pair of surrogates cannot."""
    try:
        json.dumps(parsed, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise UserError(f"holds {next(name for name in names if names.count(name) > 1)!r:.60} twice")
    return found


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise UserError(f"holds the number {text:.20}, which is not finite")
    return number


def _integer(text: str) -> int:
    if len(text) > 21 or abs(number := int(text)) >= LARGEST_INTEGER:
        raise UserError(f"holds the number {text[:20]}{'...' * (len(text) > 20)}, beyond 64 bits")
    return number


def read_bytes(path: Path) -> bytes:
    """The content of `path`, a file and nothing else, and no more than may be read (`neuro.base.memory`).

    Raises: UserError if it cannot be read; a pipe or a device is not even opened.
    """
    try:
        status = os.stat(path)
        _require_file(status.st_mode, path)
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            _require_file(status.st_mode, path)
            require_bytes(shown(path), status.st_size)
            with memory_for(shown(path), status.st_size):
                content = file.read(status.st_size + 1)
    except OSError as error:
        raise UserError(f"cannot read {shown(path)}: {error.strerror}") from error
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"cannot read {shown(path)}: no name of a file ({error})") from error
    if len(content) > status.st_size:
        raise UserError(f"cannot read {shown(path)}: it grows while it is read; wait until it is written")
    return content


def is_file(path: Path) -> bool:
    """Whether a file is at `path`, whatever was given as a path: a name too long, a loop of links, no permission."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {shown(path)}: {getattr(error, 'strerror', None) or error}") from error


def require_regular(path: Path) -> None:
    """Raise UserError unless `path` is a file, and no pipe or device, which would never end."""
    if not is_file(path):  # which refuses names that can be none
        try:
            _require_file(os.stat(path).st_mode, path)
        except OSError as error:
            raise UserError(f"cannot read {shown(path)}: {error.strerror}") from error


def _require_file(mode: int, path: Path) -> None:
    for is_kind, kind in KINDS.items():
        if is_kind(mode):
            raise UserError(f"cannot read {shown(path)}: it is {kind}; give a file")


def shown(path: Path) -> str:
    """The name of a file in an error: no control characters, and not 300 letters."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(path))
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}... ({len(text)} letters)"


def sha256(content: bytes) -> str:
    """The SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
