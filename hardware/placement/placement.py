"""Where every neuron and synapse lies: cores, what each of them uses, and the tables made of that."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np

from hardware.chip.blocks import Blocks
from hardware.chip.limits import RESOURCES, Limits
from neuro.base.arrays import Int64


@dataclass(frozen=True)
class Core:
    """One neurocore: neurons first..last - 1 of a population, all synapses onto them, and what that uses."""

    index: int
    chip: int
    population: str
    first: int
    last: int
    synapses: int
    used: dict[str, int]

    def load(self, limits: Limits) -> float:
        """The share of its scarcest resource that is used, 0..1."""
        return max(self.used[name] / limits.maximum(name) for name in RESOURCES)


@dataclass(frozen=True, eq=False)
class Placement:
    """A network on cores.

    greedy_load: load of the busiest core before the improvement.    lower_bound: cores that any placement takes which
    keeps populations apart.
    """

    blocks: Blocks
    limits: Limits
    n_chips: int
    cores: tuple[Core, ...]
    lower_bound: int
    greedy_load: float

    @property
    def ratio(self) -> float:
        """Cores taken, relative to the lower bound."""
        return len(self.cores) / self.lower_bound

    @property
    def busiest_load(self) -> float:
        """Load of the busiest core, 0..1."""
        return max(core.load(self.limits) for core in self.cores)

    @property
    def mean_load(self) -> float:
        """Mean load of all cores used."""
        return statistics.mean(core.load(self.limits) for core in self.cores)  # exact: never above the busiest

    def of(self, population: str) -> tuple[Core, ...]:
        """The cores of a population, in the order of its neurons."""
        return tuple(core for core in self.cores if core.population == population)

    def core_of_neuron(self, population: str) -> Int64:
        """The index of the core of each neuron of a population."""
        cores = self.of(population)
        return np.repeat([core.index for core in cores], [core.last - core.first for core in cores]).astype(np.int64)

    def table(self) -> dict[str, list[int]]:
        """The pair [used, max] of every resource, used by the core that uses most of it; and of cores."""
        most = {name: max(core.used[name] for core in self.cores) for name in RESOURCES}
        rows = {name: [most[name], self.limits.maximum(name)] for name in RESOURCES}
        return {"cores": [len(self.cores), self.n_chips * self.limits.cores.value], **rows}

    def totals(self) -> dict[str, int]:
        """Neurons and synapses of all cores together, and synapses onto none: what must re-add to the spec."""
        return {
            "neurons": sum(core.last - core.first for core in self.cores),
            "host_neurons": sum(block.size for block in self.blocks.on_host),
            "synapses": sum(core.synapses for core in self.cores),
        }

    def to_json(self) -> list[dict[str, Any]]:
        """All cores."""
        return [{**vars(core), "load": round(core.load(self.limits), 4)} for core in self.cores]
