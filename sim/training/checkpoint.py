"""Where a training stands, in one file written atomically: RUN/checkpoint.npz."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuro.base.arrays import Arrays
from neuro.base.errors import UserError
from neuro.base.files import array_bytes, is_file, parse_arrays, parse_json, read_bytes, sha256, write_atomically

CHECKPOINT = "checkpoint.npz"
STATE = "state"  # the one array that is text


@dataclass(frozen=True)
class State:
    """All that a training needs to go on: arrays by name, and what JSON can say."""

    arrays: Arrays
    fields: dict[str, Any]

    def named(self, prefix: str) -> Arrays:
        """The arrays whose names start with `prefix`, by the rest of their names."""
        return {name[len(prefix) :]: values for name, values in self.arrays.items() if name.startswith(prefix)}


@dataclass(frozen=True)
class Checkpoint:
    """identity: what must not change between interruption and resumption (`sim.training.identity`)."""

    identity: dict[str, Any]
    state: State


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `folder`. Raises: UserError if the folder cannot be written."""
    arrays = checkpoint.state.arrays
    content = {"identity": checkpoint.identity, **checkpoint.state.fields, "arrays": _hashes(arrays)}
    text = np.frombuffer(json.dumps(content).encode(), dtype=np.uint8)
    write_atomically(folder / CHECKPOINT, array_bytes({**arrays, STATE: text}))


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint in `folder`, None if there is none.

    Raises: UserError if the file is damaged or of another version.
    """
    path = folder / CHECKPOINT
    if not is_file(path):
        return None
    arrays = parse_arrays(read_bytes(path), path)
    try:
        fields = parse_json(arrays.pop(STATE).tobytes(), path)
        identity = {**fields.pop("identity")}
        # Coders had one array, and said its hash alone.
        hashes = fields.pop("arrays") if "arrays" in fields else {"atoms": fields.pop("sha256")}
    except (KeyError, TypeError) as error:
        raise other_version(folder) from error
    if _hashes(arrays) != hashes:
        raise UserError(f"{path}: damaged, its arrays differ from their hashes; delete it and train again")
    return Checkpoint(identity, State(arrays, fields))


def other_version(folder: Path) -> UserError:
    """What to raise of a checkpoint that lacks something."""
    return UserError(f"{folder / CHECKPOINT}: no checkpoint of this version; delete it and train again")


def _hashes(arrays: Arrays) -> dict[str, str]:
    """SHA-256 of every array, by name: a zip archive alone would not notice a lost member."""
    return {name: sha256(np.ascontiguousarray(values).tobytes()) for name, values in arrays.items()}


def remove_checkpoint(folder: Path) -> None:
    """Delete the checkpoint, if any: the training is finished."""
    (folder / CHECKPOINT).unlink(missing_ok=True)
