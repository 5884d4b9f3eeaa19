"""Graphs that tests compile are built in Lava once a session each, however many tests compile them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hardware.compile import dry_checks


class Builds:
    """What Lava answered to every job so far, by the content of the files of the job; as `run_worker` for `_built`."""

    def __init__(self) -> None:
        self.run_worker = dry_checks.run_worker
        self.answers: dict[str, bytes] = {}
        self.asked = 0

    def __call__(self, module: str, folder: Path, *options: Any) -> None:
        digest = hashlib.sha256(module.encode())
        for path in sorted(folder.iterdir()):
            content = path.read_bytes()
            digest.update(f"{path.name} {len(content)}\n".encode() + content)
        self.asked += 1
        answer = folder / dry_checks.ANSWER
        if digest.hexdigest() not in self.answers:
            self.run_worker(module, folder, *options)
            self.answers[digest.hexdigest()] = answer.read_bytes()
        answer.write_bytes(self.answers[digest.hexdigest()])


@pytest.fixture(scope="session", autouse=True)
def lava_builds() -> Iterator[Builds]:
    """See `Builds`."""
    builds = Builds()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dry_checks, "run_worker", builds)
        yield builds
