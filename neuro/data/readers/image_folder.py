"""A folder of images by class: train/CLASS/*.png and test/CLASS/*.png, or CLASS/*.png without a split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neuro.base.arrays import Array
from neuro.base.errors import UserError
from neuro.data.raw import RawData
from neuro.data.readers.keys import SPLIT_OF, listed, test_split
from neuro.data.readers.parts import Part, joined
from neuro.data.readers.pictures import common_kind, file_picture, stacked

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".pbm", ".webp", ".tif", ".tiff")


def read_image_folder(folder: Path) -> RawData:
    """The data in a folder of images: a folder below it is a class, or a part (train, test, val) that holds classes.

    Labels are the names of the class folders: integers if all of them are, else text.
    Raises: UserError naming the image that is unlike the others or no image.
    """
    root = _unwrapped(folder)
    folders = _folders(root)
    parts = {SPLIT_OF[inner.name.lower()]: inner for inner in folders if inner.name.lower() in SPLIT_OF}
    if "train" not in parts:
        if parts:
            raise UserError(f"folder {folder}: holds {listed(f.name for f in folders)} and no train; add train/CLASS/")
        return joined(folder.resolve().name, str(folder.resolve()), _parts(folder, [root]))
    test, notes = test_split(set(parts), set(parts))
    chosen = [parts["train"], *([parts[test]] if test else [])]
    return joined(folder.resolve().name, str(folder.resolve()), _parts(folder, chosen), notes)


def _parts(folder: Path, roots: Sequence[Path]) -> list[Part]:
    """Images and labels below every root, all of one size and kind."""
    place = f"folder {folder}"
    files = [_files_by_class(root) for root in roots]
    if not files[0]:
        raise UserError(
            f"{place}: no images by class in it; put them as train/CLASS/*.png or CLASS/*.png, or give a data file"
        )
    pictures = [[file_picture(file) for members in part.values() for file in members] for part in files]
    everything = [picture for part in pictures for picture in part]
    kind = common_kind(everything, place)
    images, notes = stacked(everything, place, kind)
    cuts = np.cumsum([len(part) for part in pictures])[:-1]
    are_integers = all(_is_integer(name) for part in files for name in part)
    labels = [_labels(part, are_integers) for part in files]
    return [Part(x, y, notes) for x, y in zip(np.split(images, cuts), labels, strict=True) if len(x)]


def _labels(part: dict[str, list[Path]], are_integers: bool) -> Array:
    names = [int(name) if are_integers else name for name, members in part.items() for _ in members]
    return np.array(names)


def _is_integer(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) < 10


def _files_by_class(root: Path) -> dict[str, list[Path]]:
    """The images below every class folder, in the order of their names."""
    found = {inner.name: [f for f in sorted(inner.rglob("*")) if _is_image(f)] for inner in _folders(root)}
    return {name: files for name, files in found.items() if files}


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in ENDINGS and not file.name.startswith(".") and file.is_file()


def _folders(root: Path) -> list[Path]:
    return sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__")))


def _unwrapped(folder: Path) -> Path:
    """The folder, or the only one in it where that holds train and test: archives are often packed so."""
    inner = _folders(folder)
    if len(inner) == 1 and any(f.name.lower() in SPLIT_OF for f in _folders(inner[0])):
        return inner[0]
    return folder
