"""Float EP for any number of hidden layers, batched and derived by hand: what depth needs, found at little cost.

The same relaxation as the integer networks (`neuro.equilibrium.sigma_delta`), with real states, weights and messages; a
competitor and the yardstick of `benchmarks.depth`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class DeepDesign:
    """What is tried. Rates: of each layer of weights, from input to output, per mean squared input of the network."""

    sizes: tuple[int, ...]
    rates: tuple[float, ...]
    gains: tuple[float, ...]
    nudge: float = 0.25
    free_steps: int = 30
    nudged_steps: int = 15
    step: float = 0.5
    box: tuple[float, float] = (-1.0, 2.0)
    output_bias: float = 0.25
    hidden_bias: float = 0.0
    batch: int = 20


class DeepRateNetwork:
    """x -> hidden1 <-> ... <-> output. All tensors float32; weights [N, M] and biases [M] by layer."""

    def __init__(self, design: DeepDesign, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.design = design
        pairs = list(itertools.pairwise(design.sizes))
        self.weights = [_glorot(*pair, gain, generator) for pair, gain in zip(pairs, design.gains, strict=True)]
        self.biases = [torch.full((n,), design.hidden_bias) for n in design.sizes[1:]]
        self.biases[-1][:] = design.output_bias

    def copy_weights(self) -> list[Tensor]:
        """Copies of all weights and biases."""
        return [values.clone() for values in (*self.weights, *self.biases)]

    def set_weights(self, values: list[Tensor]) -> None:
        """Set what `copy_weights` returned."""
        self.weights, self.biases = values[: len(self.weights)], values[len(self.weights) :]

    def _relax(self, drive: Tensor, states: list[Tensor], steps: int, goal: Tensor | None, nudge: float) -> None:
        """Update all layers in parallel, in place."""
        step, last = self.design.step, len(states) - 1
        for _ in range(steps):
            inputs = [drive if k == 0 else torch.addmm(self.biases[k], states[k - 1], self.weights[k])
                      for k in range(last + 1)]  # fmt: skip
            for k in range(last):
                inputs[k] = torch.addmm(inputs[k], states[k + 1], self.weights[k + 1].T)
            if goal is not None:
                inputs[last] = inputs[last].add(goal - states[last], alpha=nudge)
            for k, state in enumerate(states):
                low, high = (0.0, 1.0) if k < last else self.design.box
                state.lerp_(inputs[k], step).clamp_(low, high)

    def _free(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        drive = torch.addmm(self.biases[0], x, self.weights[0])
        states = [torch.zeros(len(x), n) for n in self.design.sizes[1:]]
        self._relax(drive, states, self.design.free_steps, None, 0.0)
        return drive, states

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Predicted classes of shape [B]."""
        return self._free(x)[1][-1].argmax(1)

    @torch.no_grad()
    def train_batch(self, x: Tensor, goal: Tensor, decay: float, scale: float) -> None:
        """One centred EP update, summed over the batch; x [B, N], goal one-hot [B, K], rates times decay / scale."""
        design = self.design
        drive, plus = self._free(x)
        minus = [state.clone() for state in plus]
        self._relax(drive, plus, design.nudged_steps, goal, design.nudge)
        self._relax(drive, minus, design.nudged_steps, goal, -design.nudge)
        unit = decay / (2 * design.nudge * scale)
        for k, rate in enumerate(design.rates):
            if k == 0:
                self.weights[0].addmm_(x.T, plus[0] - minus[0], alpha=rate * unit)
            else:
                self.weights[k].addmm_(plus[k - 1].T, plus[k], alpha=rate * unit)
                self.weights[k].addmm_(minus[k - 1].T, minus[k], alpha=-rate * unit)
            self.biases[k].add_((plus[k] - minus[k]).sum(0), alpha=rate * unit)


def _glorot(n_in: int, n_out: int, gain: float, generator: torch.Generator) -> Tensor:
    bound = gain * (6.0 / (n_in + n_out)) ** 0.5
    return (torch.rand(n_in, n_out, generator=generator) * 2 - 1) * bound
