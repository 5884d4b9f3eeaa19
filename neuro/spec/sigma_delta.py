"""NetworkSpec: what a network is, in integers. The one description that every backend runs.

A spec is a directed graph, cycles allowed: populations of neurons joined by projections of integer weights, and a
schedule of phases. It is frozen and checks itself; nothing in it runs in time.

Time: step 0 is the presentation (all state is zero, sources send); steps 1..schedule.last_step follow, phase after
phase. In every step all populations update in parallel from the input accumulated so far, then send; what is sent at
step t is received at step t + 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from neuro.base.arrays import Array
from neuro.base.errors import UserError
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.graph import Graph
from neuro.spec.schedule import Schedule
from neuro.spec.validate import check_spec


@dataclass(frozen=True, eq=False)
class NetworkSpec(Graph):
    """A network: populations, projections, schedule, encoder; `input` and `output` name two populations.

    family: "sigma-delta" (our own unit) or "stock" (processes that Lava ships).
    Raises UserError on construction if the parts do not fit together.
    """

    schedule: Schedule
    input: str
    output: str
    encoder: PixelEncoder = field(default_factory=PixelEncoder)
    family: str = "sigma-delta"

    def __post_init__(self) -> None:
        check_spec(self, self.schedule, self.input, self.output, self.encoder, self.family)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of an image."""
        return self.population(self.input).shape

    @property
    def n_inputs(self) -> int:
        """Number of input neurons."""
        return self.population(self.input).size

    @property
    def n_classes(self) -> int:
        """Number of output neurons."""
        return self.population(self.output).size

    def with_weights(self, weights: Mapping[str, Array]) -> NetworkSpec:
        """Return a spec in which the named projections carry new weights of the same shape."""
        unknown = set(weights) - {p.name for p in self.projections if p.weights is not None}
        if unknown:
            raise UserError(f"spec: no weights to set for {', '.join(sorted(unknown))}")
        projections = tuple(
            replace(p, weights=np.asarray(weights[p.name])) if p.name in weights else p for p in self.projections
        )
        return replace(self, projections=projections)
