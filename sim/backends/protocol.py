"""The contract of every backend: open a spec, run images, get a `Record`. And the registry of backends by name.

All backends must return identical integers for the same spec, payloads, targets and seed; `sim.backends.reference` is
the executable definition. What a backend cannot do it declares in `Capabilities` and refuses with a UserError.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeGuard

import numpy as np
from torch import Tensor

from neuro.base.arrays import Int32, Integers
from neuro.base.checks import Range, require_choice
from neuro.base.errors import UserError
from neuro.base.late import named
from neuro.spec.network import Network
from sim.backends.session import AnySession, N

MAX_BATCH = 4096  # images that learn from the same weights


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do: `families` of networks, whether it `learns` by local rules, and in `batches`: several
    images from the same weights.
    """

    families: frozenset[str]
    learns: bool
    batches: bool = True


class Backend(ABC, Generic[N]):
    """A way to run networks: opens those of its families, on options that every backend takes and some of its own.

    Some open chains (`sim.backends.chain`), too, whose parts are of two families.
    """

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]

    @abstractmethod
    def open(self, spec: Network, *, threads: int | None = None, batch_size: int = 1) -> AnySession:
        """Prepare `spec`. threads: None for all cores. batch_size: images that learn from the same weights.

        Raises: UserError if the network is of another family, or an option out of range.
        """

    def admitted(self, spec: Network, threads: int | None, batch_size: int) -> N:
        """The network, if this backend runs it on these options. Raises: UserError as `open` does."""
        Range(1).require(f"backend {self.name}", threads=threads)
        Range(1, MAX_BATCH).require(f"backend {self.name}", batch_size=batch_size)
        if not self._runs(spec):
            raise UserError(f"backend {self.name}: it runs no {spec.family} networks; use {spec.native_backend}")
        if batch_size > 1 and not self.capabilities.batches:
            raise UserError(
                f"backend {self.name}: batch_size {batch_size}; the learning engine takes one image at a time"
            )
        return spec

    def _runs(self, spec: Network) -> TypeGuard[N]:
        return spec.family in self.capabilities.families


AnyBackend = Backend[Network]
REGISTRY = {
    "events": "sim.backends.events.backend:EventsBackend",
    "chip": "sim.backends.stock.backend:EmulatorBackend",
    "reference": "sim.backends.reference:ReferenceBackend",
    "torch": "sim.backends.batched.backend:TorchBackend",
    "lava": "sim.backends.lava.backend:LavaBackend",
    "snntorch": "sim.backends.snn.backend:SnnTorchBackend",
    "loihi2": "hardware.board.backend:BoardBackend",
}


def get_backend(name: str) -> AnyBackend:
    """The backend called `name`; its module is imported only now.

    Raises: UserError if there is none of that name.
    """
    require_choice("backend", name, REGISTRY)
    backend: AnyBackend = named(REGISTRY[name])()
    return backend


def one_hot_targets(spec: Network, labels: Integers) -> Int32:
    """Targets of shape [B, K]: the real value 1 for the label, 0 elsewhere, in state units (stock: spikes).

    Raises: UserError if a label is no output neuron.
    """
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < spec.n_classes:
        raise UserError(f"labels span {labels.min()}..{labels.max()}, the network has classes 0..{spec.n_classes - 1}")
    targets = np.zeros((len(labels), spec.n_classes), dtype=np.int32)
    targets[np.arange(len(labels)), labels] = spec.one
    return targets


class Workers(Protocol):
    """Processes that share every batch of a training: see `sim.training.parallel.data_parallel`."""

    rank: int
    size: int

    def gather(self, mine: Tensor) -> Tensor:
        """The tensors of all workers by rank, of shape [size, ...]; all give the same shape."""
        ...

    def told(self, content: bytes) -> bytes:
        """The bytes that the first worker tells all."""
        ...
