"""The source files of the project, as syntax trees that tests read."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("neuro", "sim", "hardware", "benchmarks")
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [ROOT / "settle.py", *(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py"))]
)


@functools.cache
def tree(source: str) -> ast.Module:
    return ast.parse((ROOT / source).read_text(encoding="utf-8"), source)


def name_of(function: ast.expr) -> str:
    """Last part of the name of a called function."""
    return getattr(function, "attr", getattr(function, "id", ""))
