"""What a run is: all that decides its weights. A run folder is gone on with, or taken as it is, for the same alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from neuro.artifact.run_folder import Artifact
from neuro.base.errors import UserError
from neuro.data.sets import Dataset
from sim.training.config import TrainConfig

UNSTATED = {"layers": "", "shift": 0}  # left out where they have these values, as in runs of versions without them


def identity(dataset: Dataset, config: TrainConfig) -> dict[str, Any]:
    """Return all that decides the weights of a training: configuration (but for the threads) and data."""
    content = {**asdict(config), "hidden": list(config.hidden), "data_sha256": dataset.sha256()}
    del content["threads"]
    return {key: value for key, value in content.items() if key not in UNSTATED or value != UNSTATED[key]}


def identity_of(artifact: Artifact) -> dict[str, Any]:
    """Return the `identity` that the manifest of a finished run states."""
    try:
        return {**artifact.manifest["config"], "data_sha256": artifact.manifest["data"]["sha256"]}
    except (KeyError, TypeError) as error:
        raise UserError("manifest: lacks its config or data; train the run again") from error


def check_identity(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise UserError if what a run was made with is not what is asked for."""
    found, wanted = {**UNSTATED, **found}, {**UNSTATED, **wanted}
    for key in wanted:
        if found.get(key) != wanted[key]:
            raise UserError(
                f"run {folder}: was made with {key} {found.get(key)}, asked for {wanted[key]}; "
                "resume with the same settings, or give another --out"
            )
