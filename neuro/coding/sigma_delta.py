"""Sparse coders: the locally competitive algorithm (LCA) as a spiking network with graded spikes.

    u <- u + leak (D^T x - (D^T D - I) a_hat - u)      a = max(u - threshold, 0)      sent: changes of a, rounded

whose fixed point minimises the LASSO objective 1/2 |x - D a|^2 + threshold sum |a|: the neurons of atoms that overlap
inhibit each other, and those that lose fall silent. Two layouts with the same fixed point:

    "inhibition"  code -> code carries -(D^T D - I) explicitly: one hop, K synapses a spike; for dense dictionaries
    "residual"    a population holds x - D a, code -> code is the identity: two hops, N synapses a spike; learns
                  locally; for kernels, whose explicit inhibition would take many times more synapses

Source: Rozell et al. 2008; Tang et al. 2017 (spikes); Teti et al. 2022 (LCANet: kernels as a front end).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from neuro.base.arrays import AnyArray, Int8, Integers, Reals
from neuro.base.checks import Range, require_choice, require_ranges
from neuro.base.convolution import Convolution
from neuro.base.errors import UserError
from neuro.base.fixed_point import WEIGHT_BITS, quantize, weight_limit
from neuro.base.scales import exponent_for
from neuro.coding.dictionary import check_dictionary, gram_norm
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.graph import Population
from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.projection import Projection
from neuro.spec.schedule import Phase, Schedule
from neuro.spec.sigma_delta import NetworkSpec

INPUT, RESIDUAL, CODE = "input", "residual", "code"
LAYOUTS = ("inhibition", "residual")
LIMIT = weight_limit(WEIGHT_BITS)
RESIDUAL_REACH = 2  # of the largest signal (1 for pixels): an overshoot of 100 %
TIME_CONSTANTS = 5  # steps of the free phase, in time constants
SLOWEST_TAU = 20.0
STABLE = {"inhibition": 0.75, "residual": 0.5}  # largest leak * |D^T D| that the delay of the layout leaves damped


@dataclass(frozen=True)
class CoderDesign:
    """Choices from which `build_coder` makes a spec.

    input_shape:        shape of a signal: (n, ) or an image.
    sparsity_threshold: lambda, real, in units of the code; > 0.
    convolution:        None for a dense dictionary [N, K]; else atoms are kernels (extent..., channels, K).
    layout:             "inhibition" or "residual"; None: the cheaper one.
    signed:             codes of both signs; else a >= 0.    threshold_kind: "soft" (LASSO) or "hard" (L0).
    tau:                time constant in steps; None: 20, or as many as |D^T D| needs for stability.
    steps:              of the free phase; None: five time constants.
    reach:              largest code, real: beyond it a code saturates.
    activation_bits, residual_bits, state_bits: the real value 1 is 2**bits in codes, residuals, states.
    """

    input_shape: tuple[int, ...]
    sparsity_threshold: float
    convolution: Convolution | None = None
    layout: str | None = None
    signed: bool = False
    threshold_kind: str = "soft"
    tau: float | None = None
    steps: int | None = None
    reach: float = 8.0
    activation_bits: int = 6
    residual_bits: int = 7
    state_bits: int = 16
    encoder: PixelEncoder = field(default_factory=lambda: PixelEncoder(activation_bits=7))

    def __post_init__(self) -> None:
        if not (math.isfinite(self.reach) and 0 < self.sparsity_threshold < self.reach):
            raise UserError(
                f"coder: sparsity_threshold {self.sparsity_threshold} must lie between 0 and the reach of codes, "
                f"{self.reach}; without a threshold nothing competes"
            )
        if self.layout is not None:
            require_choice("coder: layout", self.layout, LAYOUTS)
        if self.convolution is not None and self.layout == "inhibition":
            raise UserError("coder: kernels have the residual layout; drop the layout, or unroll the kernels")
        require_ranges("coder", vars(self), tau=Range(1, 256), steps=Range(1))

    @property
    def chosen_layout(self) -> str:
        """The layout, chosen if the user gave none."""
        return self.layout or ("inhibition" if self.convolution is None else "residual")


def build_coder(design: CoderDesign, dictionary: Reals) -> NetworkSpec:
    """The coder of a dictionary; populations "input", "code" (the output) and, in its layout, "residual".

    Args:   dictionary, real, of shape [N, K] with an atom a column, or a kernel (extent..., channels, K).
    Warns:  DictionaryWarning if the dictionary is hard to code with (`neuro.coding.dictionary.check_dictionary`).
    Raises: UserError if it does not fit the design, is not finite, or its sums could leave the chip's registers.
    """
    dictionary = checked_dictionary(design, dictionary)
    exponent = atom_exponent(design, float(np.abs(dictionary).max()))
    atoms = quantize(dictionary, exponent, -LIMIT, LIMIT).astype(np.int8)
    multiplier, shift = leak_of(design, atoms * 2.0**-exponent)
    check_dictionary(dictionary, 2**shift / multiplier, design.convolution, design.input_shape)
    return coder_of_atoms(design, atoms, exponent, (multiplier, shift))


def coder_of_atoms(design: CoderDesign, atoms: Int8, exponent: int, leak: tuple[int, int]) -> NetworkSpec:
    """The coder of integer atoms, real values atoms * 2**-exponent; leak from `leak_of`."""
    n_atoms, (multiplier, shift) = atoms.shape[-1], leak
    unit = _code_unit(design, multiplier, shift)
    maps: tuple[int, ...] = (n_atoms,)
    if design.convolution is not None:
        maps = design.convolution.output_shape(design.input_shape, n_atoms)
    source = Source(design.encoder.activation_bits, design.encoder.payload_limit)
    populations = [Population(INPUT, design.input_shape, source), Population(CODE, maps, unit)]
    if design.chosen_layout == "inhibition":
        projections = _inhibition(design, atoms, exponent)
    else:
        populations.insert(1, Population(RESIDUAL, _channels_last(design), _residual_unit(design)))
        projections = _residual(design, atoms, exponent, n_atoms)
    steps = design.steps or math.ceil(TIME_CONSTANTS * 2**shift / multiplier)
    return NetworkSpec(
        tuple(populations), tuple(projections), Schedule((Phase("settle", steps),)), INPUT, CODE, design.encoder
    )


def checked_dictionary(design: CoderDesign, dictionary: AnyArray) -> Reals:
    """The dictionary in float64. Raises: UserError if it does not fit the design or is not finite."""
    dictionary = np.asarray(dictionary, dtype=np.float64)
    size, n_atoms = math.prod(design.input_shape), dictionary.shape[-1] if dictionary.ndim else 0
    needed_shape: tuple[int, ...] = (size, n_atoms)
    if design.convolution is not None:
        design.convolution.positions(design.input_shape)
        needed_shape = design.convolution.kernel_shape(design.input_shape, n_atoms)
    if dictionary.shape != needed_shape or n_atoms == 0:
        raise UserError(
            f"dictionary of shape {dictionary.shape}: signals of shape {design.input_shape} need {needed_shape}"
        )
    if not np.isfinite(dictionary).all() or not dictionary.any():
        raise UserError("dictionary: holds NaN or infinity, or nothing but zeros; learn or normalise it first")
    return dictionary


def atom_exponent(design: CoderDesign, reach: float) -> int:
    """The finest weight exponent that holds entries of size `reach` and leaves whole state units."""
    bits = max(design.encoder.activation_bits, design.residual_bits if design.chosen_layout == "residual" else 0)
    return exponent_for(reach, LIMIT, design.state_bits - bits)


def _code_unit(design: CoderDesign, multiplier: int, shift: int) -> SigmaDelta:
    one = 1 << design.state_bits
    reach, threshold = round(design.reach * one), round(design.sparsity_threshold * one)
    lower = -reach if design.signed else 0
    return SigmaDelta(
        design.state_bits, design.activation_bits, lower, reach, multiplier, shift, max(threshold, 1),
        design.threshold_kind,
    )  # fmt: skip


def _residual_unit(design: CoderDesign) -> SigmaDelta:
    """A unit that follows its input at once."""
    largest = max(1, math.ceil(design.encoder.payload_limit * 2.0**-design.encoder.activation_bits))
    reach = RESIDUAL_REACH * largest << design.state_bits
    return SigmaDelta(design.state_bits, design.residual_bits, -reach, reach, 1, 0)


def _inhibition(design: CoderDesign, atoms: Int8, exponent: int) -> list[Projection]:
    real = atoms * 2.0**-exponent
    lateral = np.eye(real.shape[1]) - real.T @ real
    largest = design.state_bits - design.activation_bits
    reach = float(max(np.abs(lateral).max(), 2.0**-largest))
    fine = exponent_for(reach, LIMIT, largest)
    return [
        Projection("input->code", INPUT, CODE, exponent, atoms),
        Projection("code->code", CODE, CODE, fine, quantize(lateral, fine, -LIMIT, LIMIT).astype(np.int8)),
    ]


def _channels_last(design: CoderDesign) -> tuple[int, ...]:
    """Shape of the residual: that of the input, with a channel axis where a kernel reads it."""
    if design.convolution is None or len(design.input_shape) > len(design.convolution.kernel):
        return design.input_shape
    return (*design.input_shape, 1)


def _identity(name: str, source: str, target: str, n_axes: int, channels: int) -> Projection:
    """Synapses that join every neuron to the neuron at the same place: a kernel of extent 1."""
    point = Convolution((1,) * n_axes, (1,) * n_axes, ((0, 0),) * n_axes)
    kernel = np.eye(channels, dtype=np.int8).reshape((*((1,) * n_axes), channels, channels))
    return Projection(name, source, target, 0, kernel, convolution=point)


def _residual(design: CoderDesign, atoms: Int8, exponent: int, n_atoms: int) -> list[Projection]:
    forward = Projection("residual->code", RESIDUAL, CODE, exponent, atoms, convolution=design.convolution)
    back = Projection("code->residual", CODE, RESIDUAL, exponent, transpose_of="residual->code", sign=-1)
    if design.convolution is None:
        eye = np.eye(math.prod(design.input_shape), dtype=np.int8)
        copy = Projection("input->residual", INPUT, RESIDUAL, 0, eye)
        keep = Projection("code->code", CODE, CODE, 0, np.eye(n_atoms, dtype=np.int8))
    else:
        n_axes = len(design.convolution.kernel)
        copy = _identity("input->residual", INPUT, RESIDUAL, n_axes, design.convolution.channels(design.input_shape))
        keep = _identity("code->code", CODE, CODE, n_axes, n_atoms)
    return [copy, forward, back, keep]


def leak_of(design: CoderDesign, dictionary: Reals) -> tuple[int, int]:
    """The leak 1 / tau as (multiplier, shift): multiplier / 2**shift, the representable one just below."""
    tau = design.tau
    if tau is None:
        norm = gram_norm(dictionary, design.convolution, design.input_shape)
        tau = max(SLOWEST_TAU, norm / STABLE[design.chosen_layout])
    shift = min(2 + math.ceil(math.log2(tau)), 8)
    return max(1, math.floor(2**shift / tau)), shift


def codes_of(spec: NetworkSpec, states: Integers) -> Reals:
    """The real codes a, of shape [B, K], that units in `states` of population "code" last told their receivers.

    states: u of shape [B, K] in state units, as `Record.states["code"][:, 0]` holds them.
    """
    neuron = spec.unit(CODE)
    codes: Reals = neuron.activation(states.astype(np.int64)) * 2.0**-neuron.activation_bits
    return codes
