"""Prints what the extra `docs` of pyproject.toml asks for, one requirement a line; nothing of settle's own needs."""

from __future__ import annotations

import re
from pathlib import Path


def requirements(text: str) -> list[str]:
    """The entries of the extra, from the text of pyproject.toml (Python 3.10 has no reader of its own)."""
    (entries,) = re.findall(r"^docs = \[(.*)\]$", text, re.MULTILINE)
    return re.findall(r'"([^"]+)"', entries)


if __name__ == "__main__":
    print("\n".join(requirements((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))))
