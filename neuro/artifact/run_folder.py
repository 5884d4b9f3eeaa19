"""Artifact: a trained network on disk. Folder with spec.json, weights.npz and manifest.json.

manifest.json is written last and holds the SHA-256 of the other two and of itself, with seed, versions, configuration,
data hash and results: enough to replay the run, and to notice a truncated or edited file.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from neuro.artifact.manifest import Manifest
from neuro.base.arrays import Arrays
from neuro.base.errors import UserError
from neuro.base.files import (
    RESTORE,
    array_bytes,
    is_file,
    json_bytes,
    parse_arrays,
    parse_json,
    read_bytes,
    sha256,
    shown,
    write_atomically,
)
from neuro.base.late import named
from neuro.base.schema import require_form
from neuro.spec.network import Network

FORMAT = 1
SPEC, WEIGHTS, MANIFEST = "spec.json", "weights.npz", "manifest.json"
SELF = "manifest_sha256"
FILES = {  # by kind of network, in this package: everything but the arrays as JSON, the arrays, and back
    "sigma-delta": ("sigma_delta:spec_to_json", "sigma_delta:spec_arrays", "sigma_delta:spec_from_json"),
    "graded-relu": ("graded:graded_to_json", "graded:graded_arrays", "graded:graded_from_json"),
    "lif": ("stock:network_to_json", "stock:network_arrays", "stock:network_from_json"),
    "spiking-coder": ("coder:spiking_to_json", "coder:coder_arrays", "coder:coder_from_json"),
    "graded-coder": ("coder:graded_to_json", "coder:coder_arrays", "coder:coder_from_json"),
    "chain": ("chain:chain_to_json", "chain:chain_arrays", "chain:chain_from_json"),
    "feed-forward": ("stock:feed_forward_to_json", "stock:network_arrays", "stock:feed_forward_from_json"),
}
KINDS = {  # by "family" in spec.json; else sigma-delta
    "stock": "lif",
    "stock-feed-forward": "feed-forward",
    "stock-coder": "spiking-coder",  # of either form
    "chain": "chain",
}
GRADED = "graded"  # in spec.json of networks made of a sigma-delta one
RECORDED_PACKAGES = ("settle", "numpy", "numba", "torch", "lava-nc", "lava-dl", "nir")


@dataclass(frozen=True)
class Artifact:
    """A spec with the manifest of how it came to be.

    manifest keys: format, seed, config, versions, data (name, sha256, sizes), results, files (name -> sha256),
    manifest_sha256.
    """

    spec: Network
    manifest: dict[str, Any]


def installed_versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide a result."""
    versions = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def manifest_hash(manifest: dict[str, Any]) -> str:
    """The SHA-256 of a manifest, its own hash left out, whatever the layout of the file."""
    content = {key: value for key, value in manifest.items() if key != SELF}
    return sha256(json_bytes(json.loads(json_bytes(content)), sort_keys=True))


def save_artifact(folder: Path, artifact: Artifact) -> None:
    """Write the artifact into `folder`, each file whole or not at all, the manifest last.

    Raises: UserError if the folder cannot be written.
    """
    to_json, arrays, _ = _files(artifact.spec.kind)
    write_run(folder, to_json(artifact.spec), arrays(artifact.spec), artifact.manifest)


def write_run(folder: Path, fields: dict[str, Any], arrays: Arrays, manifest: dict[str, Any]) -> None:
    """Write what makes up a run, each file whole or not at all, the manifest, with all hashes, last."""
    content = {SPEC: json_bytes(fields), WEIGHTS: array_bytes(arrays)}
    manifest = {**manifest, "format": FORMAT, "files": {name: sha256(data) for name, data in content.items()}}
    manifest[SELF] = manifest_hash(manifest)
    for name, data in content.items():
        write_atomically(folder / name, data)
    write_atomically(folder / MANIFEST, json_bytes(manifest))


def load_artifact(folder: Path) -> Artifact:
    """Read and verify an artifact.

    Raises: UserError if a file is missing, truncated or edited (hash mismatch), or of another version.
    """
    fields, arrays, manifest = read_run(folder)
    return Artifact(network_of(fields, arrays), manifest)


def network_of(fields: dict[str, Any], arrays: Arrays) -> Network:
    """The network that spec.json and weights.npz describe. Raises: UserError if they describe none."""
    *_, from_json = _files(_kind_of(fields))
    network: Network = from_json(fields, arrays)
    return network


def read_run(folder: Path) -> tuple[dict[str, Any], Arrays, dict[str, Any]]:
    """The verified fields, arrays and manifest that `write_run` wrote; raises as `load_artifact` does."""
    if not is_file(folder / MANIFEST):
        raise UserError(f"run {folder}: no {MANIFEST}; give the folder of a finished run (settle train ... --out)")
    manifest = parse_json(read_bytes(folder / MANIFEST), folder / MANIFEST)
    require_form(manifest, Manifest, shown(folder / MANIFEST), RESTORE)
    if manifest.get("format") != FORMAT:
        raise UserError(f"run {folder}: format {manifest.get('format')}, this version reads {FORMAT}; train it again")
    if manifest.get(SELF) != manifest_hash(manifest):
        raise UserError(f"run {folder}: {MANIFEST} differs from its own hash (edited); restore it")
    files, content = manifest.get("files", {}), {}
    for name in (SPEC, WEIGHTS):
        content[name] = read_bytes(folder / name)
        if sha256(content[name]) != files.get(name):
            raise UserError(
                f"run {folder}: {name} differs from its hash in {MANIFEST} (truncated or edited); restore it"
            )
    fields, arrays = parse_json(content[SPEC], folder / SPEC), parse_arrays(content[WEIGHTS], folder / WEIGHTS)
    return fields, arrays, manifest


def _files(kind: str) -> tuple[Callable[..., Any], ...]:
    return tuple(named(f"neuro.artifact.{function}") for function in FILES[kind])


def _kind_of(fields: dict[str, Any]) -> str:
    """The kind of the network that spec.json describes."""
    return "graded-relu" if GRADED in fields else KINDS.get(str(fields.get("family")), "sigma-delta")
