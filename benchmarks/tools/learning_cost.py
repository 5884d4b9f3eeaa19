"""What learning an image costs, counted: additions that spikes cause, or multiply-adds of dense products.

Backpropagation through a layer of N x M synapses, unrolled over T steps (1 for a perceptron), biases left out:

    forward T sum N M        backward T sum N M (of weights) + T sum N M (of inputs, without the first layer)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FLOATS, INTEGERS = "multiply-adds of 32-bit floats, dense", "additions of 8-bit integers, event-driven"


@dataclass(frozen=True)
class LearningCost:
    """What learning costs; counts are means per learned image.

    operations: what is counted. forward: all phases of EP. backward: of backpropagation. updates: of single weights.
    kept: values in memory until an image is learned, beyond weights and one state. images: that were presented in all,
    trials of learning rates left out. with_spikes: additions of the forward pass if only spikes caused any; equal to
    forward for EP. cpu_s: measured, trials included.
    """

    operations: str
    forward: float
    backward: float
    updates: float
    kept: int
    images: int
    with_spikes: float
    cpu_s: float

    @property
    def per_image(self) -> float:
        """Operations and updates per learned image."""
        return self.forward + self.backward + self.updates

    def to_json(self) -> dict[str, Any]:
        """All fields, as an object that `json` can write."""
        return {**vars(self), "per_image": self.per_image, "in all": self.per_image * self.images}


def dense_backprop(synapses: Sequence[int], steps: int = 1) -> tuple[float, float]:
    """Multiply-adds of the forward and of the backward pass; synapses: of each layer, from the input."""
    return float(steps * sum(synapses)), float(steps * (sum(synapses) + sum(synapses[1:])))
