"""Populations and projections -> cores. A core holds consecutive neurons of one population and all synapses onto them.

Greedy: each core takes as many neurons as fit; that gives the number of cores. Then the busiest core is relieved: the
smallest load L is sought at which the greedy walk still needs no more cores, for all populations together and then for
each in the number of cores it has (for consecutive neurons this is the best there is, because what a core uses only
grows with its neurons). Axons leaving a core depend on how the targets were cut, so the walk repeats until they agree.

A neuron takes an axon out of its core per projection and core that it reaches, and an axon into each of those. The
same network and limits give the same placement, always.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from hardware.chip.blocks import Blocks, NeuronBlock
from hardware.chip.limits import RESOURCES, Limits
from hardware.placement.placement import Core, Placement
from neuro.base.arrays import Int64
from neuro.base.checks import Range
from neuro.base.errors import UserError

HALVINGS = 12  # of the load: to 1 part in 4096
ROUNDS = 8  # of agreement on axons
WORDS = {
    "neurons": "neurons",
    "synaptic_memory": "entries of synaptic memory",
    "axons_in": "input axons",
    "axons_out": "output axons",
    "learning_state": "words of learning state",
}
REMEDIES = {
    "neurons": "make the population smaller",
    "synaptic_memory": "give its neurons fewer inputs, or weights of fewer bits",
    "axons_in": "give its neurons fewer inputs",
    "axons_out": "let its neurons reach smaller populations, or fewer of them",
    "learning_state": "let fewer of its synapses learn",
}
Cuts = dict[str, list[int]]  # by population: where its cores begin, and the end


@dataclass(eq=False)
class _Costs:
    """What slices of populations use. reached: by population, axons out of each neuron (see the module docstring)."""

    blocks: Blocks
    limits: Limits
    reached: dict[str, Int64]
    known: dict[tuple[str, int, int], dict[str, int]] = field(default_factory=dict)

    def used(self, name: str, first: int, last: int) -> dict[str, int]:
        """The resources that neurons first..last - 1 of a population use on a core."""
        incoming = self.blocks.into[name]
        start = 0 if all(block.pattern.is_full for block in incoming) else first
        key = (name, start, start + last - first)
        if key not in self.known:
            self.known[key] = self._incoming(name, key[1], key[2])
        return {**self.known[key], "axons_out": int(self.reached[name][first:last].sum())}

    def _incoming(self, name: str, first: int, last: int) -> dict[str, int]:
        incoming = self.blocks.into[name]
        learning = [block for block in incoming if block.learns]
        traces = sum(block.axons(first, last) for block in learning)
        return {
            "neurons": last - first,
            "synaptic_memory": sum(block.entries(first, last, self.limits) for block in incoming),
            "axons_in": sum(block.axons(first, last) for block in incoming),
            "learning_state": traces + (last - first if learning else 0),
        }

    def load(self, name: str, first: int, last: int) -> float:
        """The share of the scarcest resource."""
        used = self.used(name, first, last)
        return max(used[resource] / self.limits.maximum(resource) for resource in RESOURCES)

    def cut(self, block: NeuronBlock, load: float) -> list[int] | None:
        """Cut a population so that no core exceeds `load`; None if a single neuron does."""
        cuts, width = [0], 1
        while cuts[-1] < block.size:
            width = self._widest(block, cuts[-1], load, width)
            if width == 0:
                return None
            cuts.append(cuts[-1] + width)
        return cuts

    def _widest(self, block: NeuronBlock, first: int, load: float, guess: int) -> int:
        """The largest number of neurons from `first` on that stay within `load`."""
        most = block.size - first

        def fits(width: int) -> bool:
            return self.load(block.name, first, first + width) <= load

        low, high = 0, min(guess, most)
        while fits(high):
            low = high
            if high == most:
                return most
            high = min(2 * high, most) if high > guess else min(high + 1, most)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low


def partition(blocks: Blocks, limits: Limits, n_chips: int | None = None) -> Placement:
    """Place a network.

    Args:   n_chips, how many there are; None for as many as it takes.
    Raises: UserError if it does not fit: which population, which resource, by how much, what to change.
    """
    Range(1, limits.max_chips.value).require(remedy="there is no larger system", chips=n_chips)
    if not blocks.on_chip:
        raise UserError("network: only inputs, nothing to place on a chip; add a population")
    axons_out = {b.name: np.full(b.size, len(blocks.out_of[b.name]), dtype=np.int64) for b in blocks.on_chip}
    for _ in range(ROUNDS):
        costs = _Costs(blocks, limits, axons_out)
        greedy = {block.name: _greedy(costs, block) for block in blocks.on_chip}
        _check_chips(costs, greedy, n_chips)
        cuts = _relieve(costs, greedy)
        exact = _axons_out(blocks, cuts)
        if all(_fit(_Costs(blocks, limits, exact), cuts)):
            break
        axons_out = {name: np.maximum(exact[name], axons_out[name]) for name in exact}
    costs = _Costs(blocks, limits, exact, costs.known)
    _check_axons_out(costs, cuts)
    first = _Costs(blocks, limits, _axons_out(blocks, greedy))
    greedy_load = _busiest(first, greedy)
    if greedy_load < _busiest(costs, cuts):  # relieved of memory, a core may have to reach more cores
        costs, cuts = first, greedy
    return _placement(costs, cuts, n_chips, greedy_load)


def _greedy(costs: _Costs, block: NeuronBlock) -> list[int]:
    cuts = costs.cut(block, 1.0)
    if cuts is not None:
        return cuts
    worst = max(range(block.size), key=lambda neuron: costs.load(block.name, neuron, neuron + 1))
    used = costs.used(block.name, worst, worst + 1)
    resource = max(RESOURCES, key=lambda name: used[name] / costs.limits.maximum(name))
    room = costs.limits.maximum(resource)
    if resource == "axons_out":
        raise _too_many_axons(costs, block.name)
    raise UserError(
        f"population {block.name}: one neuron needs {used[resource]:,} {WORDS[resource]}, a core of "
        f"{costs.limits.name} has {room:,}, {used[resource] - room:,} too few; {REMEDIES[resource]}"
    )


def _check_chips(costs: _Costs, cuts: Cuts, n_chips: int | None) -> None:
    """Raise UserError if there are more cores than chips hold: name the population that takes most of them."""
    limits, needed = costs.limits, sum(len(part) - 1 for part in cuts.values())
    chips = n_chips or limits.max_chips.value
    room = chips * limits.cores.value
    if needed <= room:
        return
    name = max(cuts, key=lambda name: len(cuts[name]))
    size, cores = cuts[name][-1], len(cuts[name]) - 1
    used = costs.used(name, 0, size)
    resource = max(RESOURCES, key=lambda r: used[r] / limits.maximum(r))
    takes = -(-needed // limits.cores.value)
    more = f"give --chips {takes}, or " if takes <= limits.max_chips.value else ""
    raise UserError(
        f"population {name}: its {size:,} neurons take {cores:,} cores for their {WORDS[resource]}; the network needs "
        f"{needed:,} cores, {chips} {'chip has' if chips == 1 else 'chips have'} {room:,}, {needed - room:,} too few; "
        f"{more}{REMEDIES[resource]}"
    )


def _busiest(costs: _Costs, cuts: Cuts) -> float:
    return max(costs.load(name, first, last) for name, part in cuts.items() for first, last in pairwise(part))


def _relieve(costs: _Costs, cuts: Cuts) -> Cuts:
    """Cuts into no more cores, the busiest of which is as idle as possible; then likewise by population."""
    blocks, allowed = costs.blocks.on_chip, sum(len(part) - 1 for part in cuts.values())
    low, high = 0.0, _busiest(costs, cuts)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        tried = {block.name: costs.cut(block, middle) for block in blocks}
        complete = {name: part for name, part in tried.items() if part is not None}
        if len(complete) == len(tried) and sum(len(part) - 1 for part in complete.values()) <= allowed:
            cuts, high = complete, middle
        else:
            low = middle
    return {block.name: _even(costs, block, cuts[block.name]) for block in blocks}


def _even(costs: _Costs, block: NeuronBlock, cuts: list[int]) -> list[int]:
    """Cuts of one population into as many cores, of which the busiest is as idle as possible."""
    low, high = 0.0, _busiest(costs, {block.name: cuts})
    for _ in range(HALVINGS if len(cuts) > 2 else 0):
        middle = (low + high) / 2
        candidate = costs.cut(block, middle)
        if candidate is not None and len(candidate) <= len(cuts):
            cuts, high = candidate, middle
        else:
            low = middle
    return cuts


def _axons_out(blocks: Blocks, cuts: Cuts) -> dict[str, Int64]:
    """The number of pairs (projection, core) that each neuron reaches, by population on the chip."""
    axons_out = {block.name: np.zeros(block.size, dtype=np.int64) for block in blocks.on_chip}
    for synapses in blocks.synapses:
        if synapses.source in axons_out:
            part = cuts[synapses.target]
            for first, last in pairwise(part):
                reaches = synapses.pattern.fan_out(first, last) > 0
                axons_out[synapses.source] += np.repeat(reaches, synapses.pattern.source_group)
    return axons_out


def _fit(costs: _Costs, cuts: Cuts) -> list[bool]:
    limit = costs.limits.axons_out.value
    return [
        int(costs.reached[name][first:last].sum()) <= limit
        for name, part in cuts.items()
        for first, last in pairwise(part)
    ]


def _check_axons_out(costs: _Costs, cuts: Cuts) -> None:
    if not all(_fit(costs, cuts)):
        raise _too_many_axons(costs, max(cuts, key=lambda name: int(costs.reached[name].max())))


def _too_many_axons(costs: _Costs, name: str) -> UserError:
    most, limit = int(costs.reached[name].max()), costs.limits.axons_out.value
    return UserError(
        f"population {name}: a neuron reaches up to {most:,} cores, its core has {limit:,} output axons for all its "
        f"neurons, and no cut was found that suffices; {REMEDIES['axons_out']}"
    )


def _placement(costs: _Costs, cuts: Cuts, n_chips: int | None, greedy_load: float) -> Placement:
    blocks, limits, cores = costs.blocks, costs.limits, list[Core]()
    for name, part in cuts.items():
        for first, last in pairwise(part):
            synapses = sum(block.pattern.synapses(first, last) for block in blocks.into[name])
            used = {resource: costs.used(name, first, last)[resource] for resource in RESOURCES}
            index = len(cores)
            cores.append(Core(index, index // limits.cores.value, name, first, last, synapses, used))
    chips = n_chips or -(-len(cores) // limits.cores.value)
    return Placement(blocks, limits, chips, tuple(cores), _lower_bound(costs), greedy_load)


def _lower_bound(costs: _Costs) -> int:
    """The number of cores that any cut takes: a whole population never uses more than the sum of its parts."""
    total = 0
    for block in costs.blocks.on_chip:
        used = {**costs.used(block.name, 0, block.size), "axons_out": len(costs.blocks.out_of[block.name]) * block.size}
        total += max(1, *(-(-used[name] // costs.limits.maximum(name)) for name in RESOURCES if name != "axons_out"))
    return total
