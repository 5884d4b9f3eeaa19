"""The stock family: networks of processes that Lava ships and, by public evidence, a Loihi 2 runs unchanged.

Neurons as equations over integers, and the synapses between them. Every synapse delays by one step: a(t) is the sum
over incoming projections of (W s(t - 1)) shifted by the projection's exponent. With dec(x, k) = sign(x) (|x| k >> 12)
and M = 2**23. Source: Lava 0.10, the fixed-point models of `lava.proc.lif`, `lava.proc.dense`, `lava.proc.graded`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from neuro.base.arrays import Int16, Integers
from neuro.base.checks import Range, require_choice, require_integers, require_ranges
from neuro.base.errors import UserError
from neuro.spec.graph import NeuronGroup, check_connected, check_unique
from neuro.stock.learning_engine import NOISES, SIGN_MODES, WEIGHT_RANGES, EngineRule

STATE_LIMIT = 2**23  # states are 24 bits wide
DECAY_UNITY = 4096
BIAS_MANTISSAS = (-(2**12), 2**12 - 1)  # 13 bits


def transmitted(weights: Integers, sign_mode: str = "mixed", weight_bits: int = 8) -> Int16:
    """The weights that a projection of this sign mode and width transmits, of any shape.

    The lowest 8 - weight_bits bits are zero, with mixed signs one more; towards minus infinity, for inhibitory ones
    of |w|.
    """
    dropped = 8 - weight_bits + (sign_mode == "mixed")
    kept = np.asarray(weights, dtype=np.int16)
    return -((-kept >> dropped) << dropped) if sign_mode == "inhibitory" else (kept >> dropped) << dropped


def committed(weights: Integers, sign_mode: str = "mixed", weight_bits: int = 8) -> Int16:
    """Learned weights, of shape [N, M], in the form that a projection which does not learn takes: see `transmitted`.

    Odd weights of mixed sign go to the even one above or below, alternating, so that sums do not drift.
    """
    values = np.asarray(weights, dtype=np.int16)
    if sign_mode == "mixed":
        rows, columns = np.indices(values.shape)
        odd = values & 1
        values = np.clip(values + np.where((rows + columns) % 2 == 0, odd, -odd), -256, 254).astype(np.int16)
    return transmitted(values, sign_mode, weight_bits)


def _check(owner: str, values: Mapping[str, object], **ranges: Range) -> None:
    require_integers(owner, **{name: values[name] for name in ranges})
    require_ranges(owner, values, **ranges)


@dataclass(frozen=True)
class SpikeInput:
    """Neurons that send what the input says, step by step: payloads of shape [B, T, N]. Lava's RingBuffer.

    payload_limit: largest |payload|; 1 for binary spikes.
    """

    payload_limit: int = 1

    def __post_init__(self) -> None:
        _check("SpikeInput", vars(self), payload_limit=Range(1, 2**15 - 1))


@dataclass(frozen=True)
class LIF:
    """Leaky integrate-and-fire; binary spikes. Lava's LIF, and LIFReset if reset_interval is not 0.

        u <- dec(u, 4096 - (current_decay + 1)) + (a << 6),  wrapped once into (-M, M]
        v <- clip(dec(v, 4096 - voltage_decay) + u + bias, -M + 1, M - 1)
        s  = v > (threshold << 6);   v <- 0 where s

    current_decay:   0..4095 (4095: no memory); voltage_decay: 0..4096 (0: no leak).
    threshold:       in units of 2**6 of v.
    bias_mantissa, bias_exponent: bias = mantissa << exponent, or >> -exponent.
    reset_interval:  u and v are zeroed before the update at steps t with t mod interval = reset_offset mod interval;
                     0: never. Steps count from 1.
    """

    current_decay: int = 4095
    voltage_decay: int = 0
    threshold: int = 100
    bias_mantissa: int = 0
    bias_exponent: int = 0
    reset_interval: int = 0
    reset_offset: int = 0

    def __post_init__(self) -> None:
        _check(
            "LIF",
            vars(self),
            current_decay=Range(0, DECAY_UNITY - 1),
            voltage_decay=Range(0, DECAY_UNITY),
            threshold=Range(0, 2**17 - 1),
            bias_mantissa=Range(*BIAS_MANTISSAS),
            bias_exponent=Range(-7, 7),
            reset_interval=Range(0, 2**31 - 1),
            reset_offset=Range(0, 2**31 - 1),
        )

    @property
    def payload_limit(self) -> int:
        """Largest payload: spikes are binary."""
        return 1

    @property
    def bias(self) -> int:
        """What is added to v at every step."""
        if self.bias_exponent >= 0:
            return self.bias_mantissa << self.bias_exponent
        return self.bias_mantissa >> -self.bias_exponent


@dataclass(frozen=True)
class GradedRelu:
    """Graded neuron without memory: sends a if a > threshold, else nothing. Lava's GradedReluVec."""

    threshold: int = 0

    def __post_init__(self) -> None:
        _check("GradedRelu", vars(self), threshold=Range(0, STATE_LIMIT - 1))

    @property
    def payload_limit(self) -> int:
        """Largest payload: the 24-bit message."""
        return STATE_LIMIT - 1


StockNeuron = SpikeInput | LIF | GradedRelu


@dataclass(frozen=True)
class StockPopulation(NeuronGroup):
    """A group of identical neurons of the stock family."""

    neuron: StockNeuron


@dataclass(frozen=True, eq=False)
class StockProjection:
    """All-to-all synapses of the stock family. Lava's Dense.

    weights:      integers of shape [N_source, N_target] within WEIGHT_RANGES of the sign mode.
    exponent:     a_j += (sum of payload * weight) << exponent, or >> -exponent (towards minus infinity).
    weight_bits:  1..8; the lowest 8 - weight_bits bits are dropped, one more with mixed signs (see `effective`).
    message_bits: 0 for binary spikes, else the width of a graded payload, up to 24.
    transmits:    False for synapses that only learn: nothing they weigh reaches the target.
    rule:         how the synapses learn (Lava's LearningDense), None if they do not.
    tag:          initial tag of every synapse, -128..127.
    noise_seed:   of the noise of the rule.
    noise:        "shared": one random number per step for all synapses, as Lava's simulator has it; "per-synapse":
                  independent ones, as a chip is expected to have (public documents do not say).
    lsb:          step of a learned weight: 1, Lava's simulator; 2 for mixed signs, the step at which they transmit,
                  as a chip is expected to store them. Lava runs only "shared" and 1.
    """

    name: str
    source: str
    target: str
    weights: Int16
    exponent: int = 0
    weight_bits: int = 8
    sign_mode: str = "mixed"
    message_bits: int = 0
    transmits: bool = True
    rule: EngineRule | None = None
    tag: int = 0
    noise_seed: int = 1
    noise: str = "shared"
    lsb: int = 1

    def __post_init__(self) -> None:
        owner = f"projection {self.name}"
        _check(
            owner,
            vars(self),
            exponent=Range(-16, 16),
            weight_bits=Range(1, 8),
            message_bits=Range(0, 24),
            tag=Range(-128, 127),
            noise_seed=Range(0, 2**31 - 1),
            lsb=Range(1, 2 if self.sign_mode == "mixed" else 1),
        )
        require_choice(f"{owner}: sign mode", self.sign_mode, SIGN_MODES)
        require_choice(f"{owner}: noise", self.noise, NOISES)
        if not self.transmits and self.rule is None:
            raise UserError(f"{owner}: neither transmits nor learns; give it a rule or drop it")
        weights = np.asarray(self.weights)
        if weights.ndim != 2 or not np.issubdtype(weights.dtype, np.integer):
            raise UserError(f"{owner}: weights must be a 2-D integer array, got {weights.dtype} {weights.shape}")
        lowest, highest = WEIGHT_RANGES[self.sign_mode]
        if weights.size and not lowest <= int(weights.min()) <= int(weights.max()) <= highest:
            raise UserError(f"{owner}: {self.sign_mode} weights outside {lowest}..{highest}; clip them")
        frozen = np.array(weights, dtype=np.int16)
        frozen.flags.writeable = False
        object.__setattr__(self, "weights", frozen)

    @property
    def effective(self) -> Int16:
        """The weights that transmit, see `transmitted`."""
        return transmitted(self.weights, self.sign_mode, self.weight_bits)


@dataclass(frozen=True, eq=False)
class StockSpec:
    """A network of stock processes, the wiring of a `neuro.stock.family.StockFamily`.

    Cycles are allowed. All SpikeInputs together are the input, side by side in the order of `populations`.
    biased: names of LIF populations whose bias mantissas, one a neuron, the host sets before every sequence; the
            exponent stays that of the neuron.
    Raises: UserError on construction if the parts do not fit together.
    """

    populations: tuple[StockPopulation, ...]
    projections: tuple[StockProjection, ...]
    biased: tuple[str, ...] = ()
    family: ClassVar[str] = "stock"
    kind: ClassVar[str] = "graph"
    first_step: ClassVar[int] = 1  # neurons send from the first step on

    def __post_init__(self) -> None:
        names = [population.name for population in self.populations]
        check_unique("stock network", "population", names)
        check_unique("stock network", "projection", [projection.name for projection in self.projections])
        check_unique("stock network", "biased population", self.biased)
        for name in self.biased:
            if not any(p.name == name and isinstance(p.neuron, LIF) for p in self.populations):
                raise UserError(f"stock network: {name!r} is to be biased, but no LIF population has that name")
        if not self.n_inputs and not self.biased:
            raise UserError("stock network: no SpikeInput, no biased population; nothing would ever happen")
        for projection in self.projections:
            self._check_projection(projection)
        check_connected(names, self.projections, names[0])

    def _check_projection(self, projection: StockProjection) -> None:
        owner, by_name = f"projection {projection.name}", {p.name: p for p in self.populations}
        for end in (projection.source, projection.target):
            if end not in by_name:
                raise UserError(f"{owner}: {end!r} is not a population of the network")
        source, target = by_name[projection.source], by_name[projection.target]
        if isinstance(target.neuron, SpikeInput):
            raise UserError(f"{owner}: target {target.name!r} is an input; inputs receive nothing")
        if projection.weights.shape != (source.size, target.size):
            raise UserError(
                f"{owner}: weights have shape {projection.weights.shape}, {source.name} -> {target.name} needs "
                f"{(source.size, target.size)}"
            )
        if projection.rule is not None and not (source.neuron.payload_limit == 1 and isinstance(target.neuron, LIF)):
            raise UserError(f"{owner}: a learning rule needs binary spikes from {source.name!r} and a LIF target")
        if source.neuron.payload_limit > 1 and projection.message_bits == 0:
            raise UserError(f"{owner}: {source.name!r} sends graded spikes; give message_bits")

    @property
    def n_inputs(self) -> int:
        """Input neurons, over all SpikeInputs."""
        return sum(population.size for population in self.populations if isinstance(population.neuron, SpikeInput))

    def check_inputs(self, inputs: Integers) -> None:
        """Raise UserError unless inputs of shape [B, T, n_inputs] hold what the SpikeInputs may send."""
        if inputs.ndim != 3 or inputs.shape[2] != self.n_inputs or not np.issubdtype(inputs.dtype, np.integer):
            raise UserError(f"inputs {inputs.dtype} of shape {inputs.shape}: needs integers [B, T, {self.n_inputs}]")
        column = 0
        for population in self.populations:
            if isinstance(population.neuron, SpikeInput):
                mine = inputs[:, :, column : column + population.size]
                column += population.size
                limit = population.neuron.payload_limit
                lowest = 0 if limit == 1 else -limit
                if mine.size and not lowest <= int(mine.min()) <= int(mine.max()) <= limit:
                    raise UserError(f"inputs of {population.name}: outside {lowest}..{limit}; raise payload_limit")

    def check_biases(self, biases: Mapping[str, Integers], batch: int) -> None:
        """Raise UserError unless `biases` holds mantissas of shape [batch, N] for every biased population, no other."""
        if set(biases) != set(self.biased):
            raise UserError(f"biases for {sorted(biases)}: this network needs them for {sorted(self.biased)}")
        lowest, highest = BIAS_MANTISSAS
        for population in self.populations:
            if population.name in biases:
                mine, shape = biases[population.name], (batch, population.size)
                if mine.shape != shape or not np.issubdtype(mine.dtype, np.integer):
                    raise UserError(
                        f"biases of {population.name}: {mine.dtype} of shape {mine.shape}; needs integers {shape}"
                    )
                if mine.size and not lowest <= int(mine.min()) <= int(mine.max()) <= highest:
                    raise UserError(f"biases of {population.name}: mantissas outside {lowest}..{highest} (13 bits)")
