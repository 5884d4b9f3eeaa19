"""What a run is: all that decides its weights. A run folder is gone on with, or taken as it is, for the same alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuro.artifact.run_folder import Artifact
from neuro.base.errors import UserError
from neuro.data.sets import Dataset

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Left out where they have these values, as in runs of versions without them.
UNSTATED = {
    "layers": "", "shift": 0, "flip": False, "noise": 0.0, "whiten": False, "normalise_contrast": False,
    "family": "sigma-delta", "form": None, "solver": "lca", "schedule": "parallel", "output_force": "relaxing",
    "until_silent": False, "guide_loss": None, "guide_weight": None, "guide_layer": None, "guide_control": None,
    "guide_sha256": "", "fixed_front": "",
}  # fmt: skip


def settings(config: DataclassInstance) -> dict[str, Any]:
    """What the user asked for, as a manifest keeps it."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(config).items()}


def identity(kind: str, config: DataclassInstance, dataset: Dataset) -> dict[str, Any]:
    """All that decides the weights of a training: kind, configuration (but threads and paths) and data."""
    content = {"kind": kind, **settings(config), "data_sha256": dataset.sha256()}
    for name in ("threads", "guide"):  # of recordings the content counts
        content.pop(name, None)
    return {key: value for key, value in content.items() if key not in UNSTATED or value != UNSTATED[key]}


def identity_of(artifact: Artifact) -> dict[str, Any]:
    """The `identity` that the manifest of a finished run states."""
    manifest = artifact.manifest
    try:
        return {"kind": manifest["kind"], **manifest["config"], "data_sha256": manifest["data"]["sha256"]}
    except (KeyError, TypeError) as error:
        raise UserError("manifest: lacks its kind, config or data; train the run again") from error


def check_identity(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise UserError if what a run was made with is not what is asked for."""
    found, wanted = {**UNSTATED, "kind": wanted["kind"], **_renamed(found)}, {**UNSTATED, **wanted}
    for key in wanted:
        if found.get(key) != wanted[key]:
            raise UserError(
                f"run {folder}: was made with {key} {found.get(key)}, asked for {wanted[key]}; "
                "resume with the same settings, or give another --out"
            )


def _renamed(found: Mapping[str, Any]) -> dict[str, Any]:
    """What older versions called the noise of stock rules are its draws; noise is on images since."""
    old = found.get("noise")
    return {**found, "noise": 0.0, "draws": old} if isinstance(old, str) else dict(found)
