"""Float equilibrium propagation: real-valued rates instead of spikes, with autograd. The oracle for every gradient.

Same graph, same order of updates, same phases as the integer network, but states, weights and messages are real:

    I_l = b_l + sum of W^T s over incoming projections + nudge (target - s_L) at the output
          (a constant force: s_L of the free phase) + nudge f of a layer with a cost of its own, f of the free phase
    s_l = clip(s_l + step (I_l - s_l), lower, upper)          which descends E + nudge * C
    (`neuro.equilibrium.sigma_delta`)

Two gradients of C with respect to the weights are to agree: autograd through the unrolled free phase (exact, what
backpropagation through time computes), and the local contrastive update as nudge -> 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neuro.base.errors import UserError
from neuro.base.fixed_point import CHANCE_BITS
from neuro.equilibrium.sigma_delta import real_energy
from neuro.spec.neurons import Source
from neuro.spec.schedule import CONSTANT
from neuro.spec.sigma_delta import NetworkSpec

States = dict[str, Tensor]


@dataclass(frozen=True)
class Relaxed:
    """Where a relaxation ended. states by population, of shape [B, N]; residual: largest last move of any state."""

    states: States
    residual: float


class RateNetwork:
    """A sigma-delta network with real weights, states and messages.

    Symmetric: every projection between moving populations has its transpose.

    weights: by projection (those that are no transposes), tensors of shape [N_source, N_target] or of a shared kernel
    (extent..., channels, features), real units; gradients and updates likewise.
    Raises: UserError if the spec is not symmetric: it then has no energy.
    """

    def __init__(self, spec: NetworkSpec, dtype: torch.dtype = torch.float64) -> None:
        self.spec = spec
        self.dtype = dtype
        transposed = {p.transpose_of for p in spec.projections}
        for projection in spec.projections:
            recurrent = not isinstance(spec.population(projection.source).neuron, Source)
            if recurrent and projection.transpose_of is None and projection.name not in transposed:
                raise UserError(f"rate network: {projection.name} has no transpose, so the network has no energy")
            if projection.sign != 1:
                raise UserError(f"rate network: {projection.name} has the opposite sign, so the network has no energy")
        self.weights = {
            p.name: torch.tensor(p.weights, dtype=dtype) * 2.0**-p.exponent
            for p in spec.projections
            if p.weights is not None
        }

    def sources(self, payloads: Tensor) -> States:
        """The real values of all source populations for integer payloads of shape [B, N]."""
        values = {}
        for population in self.spec.populations:
            if isinstance(population.neuron, Source):
                scale = 2.0**-population.neuron.activation_bits
                constant = population.neuron.constant
                given = payloads.to(self.dtype)
                if population.neuron.window:  # the mean count of its spikes
                    given = given * (population.neuron.window * 2.0**-CHANCE_BITS)
                if constant is not None:
                    given = torch.full((len(payloads), population.size), float(constant), dtype=self.dtype)
                values[population.name] = given * scale
        return values

    def matrices(self) -> States:
        """The weights as matrices [N_source, N_target]: kernels unrolled, differentiably."""
        return {name: self._matrix(name, weights) for name, weights in self.weights.items()}

    def _matrix(self, name: str, weights: Tensor) -> Tensor:
        projection = self.spec.projection(name)
        if projection.convolution is None:
            return weights
        shape = self.spec.population(projection.source).shape
        index = np.arange(1, weights.numel() + 1, dtype=np.float64).reshape(weights.shape)
        matrix = torch.zeros((1,), dtype=self.dtype)
        for part in projection.convolution.copies(index):  # one for each position of the pooling window
            which = torch.tensor(projection.convolution.plain.matrix(part, shape).astype(np.int64))
            matrix = matrix + torch.cat([torch.zeros(1, dtype=self.dtype), weights.reshape(-1)])[which]
        return matrix

    def energy(self, states: Mapping[str, Tensor]) -> Tensor:
        """The energy E of shape [B]; states by population, sources included."""
        total: Tensor = real_energy(self.spec, states, self.matrices())
        return total

    def relax(
        self, sources: States, steps: int, target: Tensor | None = None, nudge: float = 0.0,
        start: States | None = None, step_size: float | None = None, forces: States | None = None,
    ) -> Relaxed:  # fmt: skip
        """Relax for `steps` steps, populations in turn where the schedule says so: the first step is an odd one.

        Args:    sources from `sources`; target of shape [B, K] and nudge (signed), for a nudged phase; start, states to
                 go on from (default: all zero); step_size, default that of each population; forces by population, of
                 shape [B, N], to be held, nudge times.
        """
        pushes = {name: nudge * force for name, force in (forces or {}).items()}
        if target is not None and start is not None and self.spec.schedule.force == CONSTANT:
            pushes[self.spec.output], target = nudge * (target - start[self.spec.output]), None
        moving, matrices = self.spec.moving, self.matrices()
        drive = self._constant_drive(sources, matrices)
        batch = len(next(iter(sources.values())))
        if start is None:
            states = {p.name: torch.zeros(batch, p.size, dtype=self.dtype) for p in moving}
        else:
            states = {p.name: start[p.name] for p in moving}
        residual = 0.0
        for step in range(1, steps + 1):
            before = states
            states = before | {
                p.name: self._moved(p.name, before, matrices, drive, target, nudge, step_size, pushes)
                for p in moving
                if self.spec.parity[p.name] != 1 - step % 2
            }
        if steps:
            residual = max(float((states[n] - before[n]).detach().abs().max()) for n in states)
        return Relaxed({**sources, **states}, residual)

    def _constant_drive(self, sources: States, matrices: States) -> States:
        """Input that does not change during relaxation: from sources."""
        drive: States = {}
        for name, weights in matrices.items():
            projection = self.spec.projection(name)
            if projection.source in sources:
                part = sources[projection.source] @ weights
                drive[projection.target] = drive[projection.target] + part if projection.target in drive else part
        return drive

    def _moved(
        self, name: str, states: States, matrices: States, drive: States, target: Tensor | None, nudge: float,
        step_size: float | None, pushes: States,
    ) -> Tensor:  # fmt: skip
        """One step of population `name` from the present states of all."""
        neuron = self.spec.unit(name)
        state = states[name]
        total = drive[name] if name in drive else torch.zeros_like(state)
        for projection in self.spec.projections:
            if projection.target == name and projection.source in states:
                weights = matrices.get(projection.name)
                if weights is None:
                    weights = matrices[str(projection.transpose_of)].T
                total = total + states[projection.source] @ weights
        if target is not None and nudge and name == self.spec.output:
            total = total + nudge * (target - state)
        if name in pushes:
            total = total + pushes[name]
        step = neuron.step_multiplier / 2**neuron.step_shift if step_size is None else step_size
        return torch.clamp(state + step * (total - state), neuron.lower / neuron.one, neuron.upper / neuron.one)

    def autograd_update(
        self, payloads: Tensor, target: Tensor, steps: int | None = None,
        cost_of: Callable[[States], Tensor] | None = None,
    ) -> States:  # fmt: skip
        """-dC/dW by plastic projection, summed over the batch, by autograd through the unrolled free phase.

        cost_of: what is added to C, of the free states.
        """
        weights = {name: value.clone().requires_grad_(True) for name, value in self.weights.items()}
        network = self._with(weights)
        steps = self.spec.schedule.phases[0].steps if steps is None else steps
        states = network.relax(network.sources(payloads), steps).states
        cost = 0.5 * (target.to(self.dtype) - states[self.spec.output]).square().sum()
        if cost_of is not None:
            cost = cost + cost_of(states)
        gradients = torch.autograd.grad(cost, list(weights.values()))
        return {name: -gradient for name, gradient in zip(weights, gradients, strict=True)}

    def contrastive_update(
        self, payloads: Tensor, target: Tensor, nudge: float, free_steps: int | None = None,
        nudged_steps: int | None = None, forces_of: Callable[[States], States] | None = None,
    ) -> States:  # fmt: skip
        """The centred EP update, summed over the batch: (s+ s+^T - s- s-^T) / (2 nudge), by projection.

        forces_of: the forces on hidden layers, of the free states. Both nudged phases start from the free equilibrium.
        Raises: ValueError if nudge is 0.
        """
        if nudge == 0:
            raise ValueError("contrastive_update: nudge must not be 0")
        phases = self.spec.schedule.phases
        sources = self.sources(payloads)
        free = self.relax(sources, phases[0].steps if free_steps is None else free_steps).states
        steps = phases[1].steps if nudged_steps is None else nudged_steps
        goal = target.to(self.dtype)
        forces = {} if forces_of is None else forces_of(free)
        plus = self.relax(sources, steps, goal, nudge, start=free, forces=forces).states
        minus = self.relax(sources, steps, goal, -nudge, start=free, forces=forces).states
        updates = {}
        for name in self.weights:
            pre, post = self.spec.projection(name).source, self.spec.projection(name).target
            change = (plus[pre].T @ plus[post] - minus[pre].T @ minus[post]) / (2 * nudge)
            updates[name] = torch.as_tensor(self.spec.shared_change(self.spec.projection(name), change.numpy()))
        return updates

    def _with(self, weights: States) -> RateNetwork:
        network = RateNetwork.__new__(RateNetwork)
        network.spec, network.dtype, network.weights = self.spec, self.dtype, weights
        return network
