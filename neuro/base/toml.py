"""TOML files that users write: settings as data, read and never run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from neuro.base.errors import UserError, first_line
from neuro.base.files import read_bytes, shown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises: UserError if it cannot be read, or is none, with the line."""
    try:
        return tomllib.loads(read_bytes(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{shown(path)}: no TOML file ({first_line(error)}); correct it") from error
