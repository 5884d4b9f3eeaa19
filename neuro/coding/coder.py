"""What the sparse coders made of stock processes share: images or signals in, a graph that settles, codes out."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from neuro.base.arrays import Bools, Int64, Integers, Reals, Spikes
from neuro.base.checks import MOST_STEPS, Range, require_integers
from neuro.base.errors import UserError
from neuro.coding.problem import SparseProblem
from neuro.front_ends.pixels import PixelEncoder
from neuro.stock.family import StockFamily, steady
from neuro.stock.processes import SpikeInput, StockPopulation, StockProjection, StockSpec

INPUT, CODE = "input", "code"
Self = TypeVar("Self", bound="StockCoder")


@dataclass(frozen=True, eq=False)
class Drive:
    """What a graph is given for B signals: inputs of shape [B, T, n], bias mantissas [B, K] by population."""

    inputs: Integers
    biases: dict[str, Integers] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class StockCoder(StockFamily):
    """A sparse problem and the stock processes that solve it; codes are read at the population "code".

    encoder:     how images become signals: payloads * 2**-activation_bits.
    image_shape: shape of an image; (): as many values as the dictionary has pixels.
    free_steps:  steps of an inference.
    """

    problem: SparseProblem
    graph: StockSpec
    _: KW_ONLY
    encoder: PixelEncoder = field(default_factory=lambda: PixelEncoder(7))
    image_shape: tuple[int, ...] = ()
    free_steps: int = 256
    input = INPUT
    output = CODE
    rule = "lca"

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = {population.name: population.size for population in self.graph.populations}
        if sizes.get(CODE) != self.problem.n_atoms:
            raise UserError(
                f"sparse coder: {sizes.get(CODE)} neurons in population {CODE!r}, the dictionary has "
                f"{self.problem.n_atoms} atoms; they must agree"
            )
        object.__setattr__(self, "image_shape", self.image_shape or (self.problem.n_pixels,))
        if math.prod(self.image_shape) != self.problem.n_pixels:
            raise UserError(
                f"sparse coder: images of shape {self.image_shape}, atoms of {self.problem.n_pixels} pixels; "
                "they must agree"
            )
        check_steps(self.free_steps)

    @abstractmethod
    def drive(self, signals: npt.ArrayLike, steps: int) -> Drive:
        """What presents real signals of shape [B, N] for so many steps.

        Raises: UserError if a signal cannot be presented.
        """

    @abstractmethod
    def codes(self, spikes: Spikes) -> Reals:
        """The codes of shape [B, K] after a run, from what populations sent, of shape [B, T, N] by name.

        Raises: UserError if a code is beyond what the processes can hold.
        """

    @property
    @abstractmethod
    def code_unit(self) -> float:
        """The code that a score of 1 stands for, after an inference."""

    @cached_property
    def moving(self) -> tuple[StockPopulation, ...]:
        """The code, and what repeats it."""
        return tuple(p for p in self.populations if not isinstance(p.neuron, SpikeInput))

    @property
    def inference(self) -> StockSpec:
        """The graph: it codes, and nothing else."""
        return self.graph

    @property
    def still(self) -> StockSpec:
        """The graph: there is one phase only."""
        return self.graph

    def _with_projections(self: Self, projections: tuple[StockProjection, ...]) -> Self:
        own: Any = self
        changed: Self = replace(own, graph=replace(self.graph, projections=projections))
        return changed

    def phases(self) -> Int64:
        """The phase of each step, of shape [steps]: 0, free."""
        return np.zeros(self.free_steps, dtype=np.int64)

    def signals_of(self, payloads: Integers) -> Reals:
        """Real signals of shape [B, N] of payloads as the encoder gives them."""
        return np.asarray(payloads * 2.0**-self.encoder.activation_bits, dtype=np.float64)

    def free_inputs(self, payloads: Integers) -> Integers:
        """The input of an inference, of shape [B, T, n]; n is 0 where the host sets biases."""
        return self.drive(self.signals_of(payloads), self.free_steps).inputs

    def free_biases(self, payloads: Integers) -> dict[str, Integers]:
        """Bias mantissas of an inference, of shape [B, K] by population."""
        return self.drive(self.signals_of(payloads), self.free_steps).biases

    def phase_inputs(self, payloads: Integers, targets: Integers, free_outputs: Integers | None) -> Integers:
        """Refused: nothing nudges a code."""
        raise UserError("sparse coder: has no classes and no nudged phase; run it without targets")

    def signals(self, spikes: Spikes) -> dict[str, Reals]:
        """The codes."""
        return {CODE: self.codes(spikes)}

    def settled(self, spikes: Spikes) -> Bools:
        """Whether the last two quarters hold as many spikes of every neuron of the code, +-1, of shape [B]."""
        return steady(spikes[CODE], self.free_steps)

    def n_spikes(self, spikes: Spikes) -> Int64:
        """How many messages the neurons (not the inputs) sent for each signal, of shape [B]."""
        counts = np.stack([np.count_nonzero(spikes[p.name], axis=(1, 2)) for p in self.moving])
        return np.asarray(counts.sum(axis=0), dtype=np.int64)


def codes_of(coder: StockCoder, states: Integers) -> Reals:
    """The real codes, of shape [B, K], of what an inference ended with: `scores`, of shape [B, K]."""
    return np.asarray(states * coder.code_unit, dtype=np.float64)


def check_steps(steps: int) -> None:
    """Raise UserError unless `steps` is a whole number of steps, at least 1."""
    require_integers("sparse coder", steps=steps)
    Range(1, MOST_STEPS).require("sparse coder", steps=steps)
