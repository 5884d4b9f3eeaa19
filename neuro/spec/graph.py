"""What both families of networks share: groups of neurons, unique names, one connected graph."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from neuro.base.errors import UserError, require_integers


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


def check_unique(owner: str, kind: str, names: Sequence[str]) -> None:
    """Raise UserError if two things of a `kind` have the same name."""
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{owner}: {kind} {name!r} is defined twice; names must be unique")


def check_connected(names: Iterable[str], edges: Sequence[Edge], start: str) -> None:
    """Raise UserError unless edges, in whatever direction, join every population to `start`; backends run one graph."""
    reached, waiting = {start}, [start]
    while waiting:
        name = waiting.pop()
        neighbours = {end for edge in edges if name in (edge.source, edge.target) for end in (edge.source, edge.target)}
        waiting += neighbours - reached
        reached |= neighbours
    for name in names:
        if name not in reached:
            raise UserError(
                f"population {name}: no projection joins it, directly or through others, to {start!r}; "
                "add a projection, or drop the population"
            )
