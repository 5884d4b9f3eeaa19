"""Packages that only some readers need."""

from __future__ import annotations

import importlib.util

from neuro.base.errors import UserError


def require_extra(package: str, extra: str, owner: str) -> None:
    """Raise UserError that says how `package` is installed, if it is missing. owner: what needs it."""
    if importlib.util.find_spec(package) is None:
        raise UserError(f'{owner}: needs {package}: pip install "settle[{extra}]"')
