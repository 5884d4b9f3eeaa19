"""What manifest.json of a run holds, of whatever kind; what its training adds stands in `sim.training.manifests`."""

from __future__ import annotations

from typing import Any, TypedDict

from neuro.base.schema import Count, Positive, Seed


class DataFrame(TypedDict):
    """The data a run was trained on: what finds them again, and their hash."""

    name: str
    source: str
    sha256: str


class DataSizes(DataFrame, total=False):
    """And how many they are."""

    n_train: Count
    n_validation: Count
    n_test: Count
    image_shape: list[Positive]
    n_classes: Count


class Manifest(TypedDict, total=False):
    """A run: seed, what was asked for and chosen, data, versions, results, and the hashes of the files."""

    format: int
    kind: str
    seed: Seed
    config: dict[str, Any]
    chosen: dict[str, Any]
    data: DataSizes
    versions: dict[str, str]
    results: dict[str, Any]
    history: list[dict[str, Any]]
    best_epoch: int
    files: dict[str, str]
    manifest_sha256: str
