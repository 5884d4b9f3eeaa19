"""What is kept of a batch while it runs: counts, the prediction, and for learning both equilibria."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuro.base.arrays import Int64
from sim.backends.batched.network import Batch, Moment, Populations, TorchNetwork


class Outcome(NamedTuple):
    """counts int64 [B, P, 1 + phases]; of the free phase: output int32 [B, K] and settled [B] at its end, last_spike
    int32 [B]; nudged int32 [B, 2, K], the output at the end of the nudges that learn.
    """

    counts: Tensor
    output: Tensor
    settled: Tensor
    last_spike: Tensor
    nudged: Tensor


class Equilibria(NamedTuple):
    """s_hat of all populations, u of the moving ones, at the end of the first and of the second nudge."""

    sent_first: Populations
    sent_second: Populations
    state_first: Populations
    state_second: Populations

    def of(self, part: slice) -> Equilibria:
        """The same quantities of some images."""
        return Equilibria(*({n: v if len(v) == 1 else v[part] for n, v in each.items()} for each in self))


def empty_outcome(network: TorchNetwork, size: int) -> Outcome:
    """An outcome of `size` images, to be filled by `watch`."""
    spec, device = network.spec, network.device
    shape = (size, len(spec.populations), 1 + len(spec.schedule.phases))
    return Outcome(
        torch.zeros(shape, dtype=torch.int64, device=device),
        torch.zeros((size, spec.n_classes), dtype=torch.int32, device=device),
        torch.ones(size, dtype=torch.bool, device=device),
        torch.zeros(size, dtype=torch.int32, device=device),
        torch.zeros((size, 2, spec.n_classes), dtype=torch.int32, device=device),
    )


def watch(network: TorchNetwork, batch: Batch, n_phases: int, outcome: Outcome) -> Iterator[Moment]:
    """Run `n_phases` phases, fill `outcome`, and yield every step."""
    spec, ends = network.spec, network.spec.schedule.ends
    phases = spec.schedule.phase_of_step()
    for moment in network.steps(batch, ends[n_phases - 1], skip=network.device.type == "cpu"):
        sent = {name: torch.count_nonzero(spikes, dim=1) for name, spikes in moment.spikes.items()}
        for name, count in sent.items():
            outcome.counts[:, spec.population_index[name], phases[moment.step] + 1] += count
        total = torch.stack([count.expand(len(batch.payloads)) for count in sent.values()]).sum(dim=0)
        if moment.step <= ends[0]:
            outcome.last_spike.copy_(torch.where(total > 0, moment.step, outcome.last_spike))
        if moment.step in ends[-2:]:
            outcome.nudged[:, ends[-2:].index(moment.step)] = moment.state[spec.output]
        if moment.step == ends[0]:
            outcome.output.copy_(moment.state[spec.output])
            outcome.settled.copy_(total == 0)
        yield moment


def infer(network: TorchNetwork, batch: Batch, n_phases: int) -> Outcome:
    """Run `n_phases` phases."""
    outcome = empty_outcome(network, len(batch.payloads))
    for _ in watch(network, batch, n_phases, outcome):
        pass
    return outcome


def settle(network: TorchNetwork, batch: Batch) -> tuple[Outcome, Equilibria]:
    """Run all phases; return the outcome and the equilibria that learning needs."""
    ends = network.spec.schedule.ends
    outcome, moments = empty_outcome(network, len(batch.payloads)), dict[int, Moment]()
    for moment in watch(network, batch, len(ends), outcome):
        if moment.step in ends[-2:]:
            moments[moment.step] = moment
    first, second = moments[ends[-2]], moments[ends[-1]]
    return outcome, Equilibria(first.sent, second.sent, first.state, second.state)


def history(network: TorchNetwork, batch: Batch, n_phases: int) -> dict[str, dict[str, Int64]]:
    """Run and return, by population, spikes and states of shape [B, 1 + steps, N], as the reference does."""
    spec, shape = network.spec, (len(batch.payloads), -1)
    spikes: dict[str, list[Tensor]] = {p.name: [] for p in spec.populations}
    states: dict[str, list[Tensor]] = {p.name: [] for p in spec.populations}
    for moment in network.steps(batch, spec.schedule.ends[n_phases - 1]):
        for name in spikes:
            value = moment.sent[name].expand(shape)
            spikes[name].append(
                moment.spikes[name].expand(shape) if name in moment.spikes else value.new_zeros(value.shape)
            )
            states[name].append(moment.state.get(name, value))
    return {name: {"spikes": _stacked(spikes[name]), "states": _stacked(states[name])} for name in spikes}


def _stacked(steps: list[Tensor]) -> Int64:
    stacked: Int64 = torch.stack(steps, dim=1).cpu().numpy().astype(np.int64)
    return stacked


def bytes_per_image(network: TorchNetwork, kept_steps: int = 0) -> int:
    """The memory, roughly, that an image in flight takes, in bytes; kept_steps: steps whose spikes are kept."""
    neurons = sum(p.size for p in network.spec.populations)
    gathered = max((synapses.gathered for synapses in network.synapses.values()), default=0)
    return 4 * (neurons * (16 + 2 * kept_steps) + 4 * gathered)
