"""Robustness tables on disk: one file for each shard of the images, written when the shard is done; and their union."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from neuro.base.arrays import Array, Reals
from neuro.base.errors import UserError
from neuro.base.files import array_bytes, parse_arrays, parse_json, read_bytes, write_atomically
from sim.robustness.attacks.search import ZeroGradient
from sim.robustness.attacks.threats import Threat
from sim.robustness.judging.table import Outcome, RobustnessTable

META, SMALLEST = "meta", "smallest."
PER_IMAGE = ("correct", "model_correct", "agree", "returned_clean", "margin", "conflict", "jump", "rose")


def save_table(path: Path, table: RobustnessTable) -> None:
    """Write a table, per-image arrays and all, to a file that `load_table` reads."""
    arrays: dict[str, Array] = {"labels": table.labels, "clean": table.clean}
    arrays.update({SMALLEST + norm: sizes for norm, sizes in table.smallest.items()})
    outcomes = []
    for index, outcome in enumerate(table.outcomes):
        arrays.update({f"{index}.{name}": getattr(outcome, name) for name in PER_IMAGE})
        outcomes.append({k: v for k, v in _plain(outcome).items() if k not in PER_IMAGE})
    meta = {
        "clean_agreement": table.clean_agreement,
        "unrepeatable": table.unrepeatable,
        "n_passes": table.n_passes,
        "n_classes": table.n_classes,
        "n_inputs": table.n_inputs,
        "outcomes": outcomes,
    }
    arrays[META] = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    write_atomically(path, array_bytes(arrays))


def _plain(outcome: Outcome) -> dict[str, Any]:
    content = {f.name: getattr(outcome, f.name) for f in fields(outcome)}
    zero = outcome.zero_gradient
    return {**content, "threat": asdict(outcome.threat), "zero_gradient": asdict(zero) if zero else None}


def load_table(path: Path) -> RobustnessTable:
    """Read a table. Raises: UserError if the file is damaged."""
    arrays = parse_arrays(read_bytes(path), path)
    try:
        meta = parse_json(arrays[META].tobytes(), path)
        outcomes = [_outcome(arrays, index, line) for index, line in enumerate(meta.pop("outcomes"))]
        labels, clean = arrays["labels"].astype(np.int64), arrays["clean"].astype(np.bool_)
        smallest = {
            name[len(SMALLEST) :]: sizes.astype(np.float32)
            for name, sizes in arrays.items()
            if name.startswith(SMALLEST)
        }
        return RobustnessTable(labels=labels, clean=clean, outcomes=outcomes, smallest=smallest, **meta)
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged ({error}); delete it and run the attack again") from error


def _outcome(arrays: dict[str, Any], index: int, line: dict[str, Any]) -> Outcome:
    zero = line.pop("zero_gradient")
    return Outcome(
        **{**line, "threat": Threat(**line["threat"])},
        zero_gradient=ZeroGradient(**zero) if zero else None,
        **{name: arrays[f"{index}.{name}"] for name in PER_IMAGE},
    )


def merge(tables: list[RobustnessTable]) -> RobustnessTable:
    """The table over the images of all shards, in order; every shard holds the same attacks.

    Raises: UserError if they do not.
    """
    first = tables[0]
    keys = [_key(outcome) for outcome in first.outcomes]
    if any([_key(outcome) for outcome in table.outcomes] != keys for table in tables):
        raise UserError("attack: shards hold different attacks; delete their folder and run them again")
    sizes = np.array([len(table.labels) for table in tables], dtype=np.float64)
    shares = sizes / sizes.sum()
    outcomes = [_joined([table.outcomes[i] for table in tables], shares) for i in range(len(keys))]
    agreement = {
        name: float(np.dot(shares, [table.clean_agreement[name] for table in tables])) for name in first.clean_agreement
    }
    return RobustnessTable(
        np.concatenate([table.labels for table in tables]),
        np.concatenate([table.clean for table in tables]),
        agreement,
        max(table.unrepeatable for table in tables),
        first.n_passes,
        first.n_classes,
        first.n_inputs,
        outcomes,
        {norm: np.concatenate([table.smallest[norm] for table in tables]) for norm in first.smallest},
    )


def _key(outcome: Outcome) -> tuple[str, str, Threat, int]:
    return outcome.model, outcome.attack, outcome.threat, outcome.seed


def _joined(parts: list[Outcome], shares: Reals) -> Outcome:
    per_image = {name: np.concatenate([getattr(outcome, name) for outcome in parts]) for name in PER_IMAGE}
    zero = None
    if all(outcome.zero_gradient for outcome in parts):
        names = [f.name for f in fields(ZeroGradient)]
        means = [float(np.dot(shares, [getattr(outcome.zero_gradient, name) for outcome in parts])) for name in names]
        zero = ZeroGradient(*means)
    return replace(parts[0], **per_image, zero_gradient=zero, cpu_s=sum(outcome.cpu_s for outcome in parts))
