"""Sources that keep their training and test parts apart: files beside each other, folders, two objects."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from neuro.base.arrays import Array
from neuro.data.raw import RawData
from neuro.data.readers.keys import SPLIT_OF, SPLITS


@dataclass(frozen=True, eq=False)
class Part:
    """Images of shape [n, ...], their labels, and what to tell about them; label: the column that labels came from."""

    x: Array
    y: Array
    notes: tuple[str, ...] = ()
    label: str = ""


def joined(name: str, source: str, parts: Iterable[Part], notes: Iterable[str] = ()) -> RawData:
    """The data that a training part, and perhaps a test part, make; a note that both have is told once."""
    train, test, *_ = (*parts, None)
    assert train is not None
    told = dict.fromkeys([*notes, *train.notes, *(test.notes if test else ())])
    return RawData(
        name, train.x, train.y, test.x if test else None, test.y if test else None, source=source, notes=tuple(told)
    )


def split_in(stem: str) -> tuple[str, int, int] | None:
    """The part that a file's name speaks of, and where: mnist_train -> ("train", 6, 11); None if of none."""
    for match in reversed(list(re.finditer(r"[A-Za-z0-9]+", stem))):
        split = SPLIT_OF.get(match.group().lower())
        if split:
            return split, *match.span()
    return None


def beside(path: Path, split: str) -> Path | None:
    """The file beside a training file that holds the part `split`: train.csv -> test.csv; None if there is none."""
    stem = stem_of(path)
    found = split_in(stem)
    if found is None or found[0] != "train":
        return None
    _, start, end = found
    for word in SPLITS[split]:
        for spelled in (word, word.capitalize(), word.upper()):
            other = path.with_name(f"{stem[:start]}{spelled}{path.name[end:]}")
            if other.is_file():
                return other
    return None


def test_file(path: Path) -> tuple[Path | None, tuple[str, ...]]:
    """The file that holds the test part of a training file, and what to tell about it."""
    for split in ("test", "val"):
        other = beside(path, split)
        if other is not None:
            return other, (f"test part from {other.name}, beside {path.name}",)
    return None, ()


def stem_of(path: Path) -> str:
    """The name of a file without its endings."""
    return path.name.removesuffix(".gz").rsplit(".", 1)[0] or path.name
