"""What the sparse coders made of stock processes share: signals in, a graph that settles, codes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from neuro.base.arrays import Int64, Integers, Reals
from neuro.base.checks import Range, require_integers
from neuro.base.errors import UserError
from neuro.coding.problem import SparseProblem
from neuro.stock.processes import SpikeInput, StockSpec

INPUT, CODE = "input", "code"


@dataclass(frozen=True, eq=False)
class Drive:
    """What a graph is given for B signals: inputs of shape [B, T, n], bias mantissas [B, K] by population."""

    inputs: Integers
    biases: dict[str, Integers] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class StockCoder(ABC):
    """A sparse problem and the stock processes that solve it; codes are read at the population "code"."""

    problem: SparseProblem
    graph: StockSpec
    kind: ClassVar[str]

    def __post_init__(self) -> None:
        sizes = {population.name: population.size for population in self.graph.populations}
        if sizes.get(CODE) != self.problem.n_atoms:
            raise UserError(
                f"sparse coder: {sizes.get(CODE)} neurons in population {CODE!r}, the dictionary has "
                f"{self.problem.n_atoms} atoms; they must agree"
            )

    @abstractmethod
    def drive(self, signals: npt.ArrayLike, steps: int) -> Drive:
        """Return what presents real signals of shape [B, N] for so many steps.

        Raises: UserError if a signal cannot be presented.
        """

    @abstractmethod
    def codes(self, spikes: Mapping[str, Integers]) -> Reals:
        """Return the codes of shape [B, K] after a run, from what populations sent, of shape [B, T, N] by name.

        Raises: UserError if a code is beyond what the processes can hold.
        """

    def n_spikes(self, spikes: Mapping[str, Integers]) -> Int64:
        """Return, of shape [B], how many messages the neurons (not the inputs) sent for each signal."""
        moving = [p.name for p in self.graph.populations if not isinstance(p.neuron, SpikeInput)]
        counts = np.stack([np.count_nonzero(spikes[name], axis=(1, 2)) for name in moving])
        return np.asarray(counts.sum(axis=0), dtype=np.int64)


def check_steps(steps: int) -> None:
    """Raise UserError unless `steps` is a whole number of steps, at least 1."""
    require_integers("sparse coder", steps=steps)
    Range(1).require("sparse coder", steps=steps)
