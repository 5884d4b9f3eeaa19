"""Where a training stands, in one file written atomically: RUN/checkpoint.npz."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from neuro.base.arrays import Array, Arrays, Integers
from neuro.base.errors import UserError
from neuro.base.files import array_bytes, parse_arrays, parse_json, read_bytes, sha256, write_atomically
from sim.training.trainer import Choices, Progress, Trainer, Weights

CHECKPOINT = "checkpoint.npz"
FULL, BEST, KEPT, STATE = "full.", "best.", "kept.", "state"


@dataclass(frozen=True)
class Checkpoint:
    """identity: what must not change between interruption and resumption (configuration, data hash).

    stage: "fit" or "refit"; choices and notes: what tuning and earlier stages found; then progress and weights, and
    those kept from an earlier stage.
    """

    identity: dict[str, Any]
    stage: str
    choices: Choices
    notes: dict[str, Any]
    progress: Progress
    full_weights: Weights
    best_weights: Weights
    kept_weights: Weights


def save_checkpoint(
    folder: Path,
    trainer: Trainer,
    stage: str,
    identity: dict[str, Any],
    notes: dict[str, Any],
    kept: Weights,
) -> None:
    """Write the state of `trainer` to `folder`."""
    arrays: dict[str, Array] = {}
    arrays.update({FULL + name: values for name, values in trainer.full_weights().items()})
    arrays.update({BEST + name: values for name, values in trainer.best_weights.items()})
    arrays.update({KEPT + name: values for name, values in kept.items()})
    state = {
        "identity": identity,
        "stage": stage,
        "choices": asdict(trainer.choices),
        "notes": notes,
        "progress": asdict(trainer.progress),
        "arrays": _hashes(arrays),
    }
    arrays[STATE] = np.frombuffer(json.dumps(state).encode(), dtype=np.uint8)
    write_atomically(folder / CHECKPOINT, array_bytes(arrays))


def _integers(values: Array) -> Integers:
    if not np.issubdtype(values.dtype, np.integer):
        raise TypeError(f"weights of type {values.dtype}")
    return cast("Integers", values)


def _hashes(arrays: Arrays) -> dict[str, str]:
    """SHA-256 of every array, by name: a zip archive alone would not notice a lost member."""
    return {name: sha256(np.ascontiguousarray(values).tobytes()) for name, values in arrays.items()}


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the checkpoint in `folder`, None if there is none.

    Raises: UserError if the file is damaged or of another version.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    arrays = parse_arrays(read_bytes(path), path)
    try:
        state = parse_json(arrays.pop(STATE).tobytes(), path)
        if _hashes(arrays) != state["arrays"]:
            raise UserError(f"{path}: damaged, its arrays differ from their hashes; delete it and train again")
        return Checkpoint(
            identity=state["identity"],
            stage=state["stage"],
            choices=Choices(**state["choices"]),
            notes=state["notes"],
            progress=Progress.from_json(state["progress"]),
            full_weights={k[len(FULL) :]: _integers(v) for k, v in arrays.items() if k.startswith(FULL)},
            best_weights={k[len(BEST) :]: _integers(v) for k, v in arrays.items() if k.startswith(BEST)},
            kept_weights={k[len(KEPT) :]: _integers(v) for k, v in arrays.items() if k.startswith(KEPT)},
        )
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: no checkpoint of this version; delete it and train again") from error


def resume_trainer(trainer: Trainer, checkpoint: Checkpoint) -> None:
    """Put a fresh trainer where `checkpoint` left off."""
    trainer.restore(checkpoint.full_weights)
    trainer.best_weights = checkpoint.best_weights
    trainer.progress = checkpoint.progress


def remove_checkpoint(folder: Path) -> None:
    """Delete the checkpoint, if any: the training is finished."""
    (folder / CHECKPOINT).unlink(missing_ok=True)
