"""Files of torch.save (.pt, .pth): tensors and plain containers only; nothing in a file is ever run."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuro.base.errors import UserError, first_line
from neuro.base.files import DAMAGE, read_bytes
from neuro.base.memory import require_bytes
from neuro.data.raw import RawData
from neuro.data.readers.arrays import of_mapping, of_sequence
from neuro.data.readers.parts import Part, joined, test_file

REMEDY = 'save tensors: torch.save({"x_train": images, "y_train": labels}, file)'
PLAIN_ZIP, SCRIPT = b"PK\x03\x04", b"constants.pkl"


def read_torch(path: Path) -> RawData:
    """The data in a file of torch.save: a dictionary of tensors, (images, labels), or four tensors.

    A pair in a file whose name says train has its test part in the one named test beside it, as torchvision keeps it.
    Raises: UserError if it holds anything else than tensors.
    """
    content = _load(path)
    data = _raw(content, path)
    other, notes = test_file(path)
    if data.x_test is not None or other is None:
        return data
    test = _raw(_load(other), other)
    train = Part(data.x_train, data.y_train, data.notes)
    return joined(data.name, data.source, [train, Part(test.x_train, test.y_train, test.notes)], notes)


def _raw(content: Any, path: Path) -> RawData:
    place, source = f"data file {path}", str(path.resolve())
    if isinstance(content, Mapping):
        return of_mapping(path.stem, {str(key): value for key, value in content.items()}, place, source)
    if isinstance(content, (tuple, list)):
        return of_sequence(path.stem, content, place, source)
    raise UserError(f"{place}: holds one {type(content).__name__}, no images and labels; {REMEDY}")


def _load(path: Path) -> Any:
    """What torch.save wrote. Archives of TorchScript, which torch.load would run, and the old form are refused."""
    content = read_bytes(path)
    if SCRIPT in content:
        raise UserError(f"data file {path}: a program (TorchScript), no data; {REMEDY}")
    if not content.startswith(PLAIN_ZIP):
        raise UserError(f"data file {path}: damaged, or not written by torch.save since torch 1.6; {REMEDY}")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            n_bytes = sum(member.file_size for member in archive.infolist())
    except DAMAGE as error:
        raise UserError(f"data file {path}: damaged ({error}); save it again") from error
    require_bytes(f"data file {path}", n_bytes)
    import torch

    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch's reader of pickles raises: it has no class of its own
        if "Unsupported" in str(error) or "GLOBAL" in str(error):
            raise UserError(
                f"data file {path}: holds objects, e.g. a Dataset, and not only tensors; {REMEDY}"
            ) from error
        raise UserError(f"data file {path}: damaged ({first_line(error)}); save it again") from error
