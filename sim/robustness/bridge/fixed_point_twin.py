"""A twin whose gradient is that of the fixed point: no memory in time, and a cost that hardly grows with the steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend
from sim.twins.adjoint import adjoint
from sim.twins.base import TwinOutputs
from sim.twins.gradients import slopes_of
from sim.twins.make import checked_device
from sim.twins.sigma_delta import SigmaDeltaTwin
from sim.twins.surrogates import Surrogate
from sim.twins.units import State, clip, straight


class FixedPointTwin(SigmaDeltaTwin):
    """The twin of a sigma-delta network that has come to rest; on a CPU its forward pass is the backend `events`.

    Scores are the input a = W^T s + b of the output, given the states after the steps of an inference (the unrolled
    twin's are those one step before). Their gradient is that of the fixed point near which these states lie
    (`adjoint.adjoint`), to which that of an unrolled twin tends with its steps. It says little of a network that does
    not settle: attack both.
    """

    def __init__(self, spec: NetworkSpec, surrogate: Surrogate | None = None, device: str = "cpu") -> None:
        place = checked_device(device)
        super().__init__(spec, surrogate or Surrogate(), "integer", None, 0)
        self._session = get_backend("events").open(spec, threads=torch.get_num_threads())
        self.to(place)

    def run(self, payloads: Tensor, steps: int) -> TwinOutputs:
        """See `Twin.run`; steps: those of an inference, always."""
        drive = self.graph.drive(payloads)
        with torch.no_grad():
            state = self._reached(payloads, drive)
            state |= {f"a {name}": total for name, total in self.graph.totals(state, drive).items()}
        total = _AtRest.apply(torch.cat(list(drive.values()), dim=1), self, state)
        output = self.graph.units[self.spec.output]
        chosen = self.surrogate
        band = chosen.reach * (output.upper - output.lower)
        smooth = clip(total, output.lower, output.upper, chosen.box_slope, band)
        return TwinOutputs(total / self.unit, straight(smooth, state[f"u {self.spec.output}"]) / self.unit)

    def _reached(self, payloads: Tensor, drive: State) -> State:
        """The states "u NAME" after an inference, of shape [B, N]."""
        if payloads.device.type != "cpu":
            return {name: part for name, part in self.settle(drive, self.steps).items() if name.startswith("u ")}
        record = self._session.run(payloads.numpy().astype(np.int64), keep_states=True)
        assert record.states is not None  # asked for
        return {f"u {name}": torch.from_numpy(record.states[name][:, 0]).to(self.graph.dtype) for name in drive}


class _AtRest(torch.autograd.Function):
    """The input of the output neurons, of shape [B, K], as a function of all drives, of shape [B, N]."""

    @staticmethod
    def forward(ctx: Any, drive: Tensor, twin: FixedPointTwin, state: State) -> Tensor:
        ctx.twin, ctx.state = twin, state
        return state[f"a {twin.spec.output}"].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        twin, state = ctx.twin, ctx.state
        cost = {name: torch.zeros_like(state[f"a {name}"]) for name in twin.graph.units}
        cost[twin.spec.output] = gradient
        return torch.cat(list(adjoint(twin.graph, slopes_of(twin, state), cost).values()), dim=1), None, None
