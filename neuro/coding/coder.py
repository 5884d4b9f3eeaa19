"""What the sparse coders made of stock processes share: signals in, a graph that settles, codes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from neuro.base.errors import UserError, require_integers
from neuro.base.fixed_point import quantize
from neuro.coding.problem import Reals, SparseProblem
from neuro.stock.processes import SpikeInput, StockSpec

INPUT, CODE = "input", "code"
GOLDEN = (5**0.5 - 1) / 2  # phases that spread evenly

Integers = npt.NDArray[np.integer[Any]]


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

    def n_spikes(self, spikes: Mapping[str, Integers]) -> npt.NDArray[np.int64]:
        """Return, of shape [B], how many messages the neurons (not the inputs) sent for each signal."""
        moving = [p.name for p in self.graph.populations if not isinstance(p.neuron, SpikeInput)]
        counts = np.stack([np.count_nonzero(spikes[name], axis=(1, 2)) for name in moving])
        return np.asarray(counts.sum(axis=0), dtype=np.int64)


def check_steps(steps: int) -> None:
    """Raise UserError unless `steps` is a whole number of steps, at least 1."""
    require_integers("sparse coder", steps=steps)
    if steps < 1:
        raise UserError(f"sparse coder: steps {steps}; needs at least 1")


def present_spikes(signals: Reals, steps: int, input_bits: int) -> Integers:
    """Return inputs of shape [B, steps, N]: the payload round(x * 2**input_bits) at every step, or for input_bits 0
    binary spikes in a share x of the steps, evenly spread, every pixel at a phase of its own.

    Raises: UserError if a signal is outside -1..1, or outside 0..1 for binary spikes.
    """
    lowest = 0.0 if input_bits == 0 else -1.0
    if signals.size and not lowest <= signals.min() <= signals.max() <= 1.0:
        raise UserError(
            f"signals from {signals.min():.4g} to {signals.max():.4g}: spikes of input_bits {input_bits} hold "
            f"{lowest:g}..1; scale them, or set input_bits None (biases)"
        )
    if input_bits:
        payloads = quantize(signals, input_bits, -(1 << input_bits), 1 << input_bits)
        return np.repeat(payloads[:, None].astype(np.int32), steps, axis=1)
    phases = (np.arange(signals.shape[1]) * GOLDEN) % 1.0
    counts = np.floor(np.arange(steps + 1)[None, :, None] * signals[:, None] + phases)
    return np.diff(counts, axis=1).astype(np.int32)
