"""Equilibrium propagation networks of stock processes: LIF neurons, Dense synapses, the chip's learning engine.

    input (+ bias unit) -> hidden .. <-> output      forward and feedback copies learn side by side, from equal weights
    label -> output                                  the teacher: +strength * target at every spike of the label's train
    output, gate -> relay -> output                  -strength for every output spike while the gate spikes: an AND

so that a nudge is strength * (target - output rate), switched by one spike train, on the chip alone. Rates are those of
the LIF neuron, 1 / (n + 1/2) with n = -ln(1 - threshold k / I) / k, k the leak and I the mean input per step.
Source: Scellier & Bengio 2017; O'Connor et al. 2019 for spiking forms.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field, replace

import numpy as np

from neuro.base.arrays import Int16
from neuro.base.errors import UserError
from neuro.front_ends.pixels import PixelEncoder
from neuro.stock.family import INPUT, OUTPUT
from neuro.stock.network import GATE, LABEL, RELAY, SHADOW, SlotSchedule, StockNetwork
from neuro.stock.processes import LIF, SpikeInput, StockPopulation, StockProjection, StockSpec
from neuro.stock.rules import FEEDBACK, FORWARD, engine_rule, stock_rule

WEIGHT_STD = 60.0  # initial weights: far from the ends (+-256), far above the step (2)
THRESHOLD_PER_DRIVE = 6.5  # threshold / (WEIGHT_STD * |x|): how much of its typical input a hidden neuron needs
RELAY_WEIGHT = 100  # of output and gate each; the relay's threshold lies between one and both
LARGEST_WEIGHT = 254
USUAL_HIDDEN = 128  # wider layers start from smaller weights, by the root, where neurons do not fall silent (R7)


@dataclass(frozen=True)
class StockDesign:
    """What a stock EP network is made of. Defaults chosen on validation splits of digits and MNIST.

    rule:            one of `neuro.stock.rules.RULES`.
    squared_length:  mean |x|^2 of the images in real units, bias included: sets the threshold.
    learning_rate:   weight units per unit of trace product (`engine_rule`); output_share: that of the output layer,
                     relative to it.
    target_rate:     spikes per step at which an output neuron is left alone by its teacher.
    strength:        weight of the nudge relative to the threshold; None: the rule's.
    weight_std:      of the initial weights; None: WEIGHT_STD, with R7 less for more than USUAL_HIDDEN hidden neurons.
    feedback_shift:  feedback weighs 2**feedback_shift times what forward weights do.
    noise, lsb:      of the learning engine (`neuro.stock.processes.StockProjection`).
    commit_every:    samples between two commits of a host-assisted rule.
    """

    pixels: tuple[int, ...]
    n_classes: int
    hidden: tuple[int, ...] = (64,)
    rule: str = "R7"
    squared_length: float = 17.0
    learning_rate: float = 0.0015
    output_share: float = 1.0
    target_rate: float = 0.4
    strength: float | None = None
    feedback_shift: int = 1
    leak: int = 127
    current_decay: int = 2047
    spacing: int = 2
    weight_std: float | None = None
    threshold_per_drive: float = THRESHOLD_PER_DRIVE
    noise: str = "per-synapse"
    lsb: int = 1
    commit_every: int = 20
    encoder: PixelEncoder = field(default_factory=PixelEncoder)

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1 or self.n_classes < 2:
            raise UserError(
                f"stock network: {self.hidden} hidden neurons, {self.n_classes} classes; give >= 1 and >= 2"
            )
        if not 0 < self.target_rate <= 1 or not 0 < self.nudge < 16 or self.squared_length <= 0:
            raise UserError("stock network: target_rate, strength or squared_length out of range")

    @property
    def nudge(self) -> float:
        """The weight of the nudge relative to the threshold."""
        return stock_rule(self.rule).strength if self.strength is None else self.strength

    @property
    def spread(self) -> float:
        """Standard deviation of the initial weights."""
        if self.weight_std is not None:
            return self.weight_std
        wide = stock_rule(self.rule).silent and max(self.hidden) > USUAL_HIDDEN
        return WEIGHT_STD * (math.sqrt(USUAL_HIDDEN / max(self.hidden)) if wide else 1.0)

    @property
    def threshold(self) -> int:
        """Threshold of hidden and output neurons."""
        return round(self.threshold_per_drive * self.spread * math.sqrt(self.squared_length))

    @property
    def forward_shift(self) -> int:
        """Exponent of the synapses between hidden and output neurons: keeps their weights of the usual size."""
        return round(math.log2(max(self.threshold / 1600, 1)))


def build_stock_network(design: StockDesign, seed: int) -> StockNetwork:
    """The untrained network; weights drawn from `seed`.

    Raises: UserError if the engine cannot hold the rule or the chip not the network.
    """
    form = stock_rule(design.rule)
    schedule = SlotSchedule(form.slots, form.slot_steps, form.silent)
    neuron = LIF(design.current_decay, design.leak, design.threshold, reset_interval=form.resets, reset_offset=1)
    names = [f"hidden{k + 1}" for k in range(len(design.hidden))] if len(design.hidden) > 1 else ["hidden"]
    layers = [*zip(names, design.hidden, strict=True), (OUTPUT, design.n_classes)]
    populations = (
        StockPopulation(INPUT, (math.prod(design.pixels) + 1,), SpikeInput()),
        StockPopulation(LABEL, (design.n_classes,), SpikeInput()),
        StockPopulation(GATE, (1,), SpikeInput()),
        *(StockPopulation(name, (size,), neuron) for name, size in layers),
        StockPopulation(RELAY, (design.n_classes,), LIF(4095, 4095, 3 * RELAY_WEIGHT // 2)),
    )
    projections = [*_synapses(design, layers, seed), *_teacher(design)]
    return StockNetwork(
        StockSpec(populations, tuple(projections)),
        schedule,
        design.encoder,
        design.rule,
        design.spacing,
        design.pixels,
        design.commit_every if form.host else 0,
    )


def _synapses(design: StockDesign, layers: list[tuple[str, int]], seed: int) -> list[StockProjection]:
    """The plastic synapses, forward and feedback; a host-assisted rule learns in silent copies."""
    generator = np.random.default_rng([seed, 0x570C])
    before, projections = (INPUT, math.prod(design.pixels) + 1), []
    for name, size in layers:
        weights = _draw(generator, design.spread, before[1], size)
        first, last = before[0] == INPUT, name == OUTPUT
        if first:
            weights[-1] = 0  # bias
        rate = design.learning_rate * (design.output_share if last else 1.0)
        shift = 0 if first else design.forward_shift
        projections += _pair(design, (before[0], name), weights, rate, shift, seed, feedback=not first)
        before = (name, size)
    return projections


def _pair(
    design: StockDesign, ends: tuple[str, str], weights: Int16, rate: float, shift: int, seed: int, *, feedback: bool
) -> list[StockProjection]:
    """The synapses of one layer: forward, then feedback if there is any."""
    form = stock_rule(design.rule)
    forward = StockProjection(f"{ends[0]}->{ends[1]}", *ends, weights, exponent=shift)
    back = StockProjection(f"{ends[1]}->{ends[0]}", *ends[::-1], weights.T, exponent=shift + design.feedback_shift)

    def learning(projection: StockProjection, direction: str) -> StockProjection:
        rule = engine_rule(form, direction, rate, from_input=ends[0] == INPUT, at_output=ends[1] == OUTPUT)
        noise_seed = (zlib.crc32(projection.name.encode()) + 1009 * seed) % 2**31  # any numbers that differ
        name = SHADOW + projection.name if form.host else projection.name
        return replace(
            projection, name=name, rule=rule, tag=form.tag, transmits=not form.host, noise=design.noise,
            lsb=design.lsb, noise_seed=noise_seed,
        )  # fmt: skip

    if form.host:
        return [forward, *([back] if feedback else []), learning(forward, FORWARD)]
    return [learning(forward, FORWARD), *([learning(back, FEEDBACK)] if feedback else [])]


def _draw(generator: np.random.Generator, std: float, n_pre: int, n_post: int) -> Int16:
    """Normal weights of the standard deviation, even as they transmit."""
    weights = np.rint(generator.normal(0.0, std / 2, (n_pre, n_post))) * 2
    drawn: Int16 = np.clip(weights, -LARGEST_WEIGHT, LARGEST_WEIGHT).astype(np.int16)
    return drawn


def _teacher(design: StockDesign) -> list[StockProjection]:
    """The nudge projections: the teacher excites, relayed output spikes inhibit; in balance at the target rate."""
    inhibit = design.nudge * design.threshold
    excite = inhibit * design.target_rate * design.spacing
    one, gate = np.eye(design.n_classes, dtype=np.int16), np.ones((1, design.n_classes), dtype=np.int16)
    excite_weight, excite_shift = _split(excite)
    inhibit_weight, inhibit_shift = _split(inhibit)
    return [
        StockProjection("label->output", LABEL, OUTPUT, one * excite_weight, excite_shift, sign_mode="excitatory"),
        StockProjection("output->relay", OUTPUT, RELAY, one * RELAY_WEIGHT, sign_mode="excitatory"),
        StockProjection("gate->relay", GATE, RELAY, gate * RELAY_WEIGHT, sign_mode="excitatory"),
        StockProjection("relay->output", RELAY, OUTPUT, -one * inhibit_weight, inhibit_shift, sign_mode="inhibitory"),
    ]


def _split(value: float) -> tuple[int, int]:
    """The weight of at most 8 bits and the exponent nearest to `value`."""
    shift = max(0, math.ceil(math.log2(max(value, 1.0) / 255)))
    return max(1, min(round(value / 2**shift), 255)), shift
