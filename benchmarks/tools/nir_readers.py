"""NIR files in the readers of others: whether each takes a file, and how many of its spikes differ.

Each reader runs in a program of its own (`benchmarks/tools/nir_readers_worker.py`), under the Python that a variable
names, SETTLE_NORSE and so on, for some do not fit beside Lava; by default under this one, if it is installed here.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from neuro.base.arrays import Array
from neuro.base.checks import require_choice
from neuro.base.errors import UserError
from neuro.base.files import array_bytes, parse_arrays, read_bytes, write_atomically
from neuro.base.scratch import scratch

WORKER = Path(__file__).with_name("nir_readers_worker.py")
READERS = ("snntorch", "norse", "rockpool", "sinabs")


class NotRead(UserError):
    """A reader that is there does not take the file."""


def python_of(reader: str) -> str:
    """The Python that has a reader. Raises: UserError if none is known."""
    require_choice("reader", reader, READERS)
    variable = f"SETTLE_{reader.upper()}"
    if python := os.environ.get(variable):
        return python
    if importlib.util.find_spec(reader) is not None:
        return sys.executable
    raise UserError(
        f"{reader} is not installed here; set {variable} to a Python that has it (pip install {reader} nir)"
    )


def spikes_in(reader: str, content: bytes, inputs: Array) -> Array:
    """The output spikes [B, T, K] of a file in a reader, for inputs [B, T, N] from zero state.

    Raises: NotRead with the reader's own words if it does not take the file; UserError if it is not there.
    """
    python = python_of(reader)
    with scratch("nir") as folder:
        write_atomically(folder / "network.nir", content)
        write_atomically(folder / "inputs.npz", array_bytes({"inputs": inputs}))
        files = [str(folder / name) for name in ("network.nir", "inputs.npz", "spikes.npz")]
        done = subprocess.run([python, str(WORKER), reader, *files], capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise NotRead(f"{reader}: {last:.200}")
        spikes: Array = parse_arrays(read_bytes(folder / "spikes.npz"), folder / "spikes.npz")["spikes"]
    return np.rint(spikes)


def differing(reader: str, content: bytes, inputs: Array, wanted: Array, level: int) -> int:
    """Spikes of a file that differ from those wanted, [B, T, K] in steps of the chip.

    level: steps that the output is earlier in the file.
    """
    found = spikes_in(reader, content, inputs[:, : inputs.shape[1] - level])
    return int(np.count_nonzero(found != wanted[:, level:]))
