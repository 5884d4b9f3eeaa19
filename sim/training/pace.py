"""How a training goes on: how rates fall, how fast biases of maps learn, over how many images weights are averaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neuro.base.arrays import Int16, Int64, Integers
from neuro.base.checks import Range, require_integers

FINER = 8  # bits that a mean of weights has below their last


@dataclass(frozen=True)
class Pace:
    """What a trainer needs beyond the hyper-parameters of `sim.training.trainer.Choices`; by the kind of network.

    final_rate:  learning rate at the end, relative to that of the beginning.
    linear:      it falls with every chunk, in a straight line; else once an epoch, geometrically.
    bias_share:  rate of the biases of maps relative to their kernels: their gradient is a sum over all positions.
    averaged:    images over which the weights are averaged that are validated and deployed; 0: those of the moment.
    """

    final_rate: float = 1 / 8
    linear: bool = False
    bias_share: float = 1.0
    averaged: int = 0

    def __post_init__(self) -> None:
        require_integers("pace", averaged=self.averaged)
        above = Range(0.0, 1.0, open_below=True)
        above.require("pace", final_rate=self.final_rate, bias_share=self.bias_share)

    def decay(self, epoch: int, share: float, n_epochs: int) -> float:
        """The learning rate relative to the first, after `share` of an epoch (counted from 0) out of `n_epochs`."""
        if self.linear:
            return max(1 - (1 - self.final_rate) * (epoch + share) / n_epochs, self.final_rate)
        rate: float = self.final_rate ** (epoch / max(1, n_epochs - 1))
        return rate


class Mean:
    """A running mean of weights with their shadow bits, in integers: over all images so far, then over a horizon.

    Each update moves it by count / min(horizon, images so far) of the difference, rounded: it lags behind the weights
    by about half the horizon and forgets exponentially. (Polyak averaging; on a chip one more accumulator, or a host.)
    """

    def __init__(self, horizon: int) -> None:
        self.horizon, self.seen = horizon, 0
        self.values: dict[str, Int64] = {}

    def add(self, full: Mapping[str, Integers], count: int) -> None:
        """Take into account weights that `count` images led to."""
        self.seen += count
        fine = {name: values.astype(np.int64) << FINER for name, values in full.items()}
        if not self.values:
            self.values = fine
            return
        span = max(min(self.horizon, self.seen), count)
        self.values = {
            name: mean + np.floor_divide((fine[name] - mean) * count + span // 2, span)
            for name, mean in self.values.items()
        }

    def rounded(self) -> dict[str, Int16]:
        """The mean in the units of the weights, int16."""
        half = 1 << (FINER - 1)
        return {name: ((mean + half) >> FINER).astype(np.int16) for name, mean in self.values.items()}
