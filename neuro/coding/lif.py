"""Spiking LCA on stock processes alone: one population of LIF neurons that inhibit each other.

A neuron that spikes in a share r of the steps stands for the code a = A r, A the full scale. With V = threshold << 6
and k = (current_decay + 1) / 4096 = 1 / tau_steps,

    bias_i = V (d_i x - sparsity_threshold) / A             W_ij = -V / 64 k d_i d_j   (i != j),  voltage_decay = 0

A spike of neuron j takes V k d_i d_j from the current of neuron i, which decays, so V d_i d_j from its v in all, and V
from its own v: the reset is the diagonal of D^T D, hence atoms of length 1. A neuron that goes on spiking then has a
mean drive V r_i, and one that does not a drive <= 0: the conditions for the solution of `neuro.coding.problem`.

The reset to zero also loses what v had above the threshold, about half of the last increment: the neurons fire that
much earlier (`SpikingDesign.overshoot`; V / 4A is near the best of 0..20 % of V tried on held-out patches, A = 3..8).

Signals come in by the biases, set by the host for every signal (cheapest on a chip), or as spikes through D^T.
Source: Tang, Lin, Davies 2017; Rozell et al. 2008.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log2
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from neuro.base.arrays import Int32, Integers, Reals, Spikes
from neuro.base.checks import Range, require_choice, require_integers, require_ranges
from neuro.base.errors import UserError
from neuro.base.fixed_point import quantize
from neuro.base.scales import exponent_for
from neuro.coding.coder import CODE, INPUT, Drive, StockCoder, check_steps
from neuro.coding.problem import SparseProblem
from neuro.front_ends.trains import present_spikes
from neuro.stock.processes import (
    BIAS_MANTISSAS,
    DECAY_UNITY,
    LIF,
    STATE_LIMIT,
    SpikeInput,
    StockPopulation,
    StockProjection,
    StockSpec,
)

VOLTAGE_UNIT = 64  # a threshold of 1 is 2**6 of v
USUAL_THRESHOLD, LEAST_THRESHOLD = 2000, 128
LARGEST_EXPONENT = 7  # of a bias
MESSAGE_BITS = 16
LATERALS = ("split", "mixed")
ROUNDING = 1e-6  # a unit vector may be a little longer


@dataclass(frozen=True)
class SpikingDesign:
    """Choices from which `spiking_coder` makes a coder of LIF neurons: how it settles.

    full_scale:   A, the code of a neuron that spikes at every step; 0.5..64. Larger: fewer spikes, slower.
    tau_steps:    time constant of the inhibition, 1..256 steps.
    threshold:    of the neurons, 128..131071; None: 2000, less if currents could leave 24 bits.
    overshoot:    share of the threshold taken off for what a reset loses, 0..0.5; None: 1 / (4 full_scale).
    lateral:      "split": an inhibitory projection and, if atoms point away from each other, an excitatory one, 8 bits
                  of weight each; "mixed": one projection of both signs, one bit less.
    input_bits:   None: signals are biases; 1..12: every pixel sends round(x * 2**input_bits) at every step; 0: a binary
                  spike in a share x of the steps. The drive then comes in steps of full_scale tau_steps / threshold,
                  which must not exceed the sparsity threshold.
    signal_reach: largest |d_i x| to hold, real, > 0; at most |x|.
    skipped_share: share of the steps, from the first, whose spikes do not count, 0..0.9.
    """

    full_scale: float = 4.0
    tau_steps: int = 8
    threshold: int | None = None
    overshoot: float | None = None
    lateral: str = "split"
    input_bits: int | None = None
    signal_reach: float = 1.0
    skipped_share: float = 0.0

    def __post_init__(self) -> None:
        require_integers("LCA design", tau_steps=self.tau_steps)
        optional = {"threshold": self.threshold, "input_bits": self.input_bits}
        require_integers("LCA design", **{name: value for name, value in optional.items() if value is not None})
        require_ranges(
            "LCA design",
            vars(self),
            full_scale=Range(0.5, 64.0),
            tau_steps=Range(1, 256),
            threshold=Range(LEAST_THRESHOLD, 2**17 - 1),
            overshoot=Range(0.0, 0.5),
            input_bits=Range(0, 12),
            signal_reach=Range(1e-6, 1e6),
            skipped_share=Range(0.0, 0.9),
        )
        require_choice("LCA design: lateral", self.lateral, LATERALS)

    @property
    def decay(self) -> int:
        """(current_decay + 1): the current keeps 1 - decay / 4096 of itself in a step."""
        return round(DECAY_UNITY / self.tau_steps)

    @property
    def early(self) -> float:
        """The share of the threshold taken off."""
        return 1 / (4 * self.full_scale) if self.overshoot is None else self.overshoot

    def unit(self, threshold: int) -> float:
        """The gain V / A: what a drive of 1 adds to v in a step."""
        return threshold * VOLTAGE_UNIT / self.full_scale


@dataclass(frozen=True, eq=False)
class SpikingCoder(StockCoder):
    """Spiking LCA. threshold: that of the weights; the neurons fire `design.early` below."""

    design: SpikingDesign
    threshold: int
    kind: ClassVar[str] = "spiking-coder"
    title: ClassVar[str] = "spiking coder"

    @property
    def bias_exponent(self) -> int:
        """Exponent of all biases."""
        return next(p.neuron.bias_exponent for p in self.graph.populations if isinstance(p.neuron, LIF))

    def drive(self, signals: npt.ArrayLike, steps: int) -> Drive:
        """See `StockCoder.drive`. Signals with spikes: 0..1 if binary, else -1..1."""
        check_steps(steps)
        values = self.problem.check_signals(signals)
        if self.design.input_bits is not None:
            return Drive(present_spikes(values, steps, self.design.input_bits))
        driven, reach = values @ self.problem.dictionary, self.design.signal_reach
        if driven.size and np.abs(driven).max() > reach + ROUNDING:
            raise UserError(
                f"signals: an atom is driven by {np.abs(driven).max():.6g}; biases of 13 bits are laid out for "
                f"signal_reach {reach:g}; scale the signals down, or raise signal_reach"
            )
        exact = self.design.unit(self.threshold) * (driven - self.problem.sparsity_threshold)
        mantissas = np.clip(np.floor(exact / 2.0**self.bias_exponent + 0.5), *BIAS_MANTISSAS)
        return Drive(np.zeros((len(values), steps, 0), dtype=np.int32), {CODE: mantissas.astype(np.int16)})

    def codes(self, spikes: Spikes) -> Reals:
        """The codes full_scale * spikes / steps, of shape [B, K], over the steps that count.

        Raises: UserError if a neuron spiked in more than half of the steps: rates do not follow codes there.
        """
        sent = self._counted(spikes)
        rates = sent.sum(axis=1, dtype=np.float64) / sent.shape[1]
        if sent.shape[1] > 2 and rates.size and rates.max() > 0.5:
            raise UserError(
                f"sparse coder: a code reached {rates.max() * self.design.full_scale:.3g}, beyond reach of neurons "
                f"that spike at every step for {self.design.full_scale:g}; raise full_scale or scale the signals down"
            )
        return np.asarray(self.design.full_scale * rates, dtype=np.float64)

    def _counted(self, spikes: Spikes) -> Integers:
        return spikes[CODE][:, int(self.design.skipped_share * spikes[CODE].shape[1]) :]

    @property
    def code_unit(self) -> float:
        """The code of a neuron that spikes once in the steps that count."""
        return self.design.full_scale / (self.free_steps - int(self.design.skipped_share * self.free_steps))

    def scores(self, spikes: Spikes) -> Int32:
        """Spikes of the code over the steps that count, of shape [B, K]."""
        return np.asarray(self._counted(spikes).sum(axis=1, dtype=np.int32))


def spiking_coder(dictionary: Reals, sparsity_threshold: float, design: SpikingDesign | None = None) -> SpikingCoder:
    """The network of the module docstring; populations "code" and, with spikes as input, "input".

    Args:   dictionary D of shape [N, K], atoms of length 1 a column; sparsity_threshold (lambda), real, > 0.
    Raises: UserError if an atom has another length, or 13 bits of bias or 24 bits of current cannot hold the design.
    """
    problem, design = SparseProblem(dictionary, sparsity_threshold), design or SpikingDesign()
    problem.check_unit_atoms()
    threshold = _threshold(problem, design)
    neuron = _neuron(problem, design, threshold)
    projections = _lateral(problem, design, threshold)
    populations = [StockPopulation(CODE, (problem.n_atoms,), neuron)]
    if design.input_bits is not None:
        source = SpikeInput(1 << design.input_bits)
        populations.insert(0, StockPopulation(INPUT, (problem.n_pixels,), source))
        _check_drive_steps(problem, design, threshold)
        projections.insert(0, _forward(problem, design, threshold))
    biased = (CODE,) if design.input_bits is None else ()
    return SpikingCoder(problem, StockSpec(tuple(populations), tuple(projections), biased), design, threshold)


def _check_drive_steps(problem: SparseProblem, design: SpikingDesign, threshold: int) -> None:
    """Raise UserError if 1 of synaptic input, the least there is, drives an atom more than the threshold."""
    step = design.full_scale * DECAY_UNITY / design.decay / threshold
    if step > problem.sparsity_threshold:
        raise UserError(
            f"LCA design: spikes drive atoms in steps of {step:.3g}, coarser than sparsity_threshold "
            f"{problem.sparsity_threshold:g}; lower full_scale or tau_steps, or set input_bits None (biases)"
        )


def _neuron(problem: SparseProblem, design: SpikingDesign, threshold: int) -> LIF:
    """The code neuron; its bias holds the sparsity threshold if signals come as spikes."""
    unit, highest = design.unit(threshold), BIAS_MANTISSAS[1]
    if design.input_bits is None:
        constant, reach = 0.0, unit * (design.signal_reach + problem.sparsity_threshold)
    else:
        constant = min(0.0, _lost(problem, design, threshold) - unit * problem.sparsity_threshold)
        reach = -constant
    exponent = max(0, ceil(log2(max(reach, 1.0) / highest)))
    if exponent > LARGEST_EXPONENT:
        raise UserError(
            f"LCA design: signal_reach {design.signal_reach:g} and sparsity_threshold {problem.sparsity_threshold:g} "
            f"need a bias of {reach:.4g}, 13 bits hold {highest << LARGEST_EXPONENT}; lower threshold or signal_reach, "
            "or raise full_scale"
        )
    return LIF(
        current_decay=design.decay - 1,
        threshold=max(1, round(threshold * (1 - design.early))),
        bias_mantissa=floor(constant / 2**exponent + 0.5),
        bias_exponent=exponent,
    )


def _lateral(problem: SparseProblem, design: SpikingDesign, threshold: int) -> list[StockProjection]:
    """The synapses among code neurons, as `SpikingDesign.lateral` says; at least one projection."""
    couplings = -threshold * design.decay / DECAY_UNITY * problem.gram
    np.fill_diagonal(couplings, 0.0)
    if design.lateral == "mixed":
        return [_synapses("lateral", CODE, couplings, "mixed")]
    projections = [_synapses("inhibition", CODE, np.minimum(couplings, 0.0), "inhibitory")]
    excitation = _synapses("excitation", CODE, np.maximum(couplings, 0.0), "excitatory")
    return [*projections, excitation] if excitation.weights.any() else projections


def _forward(problem: SparseProblem, design: SpikingDesign, threshold: int) -> StockProjection:
    """The synapses through which pixels drive the code: V D^T x / A for a signal that goes on."""
    bits = design.input_bits or 0
    weights = design.unit(threshold) * design.decay / DECAY_UNITY / VOLTAGE_UNIT * problem.dictionary / 2**bits
    return _synapses("input->code", INPUT, weights, "mixed", MESSAGE_BITS if bits else 0)


def _synapses(name: str, source: str, weights: Reals, sign_mode: str, message_bits: int = 0) -> StockProjection:
    """Synapses onto the code nearest to real weights, which are real sums; those of the input may be fractions, others
    are integers, so that no right shift takes anything off.
    """
    mixed = sign_mode == "mixed"
    limit = 127 if mixed else 255
    largest = max(float(np.abs(weights).max()), 1e-9)
    exponent = exponent_for(largest, limit, 15 if source == INPUT else 0)
    while largest * 2.0**exponent > limit + 0.5:
        exponent -= 1
    lowest, highest = {"mixed": (-limit, limit), "inhibitory": (-limit, 0), "excitatory": (0, limit)}[sign_mode]
    integers = quantize(weights, exponent, lowest, highest) * (2 if mixed else 1)
    return StockProjection(name, source, CODE, integers, -exponent - mixed, 8, sign_mode, message_bits)


def _lost(problem: SparseProblem, design: SpikingDesign, threshold: int) -> float:
    """The mean loss of v in a step by the right shift of the forward synapses (floors)."""
    exponent = _forward(problem, design, threshold).exponent
    lost = 0.5 - float(2.0 ** (exponent - 1)) if exponent < 0 else 0.0
    return lost * VOLTAGE_UNIT * DECAY_UNITY / design.decay


def _threshold(problem: SparseProblem, design: SpikingDesign) -> int:
    """The threshold at which no current can leave 24 bits.

    Raises: UserError if the one of the design is too large, or if only one below LEAST_THRESHOLD would do.
    """
    safe = min(floor(STATE_LIMIT / max(_largest_current(problem, design), 1.0)), 2**17 - 1)
    if safe < LEAST_THRESHOLD or (design.threshold is not None and design.threshold > safe):
        remedy = "lower it" if safe >= LEAST_THRESHOLD else "use fewer or less coherent atoms, or a larger tau_steps"
        raise UserError(
            f"LCA design: currents of {problem.n_atoms} coherent atoms stay within 24 bits up to threshold {safe} "
            f"only, {design.threshold or LEAST_THRESHOLD} is needed; {remedy}"
        )
    return min(safe, USUAL_THRESHOLD) if design.threshold is None else design.threshold


def _largest_current(problem: SparseProblem, design: SpikingDesign) -> float:
    """A bound on |u|, in units of the threshold: every neuron spikes as often as it can, at the same steps.

    Without excitation, and biases alone for a drive, v climbs by V signal_reach / A a step, so that a neuron needs
    `period` steps for a spike.
    """
    lateral = problem.gram - np.diag(np.diag(problem.gram))
    inhibition = float(np.maximum(lateral, 0.0).sum(axis=0).max())
    excitation = float(np.maximum(-lateral, 0.0).sum(axis=0).max())
    period = 1
    if excitation == 0.0 and design.input_bits is None:
        period = max(1, ceil((1 - design.early) * design.full_scale / design.signal_reach))
    k = design.decay / DECAY_UNITY
    rounding = 1.05  # weights are rounded to 8 bits
    forward = 0.0
    if design.input_bits is not None:
        forward = float(np.abs(problem.dictionary).sum(axis=0).max()) / design.full_scale
    burst = k / (1 - float((1 - k) ** period))
    return VOLTAGE_UNIT * rounding * (max(inhibition, excitation) * burst + forward)
