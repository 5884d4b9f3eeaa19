"""Compiled kernels: where they are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sim.backends import jit


def test_kernels_are_kept_beside_the_code_or_with_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    beside = jit._cache_folder()
    assert beside.parent.parent == Path(jit.__file__).parent
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as in an installation for many
    assert jit._cache_folder() == tmp_path / ".cache" / "settle" / beside.name
