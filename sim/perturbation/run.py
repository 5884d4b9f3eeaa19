"""Perturbed test images shown to a finished run and to a baseline, kind by kind, kept in the folder of the run.

One shard is one kind; several processes or machines can share them (`settle perturb RUN --shard i/n`). A later call
with more kinds or severities measures only what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neuro.artifact.run_folder import Artifact
from neuro.base.arrays import Array, Arrays, Bools, Integers
from neuro.base.errors import UserError
from neuro.base.files import array_bytes, json_bytes, parse_arrays, read_bytes, sha256, shown, write_atomically
from neuro.data.sets import require_test_images
from sim.backends.protocol import get_backend
from sim.evaluate import data_of, is_coder, load_run
from sim.perturbation.config import IMAGES, SMALL, PerturbConfig
from sim.perturbation.corruptions import KINDS, Corruptor, meaningful, require_pictures
from sim.perturbation.result import LOSES_NOTHING, Answers, PerturbResult
from sim.perturbation.tables import MNIST_C, SEVERITIES
from sim.robustness.defences.baselines import real_images
from sim.robustness.defences.same_shape import PERCEPTRON, perceptron_of

PERTURBATIONS, RESULT = "perturbations", "perturbation.json"
MNIST_SET = "mnist-c"
REMEDY = "delete the file and perturb again"
Classify = Callable[[Array], Integers]  # images [n, ...] -> classes [n]


class PerturbRun:
    """One set of perturbations of one run. against: a run to compare with, None for the perceptron of its shape."""

    verb, work, on_gpu = "perturb", f"{__name__}:do_request", False

    def __init__(self, run: Path, config: PerturbConfig, against: Path | None = None) -> None:
        self.run, self.against = run, against
        self.artifact = _classifier(run)
        self.dataset = data_of(self.artifact)
        require_pictures(self.dataset.image_shape)
        images = min(IMAGES, len(self.dataset.y_test)) if config.images is None else config.images
        require_test_images(self.dataset, images)
        self.config = settled(config, self.dataset.image_shape, images)
        frost = Path(self.config.frost) if self.config.frost else None
        self.corruptor = Corruptor(self.config.table or self.config.set, self.config.seed, frost)
        self.other = None if against is None else _classifier(against)
        if self.other and self.other.manifest["data"]["sha256"] != self.artifact.manifest["data"]["sha256"]:
            raise UserError(f"run {against}: its data or their split differ; give a run of the same data and seed")

    @property
    def backend(self) -> str:
        """The backend that classifies."""
        return self.config.backend or self.artifact.spec.native_backend

    @property
    def folder(self) -> Path:
        """The folder of all such perturbations: a function of what decides an answer."""
        asked = {
            "set": self.config.set, "table": self.config.table, "seed": self.config.seed, "images": self.config.images,
            "backend": self.backend, "frost": _content(self.corruptor.frost),
            "weights": [_weights(artifact) for artifact in (self.artifact, self.other) if artifact],
        }  # fmt: skip
        return self.run / PERTURBATIONS / f"{self.config.set}-{sha256(json_bytes(asked, sort_keys=True))[:10]}"

    @property
    def n_shards(self) -> int:
        """Kinds."""
        return len(self.config.kinds)

    def path(self, shard: int) -> Path:
        """File of a shard, counted from 1."""
        if not 1 <= shard <= self.n_shards:
            raise UserError(f"shard {shard} of {self.n_shards}: {self.n_shards} kinds make as many shards")
        return self.folder / f"{self.config.kinds[shard - 1]}.npz"

    def answers(self, shard: int) -> Arrays:
        """By severity, as text: whether network and baseline were right, of shape [2, n].

        Raises: UserError if the file is damaged.
        """
        path = self.path(shard)
        if not path.is_file():
            return {}
        arrays = parse_arrays(read_bytes(path), path)
        for rows in arrays.values():
            if rows.shape != (2, self.config.images) or rows.dtype != np.bool_:
                raise UserError(f"{shown(path)}: holds answers of other images; {REMEDY}")
        return arrays

    def missing(self) -> list[int]:
        """The shards, counted from 1, with severities still to do."""
        wanted = set(map(str, self.config.severities))
        return [shard for shard in range(1, self.n_shards + 1) if wanted - self.answers(shard).keys()]

    def prepare(self) -> None:
        """Train the perceptron, which all shards share."""
        if self.against is None:
            perceptron_of(self.run, self.artifact, self.dataset, tuned=True)

    def request(self, shard: int) -> dict[str, Any]:
        """What `do_request` needs to do a shard elsewhere."""
        against = None if self.against is None else str(self.against.resolve())
        return {"run": str(self.run.resolve()), "config": asdict(self.config), "against": against, "shard": shard}

    def do(self, shard: int, progress: Callable[[str], None] | None = None) -> None:
        """Show all images of one kind, in the severities that are missing, to both classifiers."""
        torch.set_num_threads(1)
        path, arrays, kind = self.path(shard), dict(self.answers(shard)), self.config.kinds[shard - 1]
        images = self.dataset.x_test[: self.config.images]
        for severity in self.config.severities:
            if str(severity) in arrays:
                continue
            if progress:
                progress(f"{self.corruptor.name_of(kind)}, severity {severity}")
            perturbed = self.corruptor(images, kind, severity)
            arrays[str(severity)] = np.stack([self._right(answer, perturbed) for answer in self._both()])
        write_atomically(path, array_bytes(arrays))

    def _both(self) -> tuple[Classify, Classify]:
        network = _deployed(self.artifact, self.backend)
        if self.other is not None:
            return network, _deployed(self.other, self.other.spec.native_backend)
        return network, _plain(perceptron_of(self.run, self.artifact, self.dataset, tuned=True))

    def _right(self, answer: Classify, images: Array) -> Bools:
        right: Bools = answer(images) == self.dataset.y_test[: len(images)]
        return right

    def result(self) -> PerturbResult:
        """What all kinds together cost. Raises: UserError if some are missing. Writes: a file beside the answers."""
        if self.missing():
            raise UserError(f"perturb {self.folder}: shards {self.missing()} are missing; run them first")
        severities = list(map(str, self.config.severities))
        parts = [self.answers(shard) for shard in range(1, self.n_shards + 1)]
        right: Bools = np.array([[part[severity] for severity in severities] for part in parts])
        images = self.dataset.x_test[: self.config.images]
        clean = [self._right(answer, images) for answer in self._both()]
        names = ("network", PERCEPTRON if self.against is None else str(self.against))
        network, baseline = (Answers(names[k], clean[k], right[:, :, k]) for k in range(2))
        kinds, shape = self.config.kinds, self.dataset.image_shape
        identical = tuple(kind for kind in kinds if kind not in meaningful(kinds, shape))
        result = PerturbResult(
            str(self.run),
            self.config,
            {kind: self.corruptor.name_of(kind) for kind in kinds},
            network,
            baseline,
            identical,
        )
        result = replace(result, notes=notes_of(result))
        content = {**result.to_json(), "names": dict(result.names), "weights_sha256": _weights(self.artifact)}
        write_atomically(self.folder / RESULT, json_bytes(content))
        return result


def settled(config: PerturbConfig, shape: tuple[int, ...], images: int) -> PerturbConfig:
    """The configuration with all that follows from the images."""
    table = config.table or ("cifar" if max(shape[:2]) <= SMALL else "imagenet")
    if config.set == MNIST_SET:
        return replace(config, images=images, kinds=config.kinds or tuple(MNIST_C), severities=(1,))
    return replace(
        config, table=table, images=images, kinds=config.kinds or tuple(KINDS),
        severities=config.severities or SEVERITIES,
    )  # fmt: skip


def notes_of(result: PerturbResult) -> tuple[str, ...]:
    """What a reader of the means must know."""
    notes = [
        f"{result.names[kind]}: identical by definition on images of one channel; left out of all means"
        for kind in result.identical
    ]
    unrelated = [result.names[result.kinds[k]] for k in result.counted if k not in result.related]
    if unrelated:
        notes.append(
            f"relative mCE leaves out what costs {result.baseline.name} less than {LOSES_NOTHING:g}: "
            f"{', '.join(unrelated)}"
        )
    return tuple(notes)


def _deployed(artifact: Artifact, backend: str) -> Classify:
    """The deployed integers."""

    def classify(images: Array) -> Integers:
        with get_backend(backend).open(artifact.spec, threads=1) as session:
            return session.run(artifact.spec.encoder.encode(images), seed=artifact.manifest["seed"]).predictions

    return classify


def _plain(model: torch.nn.Module) -> Classify:
    """A network of torch."""

    def classify(images: Array) -> Integers:
        with torch.no_grad():
            classes: Integers = model(real_images(images)).argmax(1).numpy()
            return classes

    return classify


def _classifier(run: Path) -> Artifact:
    artifact = load_run(run)
    if is_coder(artifact):
        raise UserError(f"run {run}: a sparse coder has no classes; perturb a classifier behind it")
    return artifact


def _weights(artifact: Artifact) -> str:
    return str(artifact.manifest["files"]["weights.npz"])


def _content(folder: Path | None) -> list[str]:
    """What pictures a folder holds."""
    return [] if folder is None else [sha256(read_bytes(path)) for path in sorted(folder.glob("*")) if path.is_file()]


def do_request(request: Mapping[str, Any]) -> None:
    """Do one shard, in another process or on another machine that sees the same files."""
    against = None if request["against"] is None else Path(request["against"])
    PerturbRun(Path(request["run"]), PerturbConfig(**request["config"]), against).do(request["shard"])
