import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from neuro.base import scratch as module
from neuro.base.scratch import NAME, scratch, scratch_folder, sweep

DIES = """
import os, signal, sys
from neuro.base.scratch import scratch
with scratch("lava") as folder:
    (folder / "file").write_text("x")
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIG{name})
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A temporary folder of our own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_there_for_the_block_and_no_longer(place):
    with scratch("lava") as folder:
        assert folder.parent == place
        assert NAME.fullmatch(folder.name)
        (folder / "sub").mkdir()
        with scratch("lava") as other:
            assert other != folder
        assert (folder / "sub").is_dir()
    assert not list(place.iterdir())


def test_it_goes_when_the_block_fails(place):
    with pytest.raises(KeyError), scratch("lava"):
        raise KeyError
    assert not list(place.iterdir())


@pytest.mark.parametrize("name", ["KILL", "TERM"])
def test_what_a_killed_process_leaves_is_swept_by_the_next(name, place):
    done = subprocess.run(
        [sys.executable, "-c", DIES.format(name=name)], env={**os.environ, "TMPDIR": str(place)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    left = Path(done.stdout.strip())
    assert (left / "file").is_file()  # it is nobody's any more
    with scratch("netx"):
        assert not left.exists()


def test_what_belongs_to_others_stays(place, monkeypatch):
    mine = scratch_folder("run")
    pid, start, here = NAME.fullmatch(mine.name).groups()
    dead = 2**22 + 1  # beyond any process
    others = [
        place / f"settle-run-{pid}.{start}.{here}-living",
        place / f"settle-run-{dead}.5.{int(here, 16) ^ 1:08x}-elsewhere",
        place / "settle-lava-abcdef",
        place / "other-lava-1.1.1-x",
    ]
    gone = [place / f"settle-run-{dead}.5.{here}-dead", place / f"settle-run-{pid}.{int(start) - 1}.{here}-earlier"]
    for folder in (*others, *gone):
        folder.mkdir()
    (place / f"settle-run-{dead}.5.{here}-link").symlink_to(others[0])
    sweep()
    assert all(folder.is_dir() for folder in (mine, *others))
    assert not any(folder.exists() for folder in gone)
    again = place / f"settle-run-{dead}.5.{here}-again"
    again.mkdir()
    monkeypatch.setattr(module.os, "getuid", lambda: -1)
    sweep()
    assert again.is_dir()
