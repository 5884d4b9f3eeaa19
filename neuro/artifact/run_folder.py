"""Artifact: a trained network on disk. Folder with spec.json, weights.npz and manifest.json.

manifest.json is written last and holds the SHA-256 of the other two and of itself, with seed, versions, configuration,
data hash and results: enough to replay the run, and to notice a truncated or edited file.
"""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from neuro.artifact.sigma_delta import spec_arrays, spec_from_json, spec_to_json
from neuro.artifact.stock import (
    FEED_FORWARD,
    feed_forward_from_json,
    feed_forward_to_json,
    network_arrays,
    network_from_json,
    network_to_json,
)
from neuro.base.arrays import Arrays
from neuro.base.errors import UserError
from neuro.base.files import array_bytes, json_bytes, parse_arrays, parse_json, read_bytes, sha256, write_atomically
from neuro.equilibrium.graded_network import AnyNetwork, GradedNetwork
from neuro.equilibrium.graded_relu import GradedDesign
from neuro.stock.feed_forward import FeedForwardNetwork
from neuro.stock.network import StockNetwork

FORMAT = 1
SPEC, WEIGHTS, MANIFEST = "spec.json", "weights.npz", "manifest.json"
SELF = "manifest_sha256"
CODER_FAMILY = "stock-coder"  # what `neuro.artifact.coder` writes
RECORDED_PACKAGES = ("settle", "numpy", "numba", "torch", "lava-nc", "lava-dl", "nir")


@dataclass(frozen=True)
class Artifact:
    """A spec with the manifest of how it came to be.

    manifest keys: format, seed, config, versions, data (name, sha256, sizes), results, files (name -> sha256),
    manifest_sha256.
    """

    spec: AnyNetwork
    manifest: dict[str, Any]


def installed_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a result."""
    versions = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def manifest_hash(manifest: dict[str, Any]) -> str:
    """Return the SHA-256 of a manifest, its own hash left out, whatever the layout of the file."""
    content = {key: value for key, value in manifest.items() if key != SELF}
    return sha256(json_bytes(json.loads(json_bytes(content)), sort_keys=True))


def save_artifact(folder: Path, artifact: Artifact) -> None:
    """Write the artifact into `folder`, each file whole or not at all, the manifest last.

    Raises: UserError if the folder cannot be written.
    """
    write_run(folder, _to_json(artifact.spec), _arrays(artifact.spec), artifact.manifest)


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
    if fields.get("family") == CODER_FAMILY:
        raise UserError(f"run {folder}: holds a sparse coder, no classifier; read it with load_coder")
    return Artifact(_from_json(fields, arrays), manifest)


def read_run(folder: Path) -> tuple[dict[str, Any], Arrays, dict[str, Any]]:
    """Return the verified fields, arrays and manifest that `write_run` wrote; raises as `load_artifact` does."""
    if not (folder / MANIFEST).is_file():
        raise UserError(f"run {folder}: no {MANIFEST}; give the folder of a finished run (settle train ... --out)")
    manifest = parse_json(read_bytes(folder / MANIFEST), folder / MANIFEST)
    if manifest.get("format") != FORMAT:
        raise UserError(f"run {folder}: format {manifest.get('format')}, this version reads {FORMAT}; train it again")
    if manifest.get(SELF) != manifest_hash(manifest):
        raise UserError(f"run {folder}: {MANIFEST} differs from its own hash (edited); restore it")
    files = manifest.get("files")
    content = {}
    for name in (SPEC, WEIGHTS):
        content[name] = read_bytes(folder / name)
        if not isinstance(files, dict) or sha256(content[name]) != files.get(name):
            raise UserError(
                f"run {folder}: {name} differs from its hash in {MANIFEST} (truncated or edited); restore it"
            )
    fields, arrays = parse_json(content[SPEC], folder / SPEC), parse_arrays(content[WEIGHTS], folder / WEIGHTS)
    return fields, arrays, manifest


def _to_json(network: AnyNetwork) -> dict[str, Any]:
    if isinstance(network, StockNetwork):
        return network_to_json(network)
    if isinstance(network, FeedForwardNetwork):
        return feed_forward_to_json(network)
    if isinstance(network, GradedNetwork):
        return {**spec_to_json(network.spec), "graded": asdict(network.design)}
    return spec_to_json(network)


def _arrays(network: AnyNetwork) -> Arrays:
    if isinstance(network, (StockNetwork, FeedForwardNetwork)):
        return network_arrays(network)
    return spec_arrays(network.spec if isinstance(network, GradedNetwork) else network)


def _from_json(content: dict[str, Any], arrays: Arrays) -> AnyNetwork:
    if content.get("family") == StockNetwork.family:
        return network_from_json(content, arrays)
    if content.get("family") == FEED_FORWARD:
        return feed_forward_from_json(content, arrays)
    spec = spec_from_json(content, arrays)
    if "graded" not in content:
        return spec
    try:
        return GradedNetwork(spec, GradedDesign(**content["graded"]))
    except TypeError as error:
        raise UserError(f"spec: not a graded network of this version ({error}); train it again") from error
