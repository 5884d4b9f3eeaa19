"""Evaluate a finished run on any backend, and check that backend against another, integer for integer."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

from neuro.artifact.run_folder import MANIFEST, Artifact, load_artifact
from neuro.base.errors import UserError
from neuro.base.files import is_file, parse_json, read_bytes, shown, write_atomically
from neuro.base.metrics import Accuracy, accuracy
from neuro.base.schema import parsed
from neuro.base.shown import Lines, Shown
from neuro.data.preparation import IDENTITY
from neuro.data.sets import OWN_DATA, Dataset, load_dataset, require_test_images
from neuro.spec.network import Network
from sim.backends.protocol import AnyBackend, one_hot_targets
from sim.backends.record import Differences, Record, compare
from sim.training.manifests import require_manifest
from sim.training.results import preparation_of

RESULTS = "results.jsonl"


@dataclass(frozen=True, repr=False)
class Evaluation(Shown):
    """Accuracy and spikes of a run on a backend, measured on the first n test images.

    accuracy: None of a sparse coder, which has no classes.
    check: name of the backend it was compared with, "" if none; then `differences` over all phases, free and nudged.
    remark: what its session tells of how it computed, "" if nothing.
    """

    run: str
    backend: str
    accuracy: Accuracy | None
    spikes_per_inference: float
    n: int
    check: str = ""
    differences: Differences | None = None
    remark: str = ""

    def lines(self) -> Lines:
        """See `Shown`."""
        measured = self.accuracy.describe() if self.accuracy else "none: a sparse coder has no classes"
        rows = [
            ("run", self.run),
            ("backend", self.backend),
            ("accuracy", measured),
            ("spikes per inference", f"{self.spikes_per_inference:.1f}"),
        ]
        if self.remark:
            rows.append(("device", self.remark))
        if self.differences is not None:
            rows.append((f"{self.backend} = {self.check}?", equality_sentence(self)))
        return rows

    def to_json(self) -> dict[str, Any]:
        """The object that `settle evaluate --json` prints."""
        differences = self.differences
        keys = ("spikes", "states", "predictions")
        return {
            "run": self.run,
            "backend": self.backend,
            "accuracy": None if self.accuracy is None else self.accuracy.value,
            "n": self.n,
            "spikes_per_inference": self.spikes_per_inference,
            "differences": None if differences is None else {key: getattr(differences, key) for key in keys},
        }


NEEDED = ("seed", "config", "chosen", "data", "versions", "results", "history")


def load_run(folder: Path) -> Artifact:
    """Read a finished training. Raises: UserError if it cannot be read or its manifest lacks something."""
    artifact = load_artifact(folder)
    needed = NEEDED if is_coder(artifact) else (*NEEDED, "best_epoch")
    missing = [key for key in needed if key not in artifact.manifest]
    if missing:
        raise UserError(f"run {folder}: its manifest lacks {', '.join(missing)}; train it again")
    require_manifest(artifact.manifest, shown(folder / MANIFEST))
    data = artifact.manifest["data"]
    if data["source"] == OWN_DATA:
        data["source"] = str((folder / OWN_DATA).resolve())
    return artifact


def is_coder(artifact: Artifact) -> bool:
    """Whether a run is a sparse coder: it has codes, and no classes."""
    return artifact.manifest.get("kind") == "lca"


def data_of(artifact: Artifact) -> Dataset:
    """The data set a run was trained on.

    Raises: UserError if it cannot be found or is no longer the same.
    """
    try:
        description = artifact.manifest["data"]
        preparation = preparation_of(description)
        like = IDENTITY if preparation.kept else preparation
        dataset = load_dataset(description["source"], artifact.manifest["seed"], like=like)
    except KeyError as error:
        raise UserError(f"manifest: lacks {error}; train the run again") from error
    if dataset.sha256() != description["sha256"]:
        raise UserError(f"data set {description['name']}: differs from the one the run was trained on; restore it")
    return replace(dataset, preparation=preparation)


def evaluate(
    artifact: Artifact, run_name: str | Path, dataset: Dataset, backend: AnyBackend, n_images: int | None,
    check: AnyBackend | None, **options: Any,
) -> Evaluation:  # fmt: skip
    """Evaluate the first `n_images` test images (None: all) on `backend`; with `check`, run both through all phases.

    options are passed on to `backend.open`.
    """
    spec, coder = artifact.spec, is_coder(artifact)
    _check_fits(spec, dataset, n_images, 0 if coder else dataset.n_classes)
    count = n_images or len(dataset.y_test)
    payloads, labels = spec.encoder.encode(dataset.x_test[:count]), dataset.y_test[:count]
    targets = None if check is None or coder else one_hot_targets(spec, labels)

    def run(chosen: AnyBackend, **more: Any) -> tuple[Record, str]:
        with chosen.open(spec, **more) as session:
            kept, seed = check is not None, artifact.manifest["seed"]
            found = session.run(payloads, targets, seed=seed, keep_states=kept, keep_spikes=kept)
            return found, session.remark

    record, remark = run(backend, **options)
    return Evaluation(
        run=str(run_name),
        backend=backend.name,
        accuracy=None if coder else accuracy(record.predictions, labels),
        spikes_per_inference=record.spikes_per_inference(spec),
        n=count,
        check=check.name if check else "",
        differences=compare(record, run(check)[0]) if check else None,
        remark=remark,
    )


def _check_fits(spec: Network, dataset: Dataset, n_images: int | None, n_classes: int) -> None:
    """Raise UserError unless the network takes these images and classes, and there are so many."""
    if spec.n_inputs != dataset.x_test[0].size:
        raise UserError(
            f"data set {dataset.name}: images have {dataset.x_test[0].size} values, the network {spec.n_inputs}"
        )
    if n_classes > spec.n_classes:
        raise UserError(f"data set {dataset.name}: has {n_classes} classes, the network {spec.n_classes}")
    if dataset.image_shape != spec.image_shape:
        raise UserError(
            f"data set {dataset.name}: images have shape {dataset.image_shape}, the network takes {spec.image_shape}"
        )
    require_test_images(dataset, n_images)


def add_result(folder: Path, artifact: Artifact, evaluation: Evaluation) -> None:
    """Append an evaluation to the run's results.jsonl, marked with the hash of the weights it holds for."""
    row = {"kind": "evaluation", "weights_sha256": artifact.manifest["files"]["weights.npz"], **asdict(evaluation)}
    path = folder / RESULTS
    before = read_bytes(path) if is_file(path) else b""
    write_atomically(path, before + json.dumps(row).encode() + b"\n")


def read_results(folder: Path, artifact: Artifact) -> list[Evaluation]:
    """The evaluations of a run that hold for its present weights, oldest first."""
    path = folder / RESULTS
    if not is_file(path):
        return []
    weights = artifact.manifest["files"]["weights.npz"]
    rows = [_row(line, path) for line in read_bytes(path).splitlines() if line.strip()]
    return [row for sha256, row in rows if sha256 == weights]


def _row(line: bytes, path: Path) -> tuple[str, Evaluation]:
    """The hash of the weights a line holds for, and what it says."""
    content, owner, remedy = parse_json(line, path), shown(path), "delete the file and evaluate again"
    if isinstance(content.get("accuracy"), dict):
        content = {"n": content["accuracy"].get("n"), **content}  # rows of older versions
    marked = parsed(content, _Marked, owner, remedy)
    return marked["weights_sha256"], parsed(content, Evaluation, owner, remedy)


class _Marked(TypedDict):
    weights_sha256: str


def equality_sentence(evaluation: Evaluation) -> str:
    """Say in words what a check compared and found."""
    counts = evaluation.differences
    if counts is None:
        return "not checked"
    verdict = "equal" if counts.total == 0 else "DIFFERENT"
    return (
        f"{verdict}: {counts.n_images} images, {counts.n_spikes:,} spikes, all phases: {counts.spikes} spikes, "
        f"{counts.states} states, {counts.predictions} predictions differ"
    )
