"""NetworkSpec: what a network is, in integers. The one description that every backend runs.

A spec is a directed graph, cycles allowed: populations of neurons joined by projections of integer weights, and a
schedule of phases. It is frozen and checks itself; nothing in it runs in time.

Time: step 0 is the presentation (all state is zero, sources send); steps 1..schedule.last_step follow, phase after
phase. In every step all populations, or those whose turn it is (`Schedule.order`), update in parallel from the input
accumulated so far, then send; what is sent at step t is received at step t + 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from neuro.base.arrays import Int64
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.graph import Graph
from neuro.spec.network import Network
from neuro.spec.neurons import Source
from neuro.spec.parity import EVERY_STEP, parities
from neuro.spec.projection import Projection
from neuro.spec.schedule import PARALLEL, Schedule
from neuro.spec.validate import check_spec, fan_out


@dataclass(frozen=True, eq=False)
class NetworkSpec(Graph, Network):
    """A network: populations, projections, schedule, encoder; `input` and `output` name two populations.

    family: "sigma-delta" (our own unit) or "stock" (processes that Lava ships).
    Raises UserError on construction if the parts do not fit together.
    """

    schedule: Schedule
    input: str
    output: str
    encoder: PixelEncoder = field(default_factory=PixelEncoder)
    family: str = "sigma-delta"
    kind: ClassVar[str] = "sigma-delta"
    title: ClassVar[str] = "spec"
    native_backend: ClassVar[str] = "events"
    first_step: ClassVar[int] = 0

    def __post_init__(self) -> None:
        check_spec(self, self.schedule, self.input, self.output, self.encoder, self.family)
        _ = self.parity  # refuses what cannot take turns

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of an image."""
        return self.encoder.image_shape or self.population(self.input).shape

    @property
    def free_steps(self) -> int:
        """Steps of an inference, the presentation left out."""
        return self.schedule.ends[0]

    @property
    def one(self) -> int:
        """The real value 1 in state units of the output."""
        return self.unit(self.output).one

    @property
    def entry(self) -> Source:
        """The model of the input population."""
        neuron = self.population(self.input).neuron
        assert isinstance(neuron, Source)  # check_spec
        return neuron

    @property
    def window(self) -> int:
        """The last step at which the input sends: 0, the presentation, unless it generates spikes."""
        return self.entry.window

    @property
    def stochastic(self) -> bool:
        """See `Network.stochastic`."""
        return self.window > 0

    @cached_property
    def parity(self) -> dict[str, int]:
        """The parity of the steps at which each population updates, EVERY_STEP where it is all of them."""
        if self.schedule.order == PARALLEL:
            return dict.fromkeys(self.population_index, EVERY_STEP)
        return parities(self, self.output)

    def phases(self) -> Int64:
        """See `Network.phases`."""
        return np.array(self.schedule.phase_of_step(), dtype=np.int64)

    def fan_out(self, projection: Projection) -> Int64:
        """See `Network.fan_out`: taps of a kernel that fall on the padding are no synapses; zero weights are."""
        return fan_out(self, projection)

    def _with_projections(self, projections: tuple[Projection, ...]) -> NetworkSpec:
        return replace(self, projections=projections)
