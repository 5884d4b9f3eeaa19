"""Network: the face that every network shows, whatever it is for and however it computes.

Backends, twins, attacks and reports speak to this face. What is done with networks of different kinds by different
means (twins, sections of a report, blocks of the chip, files) is looked up by `kind`: `neuro.artifact.run_folder`,
`sim.families`, `hardware.chip.families`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

import numpy as np

from neuro.base.arrays import Array, Int64
from neuro.base.errors import UserError
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.graph import Connection, NeuronGroup

Self = TypeVar("Self", bound="Network")


class Network(ABC):
    """A network that answers images: populations of neurons joined by projections.

    kind:           one word for how it computes: the key of every table of what to do with a network.
    title:          what messages call it.
    native_backend: name of the backend that trains networks of this kind: the fast one.
    first_step:     index of the first step at which neurons can send.
    family:         "sigma-delta" (our own unit) or "stock" (processes that Lava ships).
    input, output:  names of the populations where images enter, and where the answer is read.
    encoder:        how images become payloads.
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    native_backend: ClassVar[str]
    first_step: ClassVar[int]
    family: str
    input: str
    output: str
    encoder: PixelEncoder
    populations: tuple[NeuronGroup, ...]
    projections: tuple[Connection, ...]

    @property
    @abstractmethod
    def image_shape(self) -> tuple[int, ...]:
        """Shape of an image."""

    @property
    def n_inputs(self) -> int:
        """Values per image."""
        return math.prod(self.image_shape)

    @property
    def stochastic(self) -> bool:
        """Whether an answer depends on the seed: the input draws spikes."""
        return False

    @property
    def n_classes(self) -> int:
        """Number of output neurons."""
        return self.population(self.output).size

    @property
    @abstractmethod
    def free_steps(self) -> int:
        """Steps of an inference."""

    @property
    @abstractmethod
    def moving(self) -> Sequence[NeuronGroup]:
        """Hidden and output populations: what an inference computes."""

    @property
    @abstractmethod
    def plastic(self) -> Sequence[Connection]:
        """Projections that learn by a rule of their own."""

    @property
    @abstractmethod
    def one(self) -> int:
        """The target of the label's output neuron: the real value 1 in state units, or one spike."""

    @property
    def trained(self) -> Network:
        """The network whose weights training changes: this one, unless it was made of another."""
        return self

    @property
    def is_symmetric(self) -> bool:
        """Whether the network has an energy whose gradient it can follow: sigma-delta, every coupling tied."""
        return False

    @abstractmethod
    def population(self, name: str) -> NeuronGroup:
        """The population called `name`. Raises: KeyError."""

    @abstractmethod
    def phases(self) -> Int64:
        """The phase of each step from `first_step` on, of shape [steps]: 0 free, 1 and 2 nudged, -1 presentation."""

    @abstractmethod
    def fan_out(self, projection: Any) -> Int64:
        """Synapses of `projection` that a spike of each neuron of its source reaches, of shape [N_source]."""

    @abstractmethod
    def _with_projections(self: Self, projections: tuple[Any, ...]) -> Self:
        """The network with these projections in place of its own."""

    def with_weights(self: Self, weights: Mapping[str, Array]) -> Self:
        """The network with new weights, of the same shape, in the named projections.

        Raises: UserError if a projection has no weights of its own, or is unknown.
        """
        unknown = set(weights) - {p.name for p in self.projections if p.weights is not None}
        if unknown:
            raise UserError(f"{self.title}: no weights to set for {', '.join(sorted(unknown))}")
        own: tuple[Any, ...] = self.projections
        return self._with_projections(
            tuple(replace(p, weights=np.asarray(weights[p.name])) if p.name in weights else p for p in own)
        )
