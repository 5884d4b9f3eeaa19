"""The columns of the atlas: how each measure is taken of a trained row. A group of columns is measured together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from benchmarks.atlas.attacked import attacked
from benchmarks.atlas.cells import Cell, empty, packed, share_of
from benchmarks.atlas.subject import Subject, Training
from benchmarks.tools.noisy_perceptron import votes_of
from hardware.compile.compiler import compile_run
from hardware.energy.profile import profile
from neuro.base.arrays import Array, Bools
from neuro.base.files import parse_arrays, read_bytes
from neuro.base.quantities import Modelled
from sim.backends.protocol import get_backend
from sim.perturbation.config import PerturbConfig
from sim.perturbation.corruptions import KINDS, Corruptor, meaningful, require_pictures
from sim.perturbation.run import settled
from sim.robustness.certified.config import CertifyConfig
from sim.robustness.certified.result import Certificate, ImageVotes
from sim.robustness.certified.run import CertifyRun

Cells = dict[str, Cell]
Make = Callable[[Training], Subject]
NO_SPIKES = "no spikes: a network of torch, which is not placed on a chip"
PRICED = 20  # images


@dataclass(frozen=True)
class Asked:
    """What a measure is given: the trained row, its training, and how to train it again on other data."""

    subject: Subject
    training: Training
    make: Make

    @property
    def images(self) -> Array:
        """The test images."""
        return self.training.dataset.x_test

    def right(self, images: Array, subject: Subject | None = None) -> Bools:
        """Which of the first test images, as they are here, are answered rightly."""
        found: Bools = (subject or self.subject).classify(images) == self.training.dataset.y_test[: len(images)]
        return found


def clean(asked: Asked) -> Cells:
    """Accuracy on test images."""
    return {"clean": share_of(asked.right(asked.images[: asked.training.config.scale.clean]))}


def robust(asked: Asked) -> Cells:
    """Accuracy under the attacks of the suite quick, if its verdict is that they can be trusted."""
    scale, training = asked.training.config.scale, asked.training
    if len(training.dataset.y_test) < 100:
        return {"attacked": empty(f"{len(training.dataset.y_test)} test images: too few to judge an attack")}
    return {"attacked": attacked(asked.subject, training, min(scale.attacked, len(training.dataset.y_test)))}


def certified(asked: Asked) -> Cells:
    """Certified accuracy by randomised smoothing: of the smoothed classifier, on the same noisy copies for all rows."""
    training, subject = asked.training, asked.subject
    scale, dataset = training.config.scale, training.dataset
    config = CertifyConfig(
        sigma=(training.config.sigma,), radii=(training.config.radius,), samples=scale.samples,
        selection=scale.samples // 10, images=min(scale.certified, len(dataset.y_test)),
    )  # fmt: skip
    if subject.run is not None:
        job = CertifyRun(subject.run, config)
        for shard in job.missing():
            job.do(shard)
        certificate = job.result().certificates[0]
    else:
        certificate = _smoothed(subject, training, config)
    radius = training.config.radius
    right = np.array([
        row.selected == row.label and found is not None and found >= radius
        for row, found in zip(certificate.rows, certificate.image_radii, strict=True)
    ])  # fmt: skip
    return {"certified": share_of(right)}


def _smoothed(subject: Subject, training: Training, config: CertifyConfig) -> Certificate:
    """The certificate of a network of torch."""
    assert subject.module is not None
    dataset, sigma, rows = training.dataset, training.config.sigma, []
    shaped = nn.Sequential(nn.Unflatten(1, dataset.image_shape), subject.module)
    for image in range(config.images or 0):
        votes = [
            votes_of(
                shaped, dataset.x_test[image], sigma, dataset.n_classes, seed=config.seed, stream=image,
                first=first, count=count,
            )
            for first, count in ((0, config.selection), (config.selection, config.samples))
        ]  # fmt: skip
        rows.append(ImageVotes(image, int(dataset.y_test[image]), *(tuple(part.tolist()) for part in votes)))
    return Certificate(sigma, config, rows, (training.config.radius,), int(np.prod(dataset.image_shape)))


def corrupted(asked: Asked) -> Cells:
    """Answers on corrupted images, all kinds that change such images; what mCE is computed of."""
    dataset, scale = asked.training.dataset, asked.training.config.scale
    require_pictures(dataset.image_shape)
    n = min(scale.corrupted, len(dataset.y_test))
    config = settled(PerturbConfig(severities=scale.severities), dataset.image_shape, n)
    corruptor = Corruptor(config.table)
    right = np.array([
        [asked.right(corruptor(dataset.x_test[:n], kind, severity)) for severity in scale.severities]
        for kind in meaningful(tuple(KINDS), dataset.image_shape)
    ])  # fmt: skip
    return {"mce": Cell("measured", float(right.mean()), n=n, right=packed(right), shape=right.shape)}


def few(asked: Asked) -> Cells:
    """Accuracy of the same mechanism after few training images."""
    training = asked.training.few(asked.training.config.scale.per_class)
    right = asked.right(asked.images[: training.config.scale.clean], asked.make(training))
    return {"few": share_of(right)}


def on_chip(asked: Asked) -> Cells:
    """Spikes of an inference, and its energy and latency on a chip, modelled as bands."""
    if asked.subject.run is None:
        return {
            "spikes": empty(NO_SPIKES, "counted"), "energy": empty(NO_SPIKES, "modelled"),
            "latency": empty(NO_SPIKES, "modelled"),
        }  # fmt: skip
    artifact, n = asked.subject.artifact, min(asked.training.config.scale.spikes, len(asked.images))
    with get_backend(artifact.spec.native_backend).open(artifact.spec, threads=1) as session:
        record = session.run(artifact.spec.encoder.encode(asked.images[:n]), seed=artifact.manifest["seed"])
    spikes = Cell("counted", record.spikes_per_inference(artifact.spec), n=n)
    deployment = compile_run(asked.subject.run, dry_run=False, learns=False)
    priced = min(PRICED, len(asked.images))
    inference = profile(artifact, deployment, priced).inference
    return {
        "spikes": spikes, "energy": _band(inference.energy, priced), "latency": _band(inference.latency, priced)
    }  # fmt: skip


def _band(band: Modelled, n: int) -> Cell:
    return Cell("modelled", low=band.low, high=band.high, n=n)


def size(asked: Asked) -> Cells:
    """Numbers that were learned: those of weights.npz, or of the parameters of torch."""
    if asked.subject.run is None:
        assert asked.subject.module is not None
        return {"parameters": Cell("counted", float(sum(p.numel() for p in asked.subject.module.parameters())))}
    path = asked.subject.run / "weights.npz"
    return {"parameters": Cell("counted", float(sum(a.size for a in parse_arrays(read_bytes(path), path).values())))}


@dataclass(frozen=True)
class Measure:
    """A column. better: "more" or "less", "" where neither is; group: measures it together with others."""

    title: str
    better: str
    group: Callable[[Asked], Cells]
    unit: str = ""


MEASURES: Mapping[str, Measure] = {
    "clean": Measure("accuracy", "more", clean),
    "attacked": Measure("attacked, linf {eps:g}", "more", robust),
    "certified": Measure("certified, l2 {radius:g}, sigma {sigma:g}", "more", certified),
    "mce": Measure("mCE", "less", corrupted),
    "few": Measure("accuracy, {per_class} images a class", "more", few),
    "spikes": Measure("spikes", "less", on_chip),
    "energy": Measure("energy, modelled", "", on_chip, "J"),
    "latency": Measure("latency, modelled", "", on_chip, "s"),
    "parameters": Measure("parameters", "", size),
}
TOGETHER = {name: tuple(n for n, m in MEASURES.items() if m.group is MEASURES[name].group) for name in MEASURES}


def place_of(folder: Path, row: str, seed: int, column: str) -> Path:
    """The file of a cell."""
    return folder / "cells" / row / f"seed{seed}" / f"{column}.json"
