"""Dictionary learning in integers: what the synapses of a sparse coder do, batch by batch.

    dD_ik = rate * sum over signals and positions of a_k (r_i - threshold * D_ik)            r = x - D a

Residual times activity is the gradient of the objective; the second term is a decay of a synapse with the activity of
its neuron, and makes the norm of every atom tend to 1 without a division: where an atom is active its correlation with
the residual is the threshold, so d|D_k|^2/dt = 2 rate a_k threshold (1 - |D_k|^2). Both are local. Weights are int8,
with `shadow_bits` of an accumulator below them; a step is rounded stochastically once per batch, and saturates.

Source: Rozell et al. 2008; Olshausen & Field 1996 (gradient); the decay is in the form of Oja 1982.
Checked: tests/sim/coding/test_learner.py against the float learner and against the law of the norm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from neuro.base.arrays import Bools, Int8, Int64, Integers, Reals
from neuro.base.checks import Range
from neuro.base.fixed_point import (
    image_keys,
    quantize,
    round_shift,
    saturate,
    stochastic_shift,
    stream_key,
    synapse_bits,
)
from neuro.coding.dictionary import patches_of
from neuro.coding.problem import cost
from neuro.coding.sigma_delta import (
    CODE,
    LIMIT,
    RESIDUAL,
    CoderDesign,
    atom_exponent,
    coder_of_atoms,
    codes_of,
    leak_of,
)
from neuro.spec.plasticity import MAX_SHADOW_BITS, Rate, rate_near
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend
from sim.backends.record import Record

REACH = 8.0  # largest entry of an atom, in units of that of a flat one
DEPLOYED_TIME_CONSTANTS = 12  # to settle in; while it learns, five will do
RANDOM_BITS = 32  # of one random number
PRODUCT_BITS = 20  # a product of activity and residual is a whole number of 2**-20


@dataclass(frozen=True)
class BatchOutcome:
    """What a batch of B signals looked like before it was learned.

    codes of shape [B, K * positions]; objective, active (units), spikes (of the code) of shape [B]; settled, share.
    """

    codes: Reals
    objective: Reals
    active: Int64
    spikes: Int64
    settled: float


class DictionaryLearner:
    """The integer dictionary of a coder while it learns.

    full: atoms with shadow bits, int32 of shape (taps, K); `spec()` is the network of the rounded ones.
    """

    def __init__(self, design: CoderDesign, n_atoms: int, seed: int, shadow_bits: int = 8) -> None:
        Range(1).require("dictionary", atoms=n_atoms)
        Range(0, MAX_SHADOW_BITS).require("dictionary", shadow_bits=shadow_bits)
        self.design, self.seed, self.shadow_bits = design, seed, shadow_bits
        convolution = design.convolution
        self.shape: tuple[int, ...] = (math.prod(design.input_shape), n_atoms)
        if convolution is not None:
            self.shape = convolution.kernel_shape(design.input_shape, n_atoms)
        n_taps = math.prod(self.shape[:-1])
        self.exponent = atom_exponent(design, min(REACH / math.sqrt(n_taps), 127 / 128))
        start = np.random.default_rng([seed, 0xA70]).normal(size=(n_taps, n_atoms))
        start /= np.linalg.norm(start, axis=0)
        limit = LIMIT << shadow_bits
        self.full = quantize(start, self.exponent + shadow_bits, -limit, limit).astype(np.int32)
        self.leak = leak_of(design, self.dictionary())

    def atoms(self) -> Int8:
        """The int8 atoms, of the shape of the dictionary."""
        atoms: Int8 = saturate(round_shift(self.full, self.shadow_bits), -LIMIT, LIMIT).astype(np.int8)
        return atoms.reshape(self.shape)

    def dictionary(self) -> Reals:
        """The atoms in real units."""
        return self.atoms() * 2.0**-self.exponent

    def spec(self) -> NetworkSpec:
        """The coder with the present atoms."""
        return coder_of_atoms(self.design, self.atoms(), self.exponent, self.leak)

    def adapt(self, normalise: bool) -> None:
        """Choose the leak that suits the atoms and, if asked to, give them unit norm: what a host does at times."""
        if normalise:
            norms = np.linalg.norm(self.full, axis=0) * 2.0 ** -(self.exponent + self.shadow_bits)
            limit = LIMIT << self.shadow_bits
            self.full = quantize(self.full / np.where(norms > 0, norms, 1.0), 0, -limit, limit).astype(np.int32)
        self.leak = leak_of(self.design, self.dictionary())

    def learn(self, payloads: Integers, rate: float, presentation: int, threads: int | None = 1) -> BatchOutcome:
        """Code signals of shape [B, N], then move the atoms. rate: real, of the sum over the batch.

        presentation: signals learned before; with the seed it decides the rounding.
        """
        outcome, residual = self.observe(payloads, threads)
        self.update(outcome, residual, rate, presentation)
        return outcome

    def update(self, outcome: BatchOutcome, residual: Reals, rate: float, presentation: int) -> None:
        """Move the atoms by what `observe` returned; see `learn`."""
        self._move(self._change(outcome.codes, residual), rate, presentation)

    def observe(self, payloads: Integers, threads: int | None = 1) -> tuple[BatchOutcome, Reals]:
        """The outcome of signals of shape [B, N] in the present coder, and the residuals [B, N] that it leaves."""
        spec = self.spec()
        with get_backend("events").open(spec, threads=threads) as session:
            record = session.run(payloads, keep_states=True)
        assert record.states is not None  # asked for
        codes = codes_of(spec, record.states[CODE][:, 0])
        residual = self._residual(spec, record, payloads, codes)
        outcome = BatchOutcome(
            codes,
            cost(residual, codes, self.design.sparsity_threshold),
            np.count_nonzero(codes, axis=1),
            record.spike_counts[CODE].sum(axis=1),
            float(record.settled.mean()),
        )
        return outcome, residual

    def _residual(self, spec: NetworkSpec, record: Record, payloads: Integers, codes: Reals) -> Reals:
        """The residual x - D a: as its population last sent it, or, where the layout has none, computed."""
        if RESIDUAL in spec.population_index:
            neuron = spec.unit(RESIDUAL)
            assert record.states is not None  # asked for
            return np.asarray(neuron.activation(record.states[RESIDUAL][:, 0]) * 2.0**-neuron.activation_bits)
        return payloads * 2.0**-self.design.encoder.activation_bits - codes @ self.dictionary().T

    def _windows(self, residual: Reals) -> Reals:
        """The residuals [B, N] as the places of an atom hold them, of shape [B * positions, taps]."""
        if self.design.convolution is None:
            return residual
        windows = patches_of(residual, self.design.convolution, self.design.input_shape)
        return windows.reshape(-1, self.full.shape[0])

    def _change(self, codes: Reals, residual: Reals) -> Reals:
        """The sum of a_k (r_i - threshold D_ik), of the shape of `full`; exact, as all factors are short dyadics."""
        if self.design.convolution is None:
            products, activity = residual.T @ codes, np.abs(codes).sum(axis=0)
        else:
            maps = codes.reshape(-1, self.shape[-1])
            products, activity = self._windows(residual).T @ maps, np.abs(maps).sum(axis=0)
        atoms = self.dictionary().reshape(self.full.shape)
        return np.asarray(products - self.design.sparsity_threshold * activity * atoms)

    def _move(self, change: Reals, rate: float, presentation: int) -> None:
        chip_rate = self.chip_rate(rate)
        integer = np.floor(change * 2.0**PRODUCT_BITS + 0.5).astype(np.int64)
        key = stream_key(image_keys(self.seed, presentation, 1), 0)
        bits = synapse_bits(key, np.arange(integer.size, dtype=np.uint32)).reshape(integer.shape).astype(np.int64)
        down = chip_rate.exponent - self.payload_bits - self.shadow_bits + PRODUCT_BITS
        more = max(down - RANDOM_BITS, 0)  # a very small rate: the last bits of the product are beyond the random ones
        step = stochastic_shift(round_shift(integer * chip_rate.mantissa, more), max(down - more, 0), bits)
        step = step << max(-down, 0)
        limit = LIMIT << self.shadow_bits
        self.full = saturate(self.full + step, -limit, limit).astype(np.int32)

    @property
    def payload_bits(self) -> int:
        """Bits below 1 of a product of payloads: of a code and of a residual."""
        return self.design.activation_bits + self.design.residual_bits

    def chip_rate(self, rate: float) -> Rate:
        """A real learning rate as mantissa and exponent, in weight steps per unit of a product of payloads."""
        return rate_near(rate * 2.0 ** (self.exponent - self.payload_bits))

    def revive(self, dead: Bools, payloads: Integers) -> int:
        """Replace `dead` atoms, of shape [K], by what the coder leaves of its worst signals; return how many."""
        if not dead.any():
            return 0
        _, residual = self.observe(payloads)
        residual = self._windows(residual)
        norms = np.linalg.norm(residual, axis=1)
        worst = np.argsort(-norms, kind="stable")[: np.count_nonzero(dead)]
        worst = worst[norms[worst] > 0]
        columns = np.flatnonzero(dead)[: len(worst)]
        limit = LIMIT << self.shadow_bits
        fresh = (residual[worst] / norms[worst, None]).T
        self.full[:, columns] = quantize(fresh, self.exponent + self.shadow_bits, -limit, limit)
        return len(columns)


def deployed_design(design: CoderDesign, leak: tuple[int, int], largest: float) -> CoderDesign:
    """The design as it is deployed: codes may exceed the `largest` seen by half, and settle longer."""
    reach = max(2.0 ** math.ceil(math.log2(1.5 * max(largest, 2.0 * design.sparsity_threshold))), 1.0)
    steps = design.steps or math.ceil(DEPLOYED_TIME_CONSTANTS * 2 ** leak[1] / leak[0])
    return replace(design, reach=reach, steps=steps)
