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
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from neuro.base.convolution import Convolution
from neuro.base.errors import UserError, require_integers
from neuro.base.fixed_point import WEIGHT_BITS, weight_limit
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.graph import NeuronGroup
from neuro.spec.neurons import NeuronModel, SigmaDelta
from neuro.spec.plasticity import LearningRule
from neuro.spec.validate import check_spec

Weights = npt.NDArray[np.int8]
MAX_EXPONENT = 22


@dataclass(frozen=True)
class Population(NeuronGroup):
    """A group of identical neurons of the sigma-delta family."""

    neuron: NeuronModel


@dataclass(frozen=True, eq=False)
class Projection:
    """Synapses from `source` to `target`: a_j += (q_i << shift) * W_ij. All-to-all, or a kernel shared by positions.

    weights:      int8 of shape [N_source, N_target], or a kernel (extent..., channels, features) with a convolution;
                  the real weight is weights * 2**-exponent. None for a transpose.
    weight_bits:  2..8; weights lie, now and while they learn, in -limit..limit with limit = 2**(weight_bits - 1) - 1.
    transpose_of: name of another projection whose transposed weights this one uses, now and while it learns.
    sign:         +1, or -1 for a transpose whose synapses act with the opposite sign of the weights it uses.
    rule:         local learning rule, None for fixed weights. A transpose has none of its own.
    convolution:  geometry of a kernel, pooling included, None for all-to-all. A transpose follows its original.

    A rule of a shared kernel moves each weight by the exact sum of the changes of all synapses that share it, rounded
    once an image, under the random bits of the weight's index in the flat kernel, then saturated.
    """

    name: str
    source: str
    target: str
    exponent: int
    weights: Weights | None = None
    weight_bits: int = WEIGHT_BITS
    transpose_of: str | None = None
    rule: LearningRule | None = None
    convolution: Convolution | None = None
    sign: int = 1

    def __post_init__(self) -> None:
        require_integers(
            f"projection {self.name}", exponent=self.exponent, weight_bits=self.weight_bits, sign=self.sign
        )
        if self.sign not in (1, -1) or (self.sign == -1 and self.transpose_of is None):
            raise UserError(f"projection {self.name}: sign {self.sign}; +1, or -1 for a transpose")
        if (self.weights is None) == (self.transpose_of is None):
            raise UserError(f"projection {self.name}: give either weights or transpose_of")
        if not 0 <= self.exponent <= MAX_EXPONENT:
            raise UserError(f"projection {self.name}: exponent {self.exponent} outside 0..{MAX_EXPONENT}")
        if self.transpose_of is not None and self.rule is not None:
            raise UserError(f"projection {self.name}: a transpose learns through {self.transpose_of}; drop its rule")
        if self.convolution is not None and self.transpose_of is not None:
            raise UserError(
                f"projection {self.name}: a transpose has the convolution of {self.transpose_of}; drop its own"
            )
        if self.convolution is not None and self.rule is not None and self.rule.uses_state_difference:
            raise UserError(f"projection {self.name}: rule {self.rule.name} learns no shared kernel; use 'event'")
        if not 2 <= self.weight_bits <= WEIGHT_BITS:
            raise UserError(f"projection {self.name}: weight_bits {self.weight_bits} outside 2..{WEIGHT_BITS}")
        if self.weights is not None:
            n_axes = 2 if self.convolution is None else len(self.convolution.kernel) + 2
            object.__setattr__(self, "weights", _checked_weights(self.name, self.weights, self.limit, n_axes))

    @property
    def limit(self) -> int:
        """Largest |weight|."""
        return weight_limit(self.weight_bits)


def _checked_weights(name: str, weights: npt.NDArray[np.generic], limit: int, n_axes: int) -> Weights:
    weights = np.asarray(weights)
    if weights.ndim != n_axes or not np.issubdtype(weights.dtype, np.integer):
        raise UserError(
            f"projection {name}: weights must be a {n_axes}-D integer array, got {weights.dtype} {weights.shape}"
        )
    if weights.size and max(-int(weights.min()), int(weights.max())) > limit:
        raise UserError(f"projection {name}: weights outside -{limit}..{limit}; lower the exponent or clip them")
    frozen = np.array(weights, dtype=np.int8)
    frozen.flags.writeable = False
    return frozen


@dataclass(frozen=True)
class Phase:
    """A stretch of `steps` steps. nudge is the sign of the output force: 0 in the free phase, else +1 or -1."""

    name: str
    steps: int
    nudge: int = 0

    def __post_init__(self) -> None:
        require_integers(f"phase {self.name}", steps=self.steps, nudge=self.nudge)
        if self.steps < 1:
            raise UserError(f"phase {self.name}: {self.steps} steps; a phase lasts at least one step")
        if self.nudge not in (-1, 0, 1):
            raise UserError(f"phase {self.name}: nudge {self.nudge} must be -1, 0 or +1")


@dataclass(frozen=True)
class Schedule:
    """The phases of one image. The prediction is read after the first phase, which is free.

    nudge_multiplier, nudge_shift: nudge strength nudge_multiplier / 2**nudge_shift.
    random_sign: draw per image, from the counter-based generator, which of the two nudges comes first.
    """

    phases: tuple[Phase, ...]
    nudge_multiplier: int = 1
    nudge_shift: int = 1
    random_sign: bool = True

    def __post_init__(self) -> None:
        require_integers("schedule", nudge_multiplier=self.nudge_multiplier, nudge_shift=self.nudge_shift)
        if not self.phases or self.phases[0].nudge != 0:
            raise UserError("schedule: the first phase must be free (nudge 0); the prediction is read after it")
        if not 1 <= self.nudge_multiplier <= 255 or not 0 <= self.nudge_shift <= 8:
            raise UserError("schedule: nudge_multiplier outside 1..255 or nudge_shift outside 0..8")

    @property
    def nudge(self) -> float:
        """Nudge strength (beta of the papers), dimensionless."""
        return self.nudge_multiplier / 2.0**self.nudge_shift

    @property
    def last_step(self) -> int:
        """Index of the last step; an image takes last_step + 1 steps, the presentation included."""
        return sum(phase.steps for phase in self.phases)

    @property
    def ends(self) -> tuple[int, ...]:
        """Index of the last step of each phase."""
        return tuple(int(end) for end in np.cumsum([phase.steps for phase in self.phases]))

    def phase_of_step(self) -> tuple[int, ...]:
        """Phase index of each step 1..last_step, with -1 for step 0, the presentation."""
        return (-1, *(index for index, phase in enumerate(self.phases) for _ in range(phase.steps)))


@dataclass(frozen=True, eq=False)
class NetworkSpec:
    """A network: populations, projections, schedule, encoder; `input` and `output` name two populations.

    family: "sigma-delta" (our own unit) or "stock" (processes that Lava ships).
    Raises UserError on construction if the parts do not fit together.
    """

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    schedule: Schedule
    input: str
    output: str
    encoder: PixelEncoder = field(default_factory=PixelEncoder)
    family: str = "sigma-delta"

    def __post_init__(self) -> None:
        check_spec(self)

    @cached_property
    def population_index(self) -> dict[str, int]:
        """Position of each population by name."""
        return {population.name: index for index, population in enumerate(self.populations)}

    @cached_property
    def projection_index(self) -> dict[str, int]:
        """Position of each projection by name."""
        return {projection.name: index for index, projection in enumerate(self.projections)}

    def population(self, name: str) -> Population:
        """Return the population called `name`."""
        return self.populations[self.population_index[name]]

    def projection(self, name: str) -> Projection:
        """Return the projection called `name`."""
        return self.projections[self.projection_index[name]]

    def original_of(self, projection: Projection) -> Projection:
        """Return the projection whose weights this one uses: itself, unless it is a transpose."""
        return projection if projection.transpose_of is None else self.projection(projection.transpose_of)

    def weights_of(self, projection: Projection) -> Weights:
        """Return the weights as a matrix [N_source, N_target]: transposes followed, convolutions unrolled.

        int8, but for pooled convolutions, whose entries are sums of kernel weights: int16.
        """
        original = self.original_of(projection)
        assert original.weights is not None  # check_spec: a transpose points at a projection with weights
        return self.matrix_of(projection, original.weights)

    def matrix_of(self, projection: Projection, weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the matrix [N_source, N_target] of `projection` if its original had these `weights`."""
        original = self.original_of(projection)
        if original.convolution is not None:
            weights = original.convolution.matrix(weights, self.population(original.source).shape)
        return weights if original is projection else projection.sign * weights.T

    def unit(self, name: str) -> SigmaDelta:
        """Return the model of a moving population: the output, any target of a projection, any of `moving`."""
        neuron = self.population(name).neuron
        assert isinstance(neuron, SigmaDelta)  # check_spec: the output moves, and sources receive nothing
        return neuron

    def shared_change(self, projection: Projection, change: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the change of the weights of `projection` from that of all its synapses, [N_source, N_target].

        The transpose of `matrix_of`: the sum over the synapses that share a weight; for all-to-all the change itself.
        """
        if projection.convolution is None:
            return change
        return projection.convolution.kernel_change(change, self.population(projection.source).shape)

    def shift_of(self, projection: Projection) -> int:
        """Return the left shift from payload x weight to the target's state unit."""
        source_bits = self.population(projection.source).neuron.activation_bits
        return self.unit(projection.target).state_bits - source_bits - projection.exponent

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of an image."""
        return self.population(self.input).shape

    @property
    def moving(self) -> tuple[Population, ...]:
        """Hidden and output populations: what an inference computes."""
        return tuple(p for p in self.populations if isinstance(p.neuron, SigmaDelta))

    @property
    def plastic(self) -> tuple[Projection, ...]:
        """Projections that learn by a rule of their own."""
        return tuple(projection for projection in self.projections if projection.rule is not None)

    @property
    def n_inputs(self) -> int:
        """Number of input neurons."""
        return self.population(self.input).size

    @property
    def n_classes(self) -> int:
        """Number of output neurons."""
        return self.population(self.output).size

    def with_weights(self, weights: Mapping[str, npt.NDArray[np.generic]]) -> NetworkSpec:
        """Return a spec in which the named projections carry new weights of the same shape."""
        unknown = set(weights) - {p.name for p in self.projections if p.weights is not None}
        if unknown:
            raise UserError(f"spec: no weights to set for {', '.join(sorted(unknown))}")
        projections = tuple(
            replace(p, weights=np.asarray(weights[p.name])) if p.name in weights else p for p in self.projections
        )
        return replace(self, projections=projections)
