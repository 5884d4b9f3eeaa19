"""What a row of the atlas is about: a finished run, or a network of torch; and what it is trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.atlas.config import AtlasConfig
from neuro.artifact.run_folder import Artifact
from neuro.base.arrays import Array, Int64, Integers
from neuro.data.preparation import stratified_sample
from neuro.data.sets import Dataset
from sim.backends.protocol import get_backend
from sim.evaluate import load_run
from sim.robustness.defences.baselines import real_images

CHUNK = 1000


@dataclass(frozen=True, eq=False)
class Subject:
    """A trained network. run: the folder of a finished run, whose integers answer; or module, which answers itself."""

    run: Path | None = None
    module: torch.nn.Module | None = None

    @property
    def artifact(self) -> Artifact:
        """The finished run."""
        assert self.run is not None
        return load_run(self.run)

    def classify(self, images: Array) -> Integers:
        """The classes of images [n, *shape], uint8 or float in 0..1, of shape [n]."""
        if self.module is not None:
            with torch.no_grad():
                parts = [self.module(part).argmax(1) for part in real_images(images).split(CHUNK)]
            classes: Int64 = torch.cat(parts).numpy()
            return classes
        artifact = self.artifact
        with get_backend(artifact.spec.native_backend).open(artifact.spec, threads=1) as session:
            return session.run(artifact.spec.encoder.encode(images), seed=artifact.manifest["seed"]).predictions


@dataclass(frozen=True, eq=False)
class Training:
    """What a mechanism is given: data, seed, a folder of its own, and what the user asked for."""

    dataset: Dataset
    seed: int
    folder: Path
    config: AtlasConfig

    @property
    def hidden(self) -> tuple[int, ...]:
        """The hidden layer that all rows share in size."""
        return (self.config.hidden,)

    def few(self, per_class: int) -> Training:
        """The same with so many training images of a class, drawn by the seed."""
        labels = self.dataset.y_train
        order = np.random.default_rng([self.seed, 0xFE3]).permutation(len(labels))
        kept = np.sort(np.concatenate([order[labels[order] == k][:per_class] for k in np.unique(labels)]))
        return replace(self, dataset=reduced(self.dataset, kept), folder=self.folder / f"{per_class}-a-class")


def reduced(dataset: Dataset, kept: Int64) -> Dataset:
    """The data set with some of its training images only; without a source, for it is another set."""
    return replace(
        dataset, name=f"{dataset.name}, {len(kept)} training images", x_train=dataset.x_train[kept],
        y_train=dataset.y_train[kept], source="",
    )  # fmt: skip


def at_most(dataset: Dataset, n_train: int, seed: int) -> Dataset:
    """The data set with at most so many training images, the same share of every class."""
    n = len(dataset.y_train)
    if n <= n_train:
        return dataset
    return reduced(dataset, stratified_sample(dataset.y_train, n_train / n, np.random.default_rng([seed, 0xA71A5])))
