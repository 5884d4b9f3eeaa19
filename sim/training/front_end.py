"""Front ends: a finished network whose codes are the images of the next one.

The next network is trained on the codes, computed once, and then deployed behind its front end as one network
(`neuro.spec.stack`). While it is trained a code of 2**bits payload units counts as the real value 1, so that every code
is a pixel in [0, 1] and is encoded without loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from neuro.artifact.run_folder import SELF, load_artifact
from neuro.base.arrays import Array, Int16
from neuro.base.errors import UserError
from neuro.data.sets import Dataset
from neuro.front_ends.pixels import MAX_ACTIVATION_BITS, PixelEncoder
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend

CHUNK = 2048


@dataclass(frozen=True, eq=False)
class FrontEnd:
    """A finished coder: its network, and the hash that names it in the manifests of networks behind it, if any is."""

    spec: NetworkSpec
    sha256: str = ""

    @property
    def encoder(self) -> PixelEncoder:
        """The encoder of the network behind: codes as pixels, exactly."""
        limit = self.spec.population(self.spec.output).neuron.payload_limit
        bits = max(math.ceil(math.log2(max(limit, 2))), 1)
        if bits > MAX_ACTIVATION_BITS:
            raise UserError(
                f"front end: codes up to {limit} exceed {MAX_ACTIVATION_BITS} bits; train it with coarser codes"
            )
        return PixelEncoder(activation_bits=bits)

    def payloads(self, images: Array, threads: int | None = None) -> Int16:
        """The payloads that the coder has told its receivers once settled, of shape [B, K], for images [B, ...]."""
        neuron = self.spec.unit(self.spec.output)
        batches = [np.zeros((0, self.spec.population(self.spec.output).size), dtype=np.int16)]
        with get_backend("events").open(self.spec, threads=threads) as session:
            for first in range(0, len(images), CHUNK):
                record = session.run(self.spec.encoder.encode(images[first : first + CHUNK]))
                batches.append(neuron.activation(record.output_states.astype(np.int64)).astype(np.int16))
        return np.concatenate(batches)

    def codes(self, dataset: Dataset, threads: int | None = None) -> Dataset:
        """The data set of the codes, in place of the images: float32 in [0, 1], of shape [n, *code shape]."""
        shape = self.spec.population(self.spec.output).shape
        if self.spec.image_shape != dataset.image_shape:
            raise UserError(
                f"front end: takes images of shape {self.spec.image_shape}, the data has {dataset.image_shape}"
            )
        one = np.float32(1 << self.encoder.activation_bits)
        train, test = (
            (self.payloads(images, threads) / one).astype(np.float32).reshape(-1, *shape)
            for images in (dataset.x_train, dataset.x_test)
        )
        if min(train.min(initial=0), test.min(initial=0)) < 0:
            raise UserError("front end: signed codes cannot be the input of another network; train it without --signed")
        return replace(dataset, x_train=train, x_test=test)


def load_front_end(folder: Path, dataset: Dataset) -> FrontEnd:
    """The coder of a finished run, to be put in front of a network that is trained on `dataset`.

    Raises: UserError if it is none, or learned from other images of the same name: its training images may be test
    images here.
    """
    artifact = load_artifact(folder)
    if artifact.manifest.get("kind") != "lca" or not isinstance(artifact.spec, NetworkSpec):
        raise UserError(f"front end {folder}: is no sparse coder; train one with settle train lca")
    data = artifact.manifest.get("data", {})
    if data.get("name") == dataset.name and data.get("sha256") != dataset.sha256():
        raise UserError(f"front end {folder}: learned from another split of {dataset.name}; give the same --seed")
    return FrontEnd(artifact.spec, str(artifact.manifest[SELF]))
