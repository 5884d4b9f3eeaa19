"""Twin of chains: a sparse coder of stock processes, then a sigma-delta network.

Forward, codes are the scores that the coder itself reaches, on the backend of its family, shown to the unrolled twin of
the network behind as `neuro.coding.chain.Chain.codes` shows them. Backward, a coder that has settled is its LASSO
solution: with S the atoms that are active, x the signal, the adjoint l of the fixed point a = relu(a + D^T (x - D a) -
lambda) solves G_SS l_S = da_S, and dx = D_S l_S (`sim.twins.adjoint`; a slope below the threshold, the surrogate's for
boxes or for thresholds, lets the gradient through atoms that are silent). The surrogate "rate", and a twin that rounds
nothing, unroll the iteration of the problem instead, in floats (FISTA with a constant momentum).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from neuro.coding.chain import Chain
from sim.backends.protocol import get_backend
from sim.twins.adjoint import solved
from sim.twins.base import Twin, TwinOutputs
from sim.twins.sigma_delta import SigmaDeltaTwin
from sim.twins.surrogates import Surrogate
from sim.twins.units import clip, straight, threshold_slopes

SWEEPS, MOMENTUM = 100, 0.875  # of the iteration in floats


class ChainTwin(Twin):
    """The twin of a chain. Scores and states are those of the network behind the coder.

    steps: beyond those of the coder and the presentation, they are unrolled steps of the network behind.
    """

    spec: Chain

    def __init__(self, spec: Chain, surrogate: Surrogate, mode: str, steps: int | None, every: int) -> None:
        super().__init__(spec, surrogate, mode, spec.free_steps, steps, every)
        self.back = SigmaDeltaTwin(spec.back, surrogate, mode, None, every)
        self.firing, self.unit = self.back.firing, self.back.unit
        problem = spec.front.problem
        self.register_buffer("atoms", torch.tensor(problem.dictionary, dtype=torch.float64))
        self.register_buffer("coupling", torch.tensor(np.eye(problem.n_atoms) - problem.gram, dtype=torch.float64))
        self.step = 1.0 / float(np.linalg.norm(problem.gram, 2))
        self.one = 2.0**spec.encoder.activation_bits  # payload units of the signal 1
        self.scale = 2.0**-spec.code_shift / spec.front.code_unit  # payloads, not rounded, of the code 1
        self._session = get_backend(spec.front.native_backend).open(spec.front, threads=torch.get_num_threads())

    @property
    def has_thresholds(self) -> bool:
        """See `Twin.has_thresholds`."""
        return True

    @property
    def payload_bits(self) -> int:
        """See `Twin.payload_bits`."""
        return min(super().payload_bits, self.back.payload_bits)

    def run(self, payloads: Tensor, steps: int) -> TwinOutputs:
        """See `Twin.run`."""
        codes = self.codes(payloads) if self.rounds else self.unrolled(payloads)
        return self.back.run(codes, self._behind(steps))

    def rate_outputs(self, payloads: Tensor, steps: int) -> TwinOutputs:
        """See `Twin.rate_outputs`: both parts without rounding."""
        smooth = self.unrolled(payloads)
        if self.rounds:
            with torch.no_grad():
                exact = self.codes(payloads)
            smooth = straight(smooth, exact)
        return self.back.rate_outputs(smooth, self._behind(steps))

    def codes(self, payloads: Tensor) -> Tensor:
        """The payloads that the network behind is shown, of shape [B, K], integers; differentiable."""
        scores: Tensor = _Scores.apply(payloads, self)
        shown = scores * 2.0**-self.spec.code_shift
        rounded = straight(shown, torch.floor(shown.detach() + 0.5))
        return self._limited(rounded)

    def unrolled(self, payloads: Tensor) -> Tensor:
        """The same of the problem's own iteration, not rounded."""
        problem, atoms = self.spec.front.problem, self.get_buffer("atoms")
        drive = (payloads / self.one) @ atoms - problem.sparsity_threshold
        coupling = self.get_buffer("coupling")
        code = ahead = torch.zeros_like(drive)
        slope, band = self.surrogate.box_slope, math.inf
        if self.surrogate.threshold_slope:
            slope, band = self.surrogate.threshold_slope, self.surrogate.threshold_band * problem.sparsity_threshold
        for _ in range(SWEEPS):
            residual = drive - ahead + ahead @ coupling
            moved = clip(ahead + self.step * residual, 0.0, torch.inf, slope, band * self.step)
            code, ahead = moved, moved + MOMENTUM * (moved - code)
        return self._limited(code * self.scale)

    def scores(self, payloads: Tensor) -> Tensor:
        """What the coder itself says, of shape [B, K]."""
        found = self._session.run(payloads.cpu().numpy().astype(np.int64)).output_states
        return torch.from_numpy(found.astype(np.float64)).to(payloads.device)

    def slopes(self, payloads: Tensor, scores: Tensor) -> Tensor:
        """The slopes of all atoms at the solution, of shape [B, K]: 1 of those active, little of the others."""
        slope, band = self.surrogate.threshold_slope, self.surrogate.threshold_band
        if not slope:
            return torch.where(scores > 0, 1.0, self.surrogate.box_slope).to(scores.dtype)
        code = scores * self.spec.front.code_unit
        state = (payloads / self.one) @ self.get_buffer("atoms") + code @ self.get_buffer("coupling")
        threshold = self.spec.front.problem.sparsity_threshold
        seen = threshold_slopes(state.clamp(0.0, threshold), threshold, False, slope, band)
        return torch.where(scores > 0, torch.ones_like(seen), seen)

    def to_payloads(self, cost: Tensor, slopes: Tensor) -> Tensor:
        """The derivative with respect to the input, of shape [B, N], given that with respect to the scores."""
        found = solved(self.get_buffer("coupling"), slopes, slopes * cost)
        return found @ self.get_buffer("atoms").T / (self.one * self.spec.front.code_unit)

    def _limited(self, codes: Tensor) -> Tensor:
        limit = float(self.spec.back.encoder.payload_limit)
        return clip(codes, 0.0, limit, self.surrogate.box_slope, self.surrogate.reach * limit)

    def _behind(self, steps: int) -> int:
        return max(steps - self.spec.front.free_steps - 1, 1)


class _Scores(torch.autograd.Function):
    """The scores of a coder, of shape [B, K], as a function of its payloads, of shape [B, N]."""

    @staticmethod
    def forward(ctx: Any, payloads: Tensor, twin: ChainTwin) -> Tensor:
        scores = twin.scores(payloads.detach())
        ctx.twin = twin
        ctx.save_for_backward(twin.slopes(payloads.detach(), scores))
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (slopes,) = ctx.saved_tensors
        return ctx.twin.to_payloads(gradient, slopes), None
