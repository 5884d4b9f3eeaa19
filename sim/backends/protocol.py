"""The contract of every backend: open a spec, run images, get a `Record`. And the registry of backends by name.

All backends must return identical integers for the same spec, payloads, targets and seed; `sim.backends.reference` is
the executable definition. What a backend cannot do it declares in `Capabilities` and refuses with a UserError.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from torch import Tensor

from neuro.base.arrays import Int8, Int16, Int32, Integers
from neuro.base.checks import Range, require_choice
from neuro.base.errors import UserError
from neuro.equilibrium.graded_network import AnyNetwork
from neuro.spec.neurons import SigmaDelta
from neuro.spec.plasticity import Rate
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.record import LearningOutcome, Record

MAX_BATCH = 4096  # images that learn from the same weights


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do: `families` of specs, and whether it `learns` by local rules."""

    families: frozenset[str]
    learns: bool


class Session(Protocol):
    """A spec opened on a backend. Use as a context manager; `close` releases processes and memory."""

    spec: NetworkSpec

    def run(
        self,
        payloads: Integers,
        targets: Integers | None = None,
        *,
        seed: int = 0,
        first_image: int = 0,
        keep_states: bool = False,
        keep_spikes: bool = False,
    ) -> Record:
        """Run images with the weights as they are.

        Args:    payloads of shape [B, N] as the spec's encoder gives them; targets of shape [B, K] in state units, or
                 None to run the free phase only; seed and first_image number the images for the sign of the nudge.
        Returns: a Record of `phases` = all phases if targets are given, else the free phase alone.
        """
        ...

    def learn(
        self, payloads: Integers, targets: Integers, rates: Mapping[str, Rate], *, seed: int, first_image: int
    ) -> LearningOutcome:
        """Train on images in the order given; `rates` by projection; `first_image` counts presentations so far."""
        ...

    def weights(self) -> dict[str, Int8]:
        """Return a copy of the int8 weights by projection (those that are no transposes)."""
        ...

    def full_weights(self) -> dict[str, Int16]:
        """Return a copy of the plastic weights with their shadow bits, by projection: what a checkpoint keeps."""
        ...

    def restore(self, full: Mapping[str, Int16]) -> None:
        """Set the plastic weights to what `full_weights` returned."""
        ...

    def close(self) -> None:
        """Release everything the session holds."""
        ...

    def __enter__(self) -> Session: ...

    def __exit__(self, *exception: object) -> None: ...


Self = TypeVar("Self", bound="SessionBase")


class SessionBase:
    """What sessions have in common that hold nothing to release."""

    def close(self) -> None:
        """Nothing to release."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Backend(Protocol):
    """A way to run specs."""

    name: str
    capabilities: Capabilities

    def open(self, spec: NetworkSpec, *, threads: int | None = None, batch_size: int = 1) -> Session:
        """Prepare `spec`. threads: None for all cores. batch_size: images that learn from the same weights."""
        ...


REGISTRY = {
    "events": "sim.backends.events.backend:EventsBackend",
    "chip": "sim.backends.stock.backend:ChipBackend",
    "reference": "sim.backends.reference:ReferenceBackend",
    "torch": "sim.backends.batched.backend:TorchBackend",
    "lava": "sim.backends.lava.backend:LavaBackend",
    "snntorch": "sim.backends.snn.backend:SnnTorchBackend",
    "loihi2": "hardware.board.backend:BoardBackend",
}


def get_backend(name: str) -> Backend:
    """Return the backend called `name`; its module is imported only now.

    Raises: UserError if there is none of that name.
    """
    require_choice("backend", name, REGISTRY)
    module, attribute = REGISTRY[name].split(":")
    backend: Backend = getattr(importlib.import_module(module), attribute)()
    return backend


def native_backend(spec: AnyNetwork) -> str:
    """Return the backend that trains networks of this family: the fast one."""
    return "events" if isinstance(spec, NetworkSpec) else "chip"


def one_hot_targets(spec: AnyNetwork, labels: Integers) -> Int32:
    """Return targets of shape [B, K]: the real value 1 for the label, 0 elsewhere, in state units (stock: spikes).

    Raises: UserError if a label is no output neuron.
    """
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < spec.n_classes:
        raise UserError(f"labels span {labels.min()}..{labels.max()}, the network has classes 0..{spec.n_classes - 1}")
    neuron = spec.population(spec.output).neuron
    targets = np.zeros((len(labels), spec.n_classes), dtype=np.int32)
    targets[np.arange(len(labels)), labels] = neuron.one if isinstance(neuron, SigmaDelta) else 1
    return targets


def check_options(name: str, threads: int | None, batch_size: int) -> None:
    """Raise UserError unless the options of `Backend.open` are in range."""
    Range(1).require(f"backend {name}", threads=threads)
    Range(1, MAX_BATCH).require(f"backend {name}", batch_size=batch_size)


def check_payloads(spec: NetworkSpec, payloads: Integers, targets: Integers | None) -> None:
    """Raise UserError unless payloads and targets have the shapes and ranges the spec declares."""
    source = spec.population(spec.input)
    if payloads.ndim != 2 or payloads.shape[1] != source.size:
        raise UserError(f"payloads of shape {payloads.shape}: the input population needs [B, {source.size}]")
    if payloads.size and max(-int(payloads.min()), int(payloads.max())) > source.neuron.payload_limit:
        raise UserError(f"payloads exceed the limit {source.neuron.payload_limit} of population {source.name}")
    if targets is not None and targets.shape != (len(payloads), spec.n_classes):
        raise UserError(f"targets of shape {targets.shape}: {len(payloads)} images need [B, {spec.n_classes}]")
    one = spec.unit(spec.output).one
    if targets is not None and targets.size and max(-int(targets.min()), int(targets.max())) > one:
        raise UserError(f"targets exceed the real value 1 ({one}); scale them into [-1, 1]")


class Workers(Protocol):
    """Processes that share every batch of a training: see `sim.training.parallel.data_parallel`."""

    rank: int
    size: int

    def gather(self, mine: Tensor) -> Tensor:
        """Return, of shape [size, ...], what every worker gave, by rank; all give the same shape."""
        ...

    def told(self, content: bytes) -> bytes:
        """Return what the first worker says."""
        ...
