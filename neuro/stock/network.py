"""A stock network with its task: how images become spike trains, when it is nudged, and where the answer is read.

What `neuro.spec.sigma_delta.NetworkSpec` is for the sigma-delta family; the wiring is a
`neuro.stock.processes.StockSpec`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from neuro.base.arrays import Bools, Int64, Integers, Spikes, Trains
from neuro.base.checks import MOST_STEPS, Range, require_integers, require_ranges
from neuro.base.errors import UserError
from neuro.front_ends.pixels import PixelEncoder
from neuro.stock.family import INPUT, OUTPUT, LifNetwork, steady, with_reset
from neuro.stock.processes import LIF, StockPopulation, StockProjection, StockSpec, committed
from neuro.stock.rules import BLANK, FREE, NUDGED, stock_rule

LABEL, GATE, RELAY = "label", "gate", "relay"
SHADOW = "learn "  # prefix of a projection that only learns, for the host to copy ("deferred")


@dataclass(frozen=True)
class SlotSchedule:
    """The slots of a sample, "free", "nudged" or "blank", each of slot_steps steps; in this order, or nudged first.

    silent: steps without input at the end of every slot.
    """

    slots: tuple[str, ...]
    slot_steps: int
    silent: int = 0

    def __post_init__(self) -> None:
        require_integers("schedule", slot_steps=self.slot_steps, silent=self.silent)
        Range(1, MOST_STEPS).require("schedule", slot_steps=self.slot_steps)
        Range(0, self.slot_steps - 1).require("schedule", silent=self.silent)
        orders = ((FREE, NUDGED, BLANK), (NUDGED, FREE, BLANK))
        in_turn = set(self.slots) <= set(orders[0]) and any(
            list(self.slots) == sorted(self.slots, key=order.index) for order in orders
        )
        if FREE not in self.slots or not in_turn:
            raise UserError(
                f"schedule: slots {self.slots}; give free ones first, then nudged, or the other way round, then blank"
            )

    @property
    def steps(self) -> int:
        """Steps of a sample."""
        return len(self.slots) * self.slot_steps

    @property
    def free_steps(self) -> int:
        """Steps of the free slots: an inference."""
        return self.slots.count(FREE) * self.slot_steps

    @property
    def free(self) -> slice:
        """The steps of the free slots within a sample."""
        first = self.slots.index(FREE) * self.slot_steps
        return slice(first, first + self.free_steps)

    @property
    def shown(self) -> Bools:
        """Whether inputs may spike at each step, of shape [steps]: not in blank slots, nor in what is silent."""
        within = np.arange(self.steps) % self.slot_steps
        return ~self.mask(BLANK) & (within < self.slot_steps - self.silent)

    def mask(self, *kinds: str) -> Bools:
        """Whether each step belongs to a slot of these kinds, of shape [steps]."""
        return np.repeat([slot in kinds for slot in self.slots], self.slot_steps)


@dataclass(frozen=True, eq=False)
class StockNetwork(LifNetwork):
    """A stock network that classifies.

    graph:    the network as it learns, with inputs "input" (pixels, and last a bias unit that always spikes), "label"
              and "gate", in this order, and populations "output" and "relay" (see `neuro.equilibrium.lif`).
    rule:     name of the local rule, in `neuro.stock.rules.RULES`.
    spacing:  steps between two spikes of a pixel of value 1.
    pixels:   shape of an image.
    """

    graph: StockSpec
    schedule: SlotSchedule
    encoder: PixelEncoder
    rule: str
    spacing: int
    pixels: tuple[int, ...]
    commit_every: int = 0
    kind: ClassVar[str] = "lif"
    title: ClassVar[str] = "stock network"

    def __post_init__(self) -> None:
        super().__post_init__()
        stock_rule(self.rule)
        require_integers("stock network", spacing=self.spacing, commit_every=self.commit_every)
        require_ranges("stock network", vars(self), spacing=Range(1), commit_every=Range(0))
        period = self.spacing << self.encoder.activation_bits
        if self.schedule.silent and self.schedule.slot_steps % period:
            raise UserError(
                f"stock network: slots of {self.schedule.slot_steps} steps are no multiple of the trains' period "
                f"{period}; the free and the nudged slot would see other spikes"
            )
        names = [population.name for population in self.graph.populations]
        for name in (INPUT, LABEL, GATE, RELAY, OUTPUT):
            if name not in names:
                raise UserError(f"stock network: population {name!r} is missing")
        for population in self.moving:
            interval = population.neuron.reset_interval if isinstance(population.neuron, LIF) else 0
            if interval % self.schedule.slot_steps:
                raise UserError(
                    f"stock network: {population.name} is reset every {interval} steps, slots have "
                    f"{self.schedule.slot_steps}; a reset within a slot would cut what its traces count"
                )
        if names[:3] != [INPUT, LABEL, GATE] or self.population(INPUT).size != int(np.prod(self.pixels)) + 1:
            raise UserError(f"stock network: needs {INPUT} (pixels and a bias unit), {LABEL} and {GATE} first")
        if self.encoder.offset is not None or self.encoder.transform is not None:
            raise UserError(
                "stock network: spikes have no sign, trains a rate in 0..1; use an encoder without offset, "
                "normalisation or whitening"
            )

    @property
    def moving(self) -> tuple[StockPopulation, ...]:
        """Hidden and output populations: what an inference computes."""
        return tuple(p for p in self.populations if isinstance(p.neuron, LIF) and p.name != RELAY)

    @property
    def free_steps(self) -> int:
        """Steps of an inference."""
        return self.schedule.free_steps

    @cached_property
    def still(self) -> StockSpec:
        """The graph without learning, its weights as they are (even, as they transmit)."""
        return replace(self.graph, projections=tuple(_frozen(p) for p in self.projections if p.transmits))

    @cached_property
    def inference(self) -> StockSpec:
        """What classifies: input, hidden and output populations, reset at the start of every image, no learning."""
        names = {INPUT, *(population.name for population in self.moving)}
        populations = tuple(
            with_reset(p, reset_interval=self.schedule.free_steps) for p in self.populations if p.name in names
        )
        kept = tuple(p for p in self.still.projections if p.source in names and p.target in names)
        return StockSpec(populations, kept)

    def phases(self) -> Int64:
        """The phase of each step of a sample, of shape [steps]: 0 free, 1 nudged, 2 blank."""
        order = {FREE: 0, NUDGED: 1, BLANK: 2}
        return np.repeat([order[slot] for slot in self.schedule.slots], self.schedule.slot_steps).astype(np.int64)

    def free_slice(self, steps: int) -> slice:
        """See `StockFamily.free_slice`: of a sample the slots of that name, else the whole inference."""
        return self.schedule.free if steps == self.schedule.steps else super().free_slice(steps)

    def phases_of(self, steps: int) -> Int64:
        """See `StockFamily.phases_of`."""
        return self.phases() if steps == self.schedule.steps else np.zeros(steps, dtype=np.int64)

    def settled(self, spikes: Spikes) -> Bools:
        """Whether all rates are steady, of shape [B]: the last two quarters of the free phase hold as many
        spikes of every hidden and output neuron, +-1.
        """
        free = self.free_slice(spikes[OUTPUT].shape[1])
        return np.asarray(
            np.logical_and.reduce([steady(spikes[p.name][:, free], self.free_steps) for p in self.moving])
        )

    def free_inputs(self, payloads: Integers) -> Trains:
        """The input of `inference` for payloads of shape [B, N]."""
        return self.trains(payloads, self.free_steps)

    def phase_inputs(
        self,
        payloads: Integers,
        targets: Integers,
        free_outputs: Integers | None,
    ) -> Trains:
        """The input of `still` through all slots; targets of shape [B, K], 0 or 1; free_outputs is not used."""
        return self.learning_inputs(payloads, targets.argmax(axis=1))

    def learning_inputs(self, payloads: Integers, labels: Integers) -> Trains:
        """The input of the graph through all slots, of shape [B, steps, n_inputs of the graph]."""
        count, steps, nudged = len(payloads), self.schedule.steps, self.schedule.mask(NUDGED)
        trains, shown = self.trains(payloads, steps), self.schedule.shown
        trains[:, ~shown] = 0
        label = np.zeros((count, steps, self.n_classes), dtype=np.int8)
        teaching = nudged & shown & (np.arange(steps) % self.spacing == 0)
        label[np.arange(count), :, labels] = teaching
        gate = np.broadcast_to(nudged[None, :, None], (count, steps, 1))
        return np.concatenate([trains, label, gate.astype(np.int8)], axis=2)


def _frozen(projection: StockProjection) -> StockProjection:
    """The projection as it is deployed: without a rule, with even weights."""
    if projection.rule is None:
        return projection
    return replace(projection, rule=None, tag=0, weights=committed(projection.weights))
