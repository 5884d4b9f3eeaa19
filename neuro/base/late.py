"""Things named in text, "module:name": tables of them import nothing until one is used."""

from __future__ import annotations

import importlib
from typing import Any


def named(text: str) -> Any:
    """The object called "module:name"; its module is imported only now."""
    module, name = text.split(":")
    return getattr(importlib.import_module(module), name)
