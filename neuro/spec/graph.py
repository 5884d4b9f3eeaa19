"""What both families of networks share: groups of neurons, unique names, one connected graph."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from neuro.base.arrays import AnyArray, Int8
from neuro.base.checks import require_integers
from neuro.base.errors import UserError
from neuro.spec.neurons import NeuronModel, SigmaDelta, Source
from neuro.spec.projection import Projection


@dataclass(frozen=True)
class NeuronGroup:
    """A group of identical neurons. `shape` is how they are laid out, e.g. (28, 28); order is row-major."""

    name: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.name:
            raise UserError("population: the name is empty; a population needs a name")
        for length in self.shape:
            require_integers(f"population {self.name}", length=length)
        if not self.shape or min(self.shape) < 1:
            raise UserError(f"population {self.name}: shape {self.shape} needs at least one neuron along each axis")

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(math.prod(self.shape))


class Edge(Protocol):
    """What joins two populations, by name."""

    @property
    def source(self) -> str:
        """Name of the population that sends."""
        ...

    @property
    def target(self) -> str:
        """Name of the population that receives."""
        ...


class Connection(Edge, Protocol):
    """A projection of either family."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def weights(self) -> AnyArray | None:
        """Its weights, None if it uses those of another."""
        ...


def check_unique(owner: str, kind: str, names: Sequence[str]) -> None:
    """Raise UserError if two things of a `kind` have the same name."""
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{owner}: {kind} {name!r} is defined twice; names must be unique")


def check_connected(names: Iterable[str], edges: Sequence[Edge], start: str) -> None:
    """Raise UserError unless edges, in whatever direction, join every population to `start`; backends run one graph."""
    visited, waiting = {start}, [start]
    while waiting:
        name = waiting.pop()
        neighbours = {end for edge in edges if name in (edge.source, edge.target) for end in (edge.source, edge.target)}
        waiting += neighbours - visited
        visited |= neighbours
    for name in names:
        if name not in visited:
            raise UserError(
                f"population {name}: no projection joins it, directly or through others, to {start!r}; "
                "add a projection, or drop the population"
            )


def reached(name: str, edges: Sequence[tuple[str, str]]) -> set[str]:
    """What can be reached from `name` along directed edges (from, to), itself included."""
    visited, waiting = {name}, [name]
    while waiting:
        here = waiting.pop()
        ahead = {target for source, target in edges if source == here} - visited
        waiting += ahead
        visited |= ahead
    return visited


@dataclass(frozen=True)
class Population(NeuronGroup):
    """A group of identical neurons of the sigma-delta family."""

    neuron: NeuronModel


@dataclass(frozen=True, eq=False)
class Graph:
    """Populations joined by projections of integer weights, and what one looks up in them."""

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]

    @cached_property
    def population_index(self) -> dict[str, int]:
        """Position of each population by name."""
        return {population.name: index for index, population in enumerate(self.populations)}

    @cached_property
    def projection_index(self) -> dict[str, int]:
        """Position of each projection by name."""
        return {projection.name: index for index, projection in enumerate(self.projections)}

    def population(self, name: str) -> Population:
        """The population called `name`."""
        return self.populations[self.population_index[name]]

    def projection(self, name: str) -> Projection:
        """The projection called `name`."""
        return self.projections[self.projection_index[name]]

    def original_of(self, projection: Projection) -> Projection:
        """The projection whose weights this one uses: itself, unless it is a transpose."""
        return projection if projection.transpose_of is None else self.projection(projection.transpose_of)

    def weights_of(self, projection: Projection) -> Int8:
        """The weights as a matrix [N_source, N_target]: transposes followed, convolutions unrolled.

        int8, but for pooled convolutions, whose entries are sums of kernel weights: int16.
        """
        original = self.original_of(projection)
        assert original.weights is not None  # check_spec: a transpose points at a projection with weights
        return self.matrix_of(projection, original.weights)

    def matrix_of(self, projection: Projection, weights: AnyArray) -> AnyArray:
        """The matrix [N_source, N_target] of `projection` if its original had these `weights`."""
        original = self.original_of(projection)
        if original.convolution is not None:
            weights = original.convolution.matrix(weights, self.population(original.source).shape)
        return weights if original is projection else projection.sign * weights.T

    def unit(self, name: str) -> SigmaDelta:
        """The model of a moving population: the output, any target of a projection, any of `moving`."""
        neuron = self.population(name).neuron
        assert isinstance(neuron, SigmaDelta)  # check_spec: the output moves, and sources receive nothing
        return neuron

    def shared_change(self, projection: Projection, change: AnyArray) -> AnyArray:
        """The change of the weights of `projection` from that of all its synapses, [N_source, N_target].

        The transpose of `matrix_of`: the sum over the synapses that share a weight; for all-to-all the change itself.
        """
        if projection.convolution is None:
            return change
        return projection.convolution.kernel_change(change, self.population(projection.source).shape)

    def shift_of(self, projection: Projection) -> int:
        """The left shift from payload x weight to the target's state unit."""
        source_bits = self.population(projection.source).neuron.activation_bits
        return self.unit(projection.target).state_bits - source_bits - projection.exponent

    @property
    def is_symmetric(self) -> bool:
        """Whether the network has an energy whose gradient it can follow: every coupling tied, no threshold."""
        transposed = {p.transpose_of for p in self.projections if p.sign == 1}
        return all(
            p.transpose_of is not None or p.name in transposed
            for p in self.projections
            if not isinstance(self.population(p.source).neuron, Source)
        ) and all(self.unit(p.name).threshold == 0 for p in self.moving)

    @property
    def moving(self) -> tuple[Population, ...]:
        """Hidden and output populations: what an inference computes."""
        return tuple(p for p in self.populations if isinstance(p.neuron, SigmaDelta))

    @property
    def plastic(self) -> tuple[Projection, ...]:
        """Projections that learn by a rule of their own."""
        return tuple(projection for projection in self.projections if projection.rule is not None)
