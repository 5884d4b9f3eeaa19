"""Front ends: a finished network whose codes are the images of the next one.

The next network is trained on the codes, computed once, and then deployed behind its front end as one network
(`neuro.spec.stack`; behind a coder of stock processes `neuro.coding.chain`). While it is trained a code of 2**bits
payload units counts as the real value 1, so that every code is a pixel in [0, 1] and is encoded without loss.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from neuro.artifact.run_folder import SELF, load_artifact
from neuro.base.arrays import Array, Int16, Int32
from neuro.base.errors import UserError
from neuro.coding.chain import Chain, shown
from neuro.coding.coder import StockCoder
from neuro.coding.fixed import fixed_network
from neuro.data.sets import Dataset
from neuro.front_ends.named import is_named, stated
from neuro.front_ends.pixels import MAX_ACTIVATION_BITS, PixelEncoder
from neuro.spec.network import Network
from neuro.spec.sigma_delta import NetworkSpec
from neuro.spec.stack import stack
from sim.backends.protocol import get_backend

CHUNK = 2048
SAMPLE = 1024  # training images whose codes say how large they are
CODE_BITS = 7  # of the payloads of stock coders


class Front(ABC):
    """A finished coder: its network, and the hash that names it in the manifests of networks behind it, if any is."""

    spec: Network
    sha256: str

    @property
    @abstractmethod
    def encoder(self) -> PixelEncoder:
        """The encoder of the network behind: codes as pixels, exactly."""

    @abstractmethod
    def payloads(self, images: Array, threads: int | None = None) -> Int16:
        """What the network behind is shown once the coder has settled, of shape [B, K], for images [B, ...]."""

    @abstractmethod
    def before(self, spec: NetworkSpec) -> Network:
        """The coder followed by `spec`, as one network."""

    @abstractmethod
    def stacked(self) -> FrontEnd:
        """The same, if another coder can stand behind it. Raises: UserError if not."""

    def codes(self, dataset: Dataset, threads: int | None = None) -> Dataset:
        """The data set of the codes, in place of the images: float32 in [0, 1], of shape [n, *code shape]."""
        shape = self.spec.population(self.spec.output).shape
        check_images(self.spec, dataset)
        one = np.float32(1 << self.encoder.activation_bits)
        train, test = (
            (self.payloads(images, threads) / one).astype(np.float32).reshape(-1, *shape)
            for images in (dataset.x_train, dataset.x_test)
        )
        if min(train.min(initial=0), test.min(initial=0)) < 0:
            raise UserError("front end: signed codes cannot be the input of another network; train it without --signed")
        return replace(dataset, x_train=train, x_test=test)


@dataclass(frozen=True, eq=False)
class FrontEnd(Front):
    """A coder of sigma-delta units, or a front end that does not learn: then its name, stated, is what names it."""

    spec: NetworkSpec
    sha256: str = ""

    @property
    def encoder(self) -> PixelEncoder:
        """See `Front.encoder`."""
        limit = self.spec.population(self.spec.output).neuron.payload_limit
        bits = max(math.ceil(math.log2(max(limit, 2))), 1)
        if bits > MAX_ACTIVATION_BITS:
            raise UserError(
                f"front end: codes up to {limit} exceed {MAX_ACTIVATION_BITS} bits; train it with coarser codes"
            )
        return PixelEncoder(activation_bits=bits)

    def payloads(self, images: Array, threads: int | None = None) -> Int16:
        """What the coder has told its receivers once settled; see `Front.payloads`."""
        neuron = self.spec.unit(self.spec.output)
        batches = [np.zeros((0, self.spec.population(self.spec.output).size), dtype=np.int16)]
        with get_backend("events").open(self.spec, threads=threads) as session:
            for first in range(0, len(images), CHUNK):
                record = session.run(self.spec.encoder.encode(images[first : first + CHUNK]))
                batches.append(neuron.activation(record.output_states.astype(np.int64)).astype(np.int16))
        return np.concatenate(batches)

    def before(self, spec: NetworkSpec) -> NetworkSpec:
        """See `Front.before`: one graph."""
        return stack(self.spec, spec)

    def stacked(self) -> FrontEnd:
        """See `Front.stacked`: itself."""
        return self


@dataclass(frozen=True, eq=False)
class StockFrontEnd(Front):
    """A coder of stock processes. A code of 2**shift scores is one unit of payload; 2**bits units are its limit."""

    spec: StockCoder
    sha256: str
    shift: int
    bits: int

    @staticmethod
    def fitted(spec: StockCoder, sha256: str, dataset: Dataset) -> StockFrontEnd:
        """The coder with the finest payloads of at most CODE_BITS that hold its codes of the first training images.

        Raises: UserError if the images have another shape, or all codes are zero.
        """
        check_images(spec, dataset)
        largest = int(_scores(spec, dataset.x_train[:SAMPLE], None).max(initial=0))
        if largest == 0:
            raise UserError("front end: all codes of the training images are zero; lower its sparsity threshold")
        bits = max(math.ceil(math.log2(largest)), 1)
        return StockFrontEnd(spec, sha256, max(bits - CODE_BITS, 0), min(bits, CODE_BITS))

    @property
    def encoder(self) -> PixelEncoder:
        """See `Front.encoder`."""
        return PixelEncoder(activation_bits=self.bits)

    def payloads(self, images: Array, threads: int | None = None) -> Int16:
        """See `Front.payloads`: the scores as `neuro.coding.chain` shows them."""
        return shown(_scores(self.spec, images, threads), self.shift, self.encoder.payload_limit)

    def before(self, spec: NetworkSpec) -> Chain:
        """See `Front.before`: a chain, for processes of two families are no one graph."""
        return Chain(self.spec, spec, self.shift)

    def stacked(self) -> FrontEnd:
        """Refused."""
        raise UserError(
            f"front end: a {self.spec.title} feeds no second coder; put a classifier behind it (settle train ep), or a "
            "coder behind the sigma-delta coder that it was made of"
        )


def check_images(spec: Network, dataset: Dataset) -> None:
    """Raise UserError unless the coder takes the images of the data set."""
    if spec.image_shape != dataset.image_shape:
        raise UserError(f"front end: takes images of shape {spec.image_shape}, the data has {dataset.image_shape}")


def _scores(spec: StockCoder, images: Array, threads: int | None) -> Int32:
    batches = [np.zeros((0, spec.n_classes), dtype=np.int32)]
    with get_backend(spec.native_backend).open(spec, threads=threads) as session:
        for first in range(0, len(images), CHUNK):
            batches.append(session.run(spec.encoder.encode(images[first : first + CHUNK])).output_states)
    return np.concatenate(batches)


def load_front_end(folder: Path, dataset: Dataset) -> Front:
    """The coder of a finished run, or what a name stands for, to be put in front of a network trained on `dataset`.

    Raises: UserError if it is none, or learned from other images of the same name: its training images may be test
    images here.
    """
    if is_named(str(folder)):
        return FrontEnd(fixed_network(str(folder), dataset.image_shape), stated(str(folder)))
    artifact = load_artifact(folder)
    if artifact.manifest.get("kind") != "lca":
        raise UserError(f"front end {folder}: is no sparse coder; train one with settle train lca")
    data = artifact.manifest.get("data", {})
    if data.get("name") == dataset.name and data.get("sha256") != dataset.sha256():
        raise UserError(f"front end {folder}: learned from another split of {dataset.name}; give the same --seed")
    spec, sha256 = artifact.spec, str(artifact.manifest[SELF])
    return FrontEnd(spec, sha256) if isinstance(spec, NetworkSpec) else _of_stock(spec, sha256, dataset)


def _of_stock(spec: Any, sha256: str, dataset: Dataset) -> StockFrontEnd:
    """A coder of stock processes: the only other kind that learns as one."""
    return StockFrontEnd.fitted(spec, sha256, dataset)
