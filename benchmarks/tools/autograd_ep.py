"""Competitor: rate EP the usual public way, states driven by autograd of the energy. One hidden layer.

Follows the published procedure (Laborieux et al. 2021): neurons s <- rho(d Phi / d s) with Phi the primitive function
1/2 |.|^2-free energy, T1 steps free, T2 steps in each nudged phase, weights moved by the difference of d Phi / d W at
the two nudged equilibria; batch 20. Written from the equations.
"""

from __future__ import annotations

import torch
from torch import Tensor


class AutogradEnergyNetwork:
    """x -> hidden <-> output, hard-sigmoid states in [0, 1]."""

    def __init__(self, sizes: tuple[int, int, int], seed: int) -> None:
        torch.manual_seed(seed)
        self.layers = torch.nn.ModuleList([torch.nn.Linear(sizes[0], sizes[1]), torch.nn.Linear(sizes[1], sizes[2])])

    def phi(self, x: Tensor, goal: Tensor, states: list[Tensor], nudge: float) -> Tensor:
        """Primitive function of shape [B]; its gradient with respect to a state is that state's next value."""
        hidden, output = states
        value = (self.layers[0](x) * hidden).sum(1) + (self.layers[1](hidden) * output).sum(1)
        if nudge:
            value = value - nudge * 0.5 * (goal - output).square().sum(1)
        return value

    def relax(self, x: Tensor, goal: Tensor, states: list[Tensor], steps: int, nudge: float) -> list[Tensor]:
        """Iterate the states."""
        for _ in range(steps):
            gradients = torch.autograd.grad(self.phi(x, goal, states, nudge).sum(), states)
            states = [gradient.clamp(0, 1).detach().requires_grad_(True) for gradient in gradients]
        return states

    def zeros(self, x: Tensor) -> list[Tensor]:
        """The states at rest."""
        return [torch.zeros(len(x), layer.out_features, requires_grad=True) for layer in self.layers]

    def train_batch(
        self, x: Tensor, goal: Tensor, optimizer: torch.optim.Optimizer, nudge: float, t1: int = 20, t2: int = 4
    ) -> None:
        """One centred EP update from a batch."""
        free = self.relax(x, goal, self.zeros(x), t1, 0.0)
        ends = [self.relax(x, goal, free, t2, sign * nudge) for sign in (1.0, -1.0)]
        plus, minus = ([state.detach() for state in end] for end in ends)
        optimizer.zero_grad()
        difference = self.phi(x, goal, minus, 0.0).mean() - self.phi(x, goal, plus, 0.0).mean()
        (difference / (2 * nudge)).backward()
        optimizer.step()

    def predict(self, x: Tensor, t1: int = 20) -> Tensor:
        """Predicted classes of shape [B]."""
        return self.relax(x, x, self.zeros(x), t1, 0.0)[1].argmax(1)
