"""One picture at a time: sizes before pixels, every mode as grey, colour, or 16-bit grey."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuro.base.arrays import Array
from neuro.base.errors import UserError, first_line
from neuro.base.files import read_bytes
from neuro.data.readers.bounds import require_array

GREY, COLOUR, DEEP, REAL = "grey", "colour", "16-bit grey", "float grey"
KINDS = {"1": GREY, "L": GREY, "LA": GREY, "La": GREY, "I": DEEP, "I;16": DEEP, "I;16B": DEEP, "I;16L": DEEP,
         "I;16N": DEEP, "F": REAL}  # fmt: skip
TRANSPARENT = ("LA", "La", "RGBA", "RGBa", "PA")
MODES = {GREY: "L", COLOUR: "RGB"}
TYPES = {GREY: np.uint8, COLOUR: np.uint8, DEEP: np.uint16, REAL: np.float32}
FAULTS = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError)


@dataclass(frozen=True)
class Picture:
    """What a picture's header says. name: for errors; size: width, height in pixels; mode: Pillow's."""

    name: str
    content: Callable[[], bytes]
    size: tuple[int, int]
    mode: str
    remarks: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Grey, colour, 16-bit grey or float grey: palettes are colours, black and white is grey."""
        return KINDS.get(self.mode, COLOUR)


def picture_of(name: str, content: Callable[[], bytes]) -> Picture:
    """The header of a picture; its pixels stay packed. Raises: UserError if it is no picture."""

    def read(image: Any) -> Picture:
        remarks = []
        if image.mode in TRANSPARENT or "transparency" in image.info:
            remarks.append("transparency is dropped")
        if getattr(image, "n_frames", 1) > 1:
            remarks.append("only the first picture of animations is used")
        if any("16" in str(tile[3]) for tile in getattr(image, "tile", [])) and image.mode.startswith("RGB"):
            remarks.append("16-bit colours are read as 8 bits")
        return Picture(name, content, image.size, image.mode, tuple(remarks))

    picture: Picture = _opened(name, content, read)
    return picture


def file_picture(path: Path) -> Picture:
    """The header of a picture in a file."""
    return picture_of(str(path), lambda: read_bytes(path))


def stacked(pictures: Sequence[Picture], place: str, kind: str = "") -> tuple[Array, tuple[str, ...]]:
    """Pictures of one size as one array, of shape [n, h, w] (grey) or [n, h, w, 3], and what was done.

    Args:   kind: what all become; by default colour if any is, or else what they are.
    Raises: UserError naming the picture whose size or kind differs, or one that cannot be read.
    """
    kind = kind or common_kind(pictures, place)
    first = pictures[0]
    for picture in pictures:
        if picture.size != first.size:
            raise UserError(
                f"{place}: {picture.name} is {_size(picture)} pixels, {first.name} {_size(first)}; make all images of "
                f"one size, e.g. mogrify -resize {_size(first)}! FILES"
            )
    shape = (len(pictures), first.size[1], first.size[0], *([3] if kind == COLOUR else []))
    require_array(place, shape, TYPES[kind])
    images = np.empty(shape, TYPES[kind])
    for k, picture in enumerate(pictures):
        images[k] = _pixels(picture, kind)
    notes = dict.fromkeys(remark for picture in pictures for remark in picture.remarks)
    if len({picture.kind for picture in pictures}) > 1:
        notes["grey and colour images are mixed: all are read as colour"] = None
    return images, tuple(notes)


def common_kind(pictures: Sequence[Picture], place: str) -> str:
    """What all pictures can be read as. Raises: UserError if 8 bits and others are mixed."""
    kinds = {picture.kind: picture for picture in pictures}
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds.keys() == {GREY, COLOUR}:
        return COLOUR
    (one, first), (other, second), *_ = kinds.items()
    raise UserError(f"{place}: {first.name} is {one}, {second.name} {other}; save all images with the same depth")


def _size(picture: Picture) -> str:
    return f"{picture.size[0]}x{picture.size[1]}"


def _pixels(picture: Picture, kind: str) -> Array:
    """The pixels, of shape [h, w] or [h, w, 3]."""

    def read(image: Any) -> Array:
        if kind == DEEP:
            values = np.asarray(image)
            if values.min() < 0 or values.max() >= 1 << 16:
                raise UserError(f"{picture.name}: holds values beyond 16 bits; save it with 8 or 16 bits")
            return values.astype(np.uint16)
        return np.asarray(image, np.float32) if kind == REAL else np.asarray(image.convert(MODES[kind]))

    pixels: Array = _opened(picture.name, picture.content, read)
    return pixels


def _opened(name: str, content: Callable[[], bytes], read: Callable[[Any], Any]) -> Any:
    """What `read` makes of an opened picture. Raises: UserError if it is damaged, or larger than Pillow takes."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tags and the like; a damaged picture raises
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content())) as image:
                return read(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"{name}: a picture of too many pixels ({first_line(error)}); make it smaller") from error
    except FAULTS as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{name}: no readable picture ({first_line(error)}); replace or delete it") from error
