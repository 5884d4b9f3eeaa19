"""What the kernels need to know of a network, or why they do not run it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.projection import Projection
from neuro.spec.schedule import CONSTANT
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.batched.fused.limits import NARROW, patience, unit_numbers

LARGEST = 1 << 14  # the largest payload of a unit, in two halves of int8
MOST_STEPS = 1 << 15  # a step and a count share 32 bits
MOST_NEURONS = 2304  # of all moving populations, padded: their state is in registers
MOST_SYNAPSES = 128 << 10  # of a projection between them, padded: it is held by one multiprocessor
SMALLEST = 32  # neurons of a population, padded: the shortest sum of int8 tensor cores
WORTH_A_LOOK = 24  # steps; of shorter schedules, the end at silence saves less than to look for it
K = 128  # pixels added up at a time


def padded(size: int) -> int:
    """The smallest power of two that holds `size`, at least SMALLEST."""
    return max(SMALLEST, 1 << (size - 1).bit_length())


def refusal(spec: NetworkSpec) -> str:
    """Why the kernels do not run `spec`; "" if they do."""
    for projection in spec.projections:
        if projection.convolution is not None:
            return f"projection {projection.name} is a convolution"
    for population in spec.populations:
        limit = LARGEST if isinstance(population.neuron, SigmaDelta) else NARROW
        fixed = isinstance(population.neuron, Source) and population.neuron.constant is not None
        if population.neuron.payload_limit > limit and not fixed:
            return f"population {population.name} sends up to {population.neuron.payload_limit}, beyond {limit}"
    if spec.schedule.last_step >= MOST_STEPS:
        return f"{spec.schedule.last_step} steps, beyond {MOST_STEPS - 1}"
    plan = Plan(spec)
    if sum(plan.padded) > MOST_NEURONS:
        return f"{sum(plan.padded)} neurons that settle, padded, beyond {MOST_NEURONS}"
    largest = max((plan.padded[a] * plan.padded[b] for a, b in zip(plan.sources, plan.targets, strict=True)), default=0)
    if largest > MOST_SYNAPSES:
        return f"{largest} synapses between two populations that settle, beyond {MOST_SYNAPSES}"
    return ""


@dataclass(frozen=True, eq=False)
class Plan:
    """Numbers of moving populations and of projections in the order of a spec: tuples that kernels are compiled for."""

    spec: NetworkSpec

    @cached_property
    def moving(self) -> tuple[str, ...]:
        """Populations that move."""
        return tuple(p.name for p in self.spec.populations if isinstance(p.neuron, SigmaDelta))

    @cached_property
    def padded(self) -> tuple[int, ...]:
        """Their sizes, padded."""
        return tuple(padded(self.spec.population(name).size) for name in self.moving)

    @cached_property
    def units(self) -> tuple[tuple[int, ...], ...]:
        """The `unit_numbers` of each."""
        return tuple(unit_numbers(self.spec.unit(name)) for name in self.moving)

    @cached_property
    def wide(self) -> tuple[bool, ...]:
        """Whether the payloads of each need 16 bits."""
        return tuple(self.spec.unit(name).payload_limit > NARROW for name in self.moving)

    @cached_property
    def parities(self) -> tuple[int, ...]:
        """The parity of the steps at which each updates, -1 for all steps."""
        return tuple(self.spec.parity[name] for name in self.moving)

    @cached_property
    def output(self) -> int:
        """The number of the output among them."""
        return self.moving.index(self.spec.output)

    def width(self, name: str) -> int:
        """The padded size of any population."""
        if name in self.moving:
            return self.padded[self.moving.index(name)]
        return -(-self.spec.population(name).size // K) * K

    def scale(self, projection: Projection) -> int:
        """What a sum of `projection` is multiplied by."""
        return projection.sign << self.spec.shift_of(projection)

    @cached_property
    def recurrent(self) -> tuple[Projection, ...]:
        """Projections between populations that move."""
        return tuple(p for p in self.spec.projections if p.source in self.moving)

    @cached_property
    def sources(self) -> tuple[int, ...]:
        """The number of the population that each of them starts from."""
        return tuple(self.moving.index(p.source) for p in self.recurrent)

    @cached_property
    def targets(self) -> tuple[int, ...]:
        """The number of the population at which each of them ends."""
        return tuple(self.moving.index(p.target) for p in self.recurrent)

    def from_input(self, target: str) -> tuple[Projection, ...]:
        """Projections of the input to `target`."""
        return tuple(p for p in self.spec.projections if p.target == target and p.source == self.spec.input)

    def from_constants(self, target: str) -> tuple[Projection, ...]:
        """Projections of constant sources to `target`."""
        return tuple(p for p in self.spec.projections if p.target == target and self.constant_of(p.source) is not None)

    def constant_of(self, name: str) -> int | None:
        """What a constant source sends; None of other populations."""
        neuron = self.spec.population(name).neuron
        return neuron.constant if isinstance(neuron, Source) else None

    @cached_property
    def fed(self) -> tuple[bool, ...]:
        """Whether sources reach each moving population."""
        return tuple(bool(self.from_input(name) or self.from_constants(name)) for name in self.moving)

    @cached_property
    def kept_states(self) -> tuple[bool, ...]:
        """Whether a rule reads the state of each moving population."""
        readers = {p.target for p in self.spec.plastic if p.rule is not None and p.rule.uses_state_difference}
        return tuple(name in readers for name in self.moving)

    @property
    def holds_force(self) -> bool:
        """Whether the force on the output is held through the nudges."""
        return self.spec.schedule.force == CONSTANT

    @property
    def patience(self) -> int:
        """Steps without a change after which a phase is over; 0: none is before its last step."""
        return patience(self.parities) if self.spec.schedule.last_step >= WORTH_A_LOOK else 0
