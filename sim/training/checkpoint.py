"""Where a training stands, in one file written atomically: RUN/checkpoint.npz."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from neuro.base.arrays import Arrays, NamedArrays
from neuro.base.errors import UserError
from neuro.base.files import array_bytes, is_file, parse_arrays, parse_json, read_bytes, sha256, shown, write_atomically
from neuro.base.schema import Form, parsed

CHECKPOINT = "checkpoint.npz"
STATE = "state"  # the one array that is text
OTHER_VERSION = "no checkpoint of this version; delete it and train again"


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
    if STATE not in arrays:
        raise other_version(folder)
    fields = parse_json(arrays.pop(STATE).tobytes(), path)
    if "arrays" not in fields and "sha256" in fields:  # coders had one array, and said its hash alone
        fields["arrays"] = {"atoms": fields.pop("sha256")}
    frame = parsed(fields, _Frame, shown(path), OTHER_VERSION)
    if _hashes(arrays) != frame["arrays"]:
        raise UserError(f"{path}: damaged, its arrays differ from their hashes; delete it and train again")
    rest = {name: value for name, value in fields.items() if name not in frame}
    return Checkpoint(frame["identity"], State(arrays, rest))


class _Frame(TypedDict):
    identity: dict[str, Any]
    arrays: dict[str, str]


def restored(content: Any, form: type[Form]) -> Form:
    """A part of a checkpoint in the types of its form. Raises: UserError naming the field that does not fit."""
    return parsed(content, form, CHECKPOINT, OTHER_VERSION)


def require_like(found: NamedArrays, expected: NamedArrays, owner: str) -> None:
    """Raise UserError unless arrays of a checkpoint have the names, shapes and integers of those they replace."""
    for name in {**found, **expected}:
        ours, theirs = expected.get(name), found.get(name)
        if ours is None or theirs is None or ours.shape != theirs.shape or theirs.dtype.kind not in "iu":
            has = "none" if theirs is None else f"{theirs.dtype} {theirs.shape}"
            needs = "none" if ours is None else f"integers {ours.shape}"
            raise UserError(f"{CHECKPOINT}: {owner} {name} is {has}, needs {needs}; {OTHER_VERSION}")


def other_version(folder: Path) -> UserError:
    """What to raise of a checkpoint that lacks something."""
    return UserError(f"{folder / CHECKPOINT}: {OTHER_VERSION}")


def _hashes(arrays: Arrays) -> dict[str, str]:
    """SHA-256 of every array, by name: a zip archive alone would not notice a lost member."""
    return {name: sha256(np.ascontiguousarray(values).tobytes()) for name, values in arrays.items()}


def remove_checkpoint(folder: Path) -> None:
    """Delete the checkpoint, if any: the training is finished."""
    (folder / CHECKPOINT).unlink(missing_ok=True)
