"""Float EP for one hidden layer, batched and derived by hand: the fastest plain form of `sim.oracles.equilibrium` in
torch.

No autograd; states are updated in place; the input drive is computed once per batch. A competitor in
`benchmarks.train_speed`.
"""

from __future__ import annotations

import torch
from torch import Tensor


class FastRateNetwork:
    """x -> hidden <-> output with states in [0, 1] and [0, upper]. All tensors float32, bias included as tensors."""

    def __init__(self, sizes: tuple[int, int, int], seed: int, upper: float = 1.0) -> None:
        generator = torch.Generator().manual_seed(seed)
        n_in, n_hidden, n_out = sizes
        self.upper = upper
        self.w0 = _glorot(n_in, n_hidden, 1.0, generator)
        self.w1 = _glorot(n_hidden, n_out, 0.5, generator)
        self.b0, self.b1 = torch.zeros(n_hidden), torch.full((n_out,), 0.25)

    def _relax(
        self, drive: Tensor, hidden: Tensor, output: Tensor, steps: int, step: float, goal: Tensor, nudge: float
    ) -> None:
        """Parallel update of both layers, in place."""
        w1_t = self.w1.T
        for _ in range(steps):
            to_hidden = torch.addmm(drive, output, w1_t)
            to_output = torch.addmm(self.b1, hidden, self.w1)
            if nudge:
                to_output.add_(goal - output, alpha=nudge)
            hidden.lerp_(to_hidden, step).clamp_(0.0, 1.0)
            output.lerp_(to_output, step).clamp_(0.0, self.upper)

    def predict(self, x: Tensor, free_steps: int, step: float = 0.75) -> Tensor:
        """Predicted classes of shape [B]."""
        hidden, output = self._zeros(len(x))
        self._relax(torch.addmm(self.b0, x, self.w0), hidden, output, free_steps, step, output, 0.0)
        return output.argmax(1)

    def _zeros(self, batch: int) -> tuple[Tensor, Tensor]:
        return torch.zeros(batch, self.w0.shape[1]), torch.zeros(batch, self.w1.shape[1])

    @torch.no_grad()
    def train_batch(
        self, x: Tensor, goal: Tensor, rates: tuple[float, float], nudge: float = 0.5, free_steps: int = 20,
        nudged_steps: int = 4, step: float = 0.75,
    ) -> None:  # fmt: skip
        """One centred EP update from a batch: x of shape [B, N], goal one-hot of shape [B, K]."""
        drive = torch.addmm(self.b0, x, self.w0)
        hidden, output = self._zeros(len(x))
        self._relax(drive, hidden, output, free_steps, step, goal, 0.0)
        hidden_minus, output_minus = hidden.clone(), output.clone()
        self._relax(drive, hidden, output, nudged_steps, step, goal, nudge)
        self._relax(drive, hidden_minus, output_minus, nudged_steps, step, goal, -nudge)
        scale = 1.0 / (2 * nudge * len(x))
        self.w1.addmm_(hidden.T, output, alpha=rates[1] * scale)
        self.w1.addmm_(hidden_minus.T, output_minus, alpha=-rates[1] * scale)
        moved_hidden, moved_output = hidden.sub_(hidden_minus), output.sub_(output_minus)
        self.w0.addmm_(x.T, moved_hidden, alpha=rates[0] * scale)
        self.b0.add_(moved_hidden.sum(0), alpha=rates[0] * scale)
        self.b1.add_(moved_output.sum(0), alpha=rates[1] * scale)


def _glorot(n_in: int, n_out: int, gain: float, generator: torch.Generator) -> Tensor:
    bound = gain * (6.0 / (n_in + n_out)) ** 0.5
    return (torch.rand(n_in, n_out, generator=generator) * 2 - 1) * bound
