"""Valid files made invalid: bytes, JSON values and arrays changed at random, as a hostile or unlucky user would.

Everything is drawn from a `random.Random`, so that a case can be made again from its seed. Pickles that would create a
file, the canary, are planted where a reader might run them.
"""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from neuro.base.arrays import AnyArray

RAW = "\x00raw:"  # a text that stands for what follows it, written without quotes
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 255, -(2**31), 2**31, 2**63 - 1, 2**63, 2**64, 10**12, 0.0,
    0.5, -0.5, 1e-300, 1e300,
    "", "x", "0", "7", "../../etc/passwd", "\ud800", "\u0000", "x" * 5000, [], {}, [[]], [0], ["x"],
    [None] * 3, {"x": 1},
    f"{RAW}NaN", f"{RAW}-Infinity", f"{RAW}1e999", f"{RAW}1{'0' * 400}", f"{RAW}{'[' * 3000}{']' * 3000}",
    f"{RAW}01", f"{RAW}",
)  # fmt: skip
DTYPES = ("i1", "u1", "i2", "i4", "i8", "u8", ">i4", "f2", "f4", "f8", "c16", "?", "S3", "U3", "M8[s]", "m8[s]", "V4")


def canary(path: str) -> bytes:
    """A pickle that creates the file at `path` when it is loaded."""
    return b"cposix\nmkdir\n(V" + path.encode("raw_unicode_escape") + b"\ntR."


def mutated_bytes(content: bytes, draw: random.Random) -> bytes:
    """A file with bits flipped, cut, doubled, filled, swapped, or grown."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 8, 32))):
        if not data:
            break
        at = draw.randrange(len(data))
        match draw.randrange(7):
            case 0 | 1:
                data[at] ^= 1 << draw.randrange(8)
            case 2:
                del data[at:]
            case 3:
                del data[at : at + draw.randrange(1, 64)]
            case 4:
                data[at:at] = data[at : at + draw.randrange(1, 256)]
            case 5:
                data[at : at + 4] = draw.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80"))
            case _:
                data[at:at] = draw.randbytes(draw.randrange(1, 16))
    return bytes(data)


def mutated_json(content: bytes, draw: random.Random) -> bytes:
    """JSON with values swapped by type, keys lost, doubled or new; numbers that are none; nesting without end."""
    parsed = json.loads(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        owner, key = draw.choice(_places(parsed) or [(None, None)])
        if owner is None:
            return draw.choice((b"[]", b"null", b"3", b'"x"', b""))
        match draw.randrange(8):
            case 0 | 1 | 2 | 3:
                owner[key] = copy.deepcopy(draw.choice(VALUES))  # it may be changed in turn
            case 4:
                del owner[key]
            case 5:
                other, name = draw.choice(_places(parsed))
                owner[key] = json.loads(json.dumps(other[name]))
            case 6:
                if isinstance(owner, dict):
                    owner[f"{draw.choice(('x', key, ''))}'"] = owner[key]
                else:
                    owner *= draw.choice((2, 50))
            case _:
                number = owner[key]
                if isinstance(number, int | float):
                    owner[key] = draw.choice((-number, number + 1, number * 2**20, number / 3, float(number)))
    return _written(parsed, draw)


def _written(parsed: Any, draw: random.Random) -> bytes:
    pieces = json.dumps(parsed).split(f'"{json.dumps(RAW)[1:-1]}')
    text = pieces[0]
    for piece in pieces[1:]:
        raw, _, rest = piece.partition('"')
        text += raw + rest
    if draw.random() < 0.05 and text.startswith("{"):
        text = text[:-1] + "," + text[1:]  # every key twice
    encoding = draw.choice(("utf-8",) * 12 + ("utf-16", "utf-8-sig", "latin-1"))
    return text.encode(encoding, errors="replace")


def _places(parsed: Any) -> list[tuple[Any, Any]]:
    """All (owner, key) of values within `parsed`."""
    places, waiting = [], [parsed]
    while waiting:
        owner = waiting.pop()
        keys = list(owner) if isinstance(owner, dict) else range(len(owner)) if isinstance(owner, list) else ()
        for key in keys:
            places.append((owner, key))
            waiting.append(owner[key])
    return places


def changed_array(values: AnyArray, draw: random.Random) -> AnyArray:
    """An array of another type, shape or content."""
    with np.errstate(all="ignore"):
        match draw.randrange(8):
            case 0 | 1:
                return _of_type(values, draw.choice(DTYPES))
            case 2:
                shape = draw.choice(((-1,), (-1, 1), (1, *values.shape), (*values.shape, 1)))
                return values.reshape(shape)
            case 3:
                return draw.choice((values[:0], values[:1], values[:-1], values[::2])) if values.ndim else values[None]
            case 4:
                return values.T.copy() if values.ndim > 1 else np.concatenate([np.ravel(values)] * 2)
            case 5:
                return draw.choice((np.zeros(()), np.zeros(0), np.zeros((0, 7, 3)), np.zeros((2,) * 8), np.array("x")))
            case 6:
                return np.asfortranarray(values[..., ::-1]) if values.ndim else values
            case _:
                return _extreme(values, draw)


def _of_type(values: AnyArray, dtype: str) -> AnyArray:
    try:
        return values.astype(dtype)
    except (TypeError, ValueError):
        return values.astype("i4").astype("f8")


def _extreme(values: AnyArray, draw: random.Random) -> AnyArray:
    changed = values.copy()
    if changed.dtype.kind == "f":
        extreme = draw.choice((np.nan, np.inf, -np.inf, 1e30, -1.0, 1.0000001))
    elif changed.dtype.kind in "iu":
        extreme = draw.choice((np.iinfo(changed.dtype).max, np.iinfo(changed.dtype).min, 0, 1))
    else:
        return changed
    if changed.size and draw.random() < 0.5:
        changed.flat[draw.randrange(changed.size)] = extreme
    else:
        changed[...] = extreme
    return changed


def mutated_archive(content: bytes, draw: random.Random, planted: str, keep: Callable[[str], bool] = bool) -> bytes:
    """An .npz whose arrays are changed, lost, new, doubled, pickled, or declare what they do not hold.

    planted: where a pickle would leave its canary.  keep: whether a member of this name is left alone.
    """
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        members = {f"{name}.npy": npy(archive[name]) for name in archive.files}
        arrays = {f"{name}.npy": archive[name] for name in archive.files}
    names = [name for name in members if keep(name.removesuffix(".npy"))] or list(members)
    packing = draw.choice((zipfile.ZIP_STORED,) * 4 + (zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2))
    doubled: list[tuple[str, bytes]] = []
    for _ in range(draw.choice((1, 1, 1, 2))):
        name = draw.choice(names)
        match draw.randrange(10):
            case 0 | 1 | 2 | 3 | 4:
                members[name] = npy(changed_array(arrays[name], draw))
            case 5:
                members.pop(name, None)
            case 6:
                members[draw.choice(("x.npy", "x", "../x.npy", "", "weights..npy"))] = members.get(name, b"")
            case 7:
                doubled.append((name, npy(np.zeros(3))))
            case 8:
                head = header("|O", (1,)) if draw.random() < 0.7 else b""
                members[name] = head + canary(planted)
            case _:
                shape = draw.choice(((2**40,), (10**9, 4), (-1,), (2**62, 2**62), (10**8,), (0, 2**62)))
                members[name] = header(draw.choice(("|u1", "<f8", "<U1000000", "|V0")), shape) + bytes(64)
    return _zipped([*members.items(), *doubled], packing, draw)


def _zipped(members: list[tuple[str, bytes]], packing: int, draw: random.Random) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, packing)
    content = bytearray(buffer.getvalue())
    if draw.random() < 0.15 and b"PK\x01\x02" in content:  # what the directory says of a member
        directory, offset = content.index(b"PK\x01\x02"), draw.choice((8, 10, 16, 20, 24, 28, 42))
        struct.pack_into("<H" if offset in (8, 10, 28) else "<I", content, directory + offset,
                         draw.choice((0, 1, 9, 0x7FFF, 0xFFFF)) if offset in (8, 10, 28) else
                         draw.choice((0, 1, 2**20, 2**31, 2**32 - 1)))  # fmt: skip
    return bytes(content)


def npy(values: AnyArray) -> bytes:
    """An .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def header(descr: str, shape: tuple[int, ...]) -> bytes:
    """The beginning of an .npy file that declares this."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
