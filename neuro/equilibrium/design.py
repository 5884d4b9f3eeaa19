"""Choices from which equilibrium propagation networks are made, and which of them suit which layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from neuro.base.checks import Range
from neuro.base.errors import UserError
from neuro.base.fixed_point import WEIGHT_BITS
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.layers import ConvolutionalLayer, Layer, check_layers
from neuro.spec.schedule import CONSTANT, EVEN_ODD, PARALLEL, RELAXING

# Gains of hidden layers. Averages over a window vary less than what they average: kernels take twice as much.
COUPLING, COUPLING_MAPS, FIRST_WIDE = 0.25, 0.5, 2.0


@dataclass(frozen=True)
class EquilibriumDesign:
    """Choices from which `build_equilibrium` makes a spec. The defaults suit one hidden layer; see `design_for`.

    The figures below are measured by `python -m benchmarks.design_choices`.

    input_shape, n_classes, hidden: sizes; `hidden` lists the hidden layers from input to output: numbers of neurons,
                        or convolutional layers (`neuro.spec.layers`).
    weight_bits:        bits of a weight, 2..8.
    rule, shadow_bits:  local rule of the projections (`neuro.spec.plasticity`); "y3" applies to the input projection.
    state_bits, activation_bits: the real value 1 is 2**bits in u / in payloads.
    output_bits:        payload bits of the output (small errors are lost in coarse ones); 0: activation_bits.
    free_steps, nudged_steps:    steps of the free phase and of each nudged phase.
    nudge_multiplier, nudge_shift, step_multiplier, step_shift: nudge strength and step size, m / 2**shift.
                        A step of 7/8 settles faster than 3/4 (88 against 56 % of MNIST images silent after 10 steps)
                        and, unlike 1, damps the two-step oscillation of couplings up to (2 - 7/8) / (7/8) = 1.29.
    output_box:         real box of the output state; hidden states live in [0, 1]. An upper end above 1 lets an output
                        that overshoots its target be corrected: on digits .984 against .982 (validation, 40 splits).
    hidden_gain, output_gain, output_bias: initial weights are Glorot-uniform with these gains; bias of the output.
    layer_gains:        factors of hidden_gain, one for each hidden layer; (): 1.
    exponent_offset:    added to every weight exponent (negative: larger weights fit, on a coarser grid).
    headroom:           how many times its initial bound a weight may grow before it saturates.
    order, force:       who updates when, and the force of the nudge (`neuro.spec.schedule.Schedule`).
    """

    input_shape: tuple[int, ...]
    n_classes: int
    hidden: tuple[Layer, ...] = (256,)
    rule: str = "event"
    shadow_bits: int = 8
    weight_bits: int = WEIGHT_BITS
    state_bits: int = 16
    activation_bits: int = 5
    output_bits: int = 0
    free_steps: int = 10
    nudged_steps: int = 4
    nudge_multiplier: int = 1
    nudge_shift: int = 1
    step_multiplier: int = 7
    step_shift: int = 3
    output_box: tuple[float, float] = (0.0, 1.5)
    hidden_gain: float = 1.0
    output_gain: float = 0.5
    output_bias: float = 0.25
    layer_gains: tuple[float, ...] = ()
    exponent_offset: int = 0
    headroom: float = 1.5
    order: str = PARALLEL
    force: str = RELAXING
    encoder: PixelEncoder = field(default_factory=PixelEncoder)

    def __post_init__(self) -> None:
        check_layers(self.hidden)
        if self.n_classes < 2:
            raise UserError(f"{self.n_classes} classes: a classifier needs at least two")
        Range(2, WEIGHT_BITS).require(weight_bits=self.weight_bits)
        gains = Range(0.0, 1e3, open_below=True, open_above=True)
        gains.require(hidden_gain=self.hidden_gain, output_gain=self.output_gain)
        if self.layer_gains and len(self.layer_gains) != len(self.hidden):
            raise UserError(f"layer_gains {self.layer_gains}: give one for each of {len(self.hidden)} hidden layers")

    @property
    def gains(self) -> tuple[float, ...]:
        """Gain of the initial weights of every layer, the output's last."""
        each = self.layer_gains or (1.0,) * len(self.hidden)
        return (*(self.hidden_gain * factor for factor in each), self.output_gain)


def design_for(
    input_shape: tuple[int, ...], n_classes: int, hidden: tuple[Layer, ...], **choices: Any
) -> EquilibriumDesign:
    """The default design for these layers, with `choices` (fields of `EquilibriumDesign`) in place of defaults.

    One all-to-all hidden layer: see `EquilibriumDesign`. Deeper, and with convolutions (`benchmarks.depth`):

    - Layers that settle together must not excite each other into saturation: E is convex, with one equilibrium, while
      the couplings W between moving layers have norms that leave 1 - |W| positive. An all-to-all Glorot matrix of gain
      1 has a norm of up to 2, and then nothing is learned; COUPLING makes it 1/2.
    - Three hidden layers take twice the steps of two to settle.
    - The output is wide and nearly linear, the nudge weak, spikes finer: the error has to travel through more layers.
    - Couplings grow while they learn. Updated in parallel, they oscillate at a step of 7/8 beyond a norm of 1.29: a
      convolutional network on MNIST fell from .967 to chance in its second epoch. A step of 1/2 bears norms up to 3;
      at 3/4, up to 1.67, training accuracy still fell once. And couplings learn at less than half the rate of the
      first layer (`sim.training.tune`).
    - One convolutional layer has no coupling to another: nudge and output box as with one all-to-all hidden layer
      (MNIST, two passes over 20,000 images, 64 kernels of 9 x 9: .985 against .978 of 3,000 validation images; after
      one pass over 10,000 there is no difference).
    """
    if choices.get("order") == EVEN_ODD:
        return EquilibriumDesign(input_shape, n_classes, hidden, **{**_in_turn(hidden), **choices})
    deep: dict[str, Any] = {}
    convolutional = any(isinstance(layer, ConvolutionalLayer) for layer in hidden)
    if len(hidden) > 1 or convolutional:
        deep = {
            "activation_bits": 6 if convolutional else 7,
            "state_bits": 18 if convolutional else 16,
            "free_steps": 30 if len(hidden) < 3 else 60,
            "nudged_steps": (12 if convolutional else 15) if len(hidden) < 3 else 30,
            "step_multiplier": 1,
            "step_shift": 1,
            "nudge_multiplier": 1,
            "nudge_shift": min(len(hidden), 2) if convolutional else 3,
            "output_box": (-1.0, 2.0) if len(hidden) > 1 else (0.0, 1.5),
            "layer_gains": tuple(_gain(layer, index, len(hidden)) for index, layer in enumerate(hidden)),
        }
    return EquilibriumDesign(input_shape, n_classes, hidden, **{**deep, **choices})


def _in_turn(hidden: tuple[Layer, ...]) -> dict[str, Any]:
    """What suits these layers in even-odd order with a constant force.

    Phases are caps: an image leaves them when it is silent, after 20 to 40 half steps of a trained network of maps.
    Three all-to-all layers fall to chance in the first epoch at half the coupling, the first gain doubled and twice the
    nudge: then the output meets its box.
    """
    convolutional = any(isinstance(layer, ConvolutionalLayer) for layer in hidden)
    three = len(hidden) > 2
    deep = {
        "activation_bits": 6 if convolutional else 7,
        "state_bits": 18 if convolutional else 16,
        "output_bits": 8 if convolutional else 0,
        "output_box": (-1.0, 2.0),
        "layer_gains": tuple(_gain_in_turn(layer, index, len(hidden)) for index, layer in enumerate(hidden)),
        "nudge_shift": 2 if three and not convolutional else 1,
        "output_gain": 0.25 if three and not convolutional else 0.5,
        "headroom": 3.0,
        "free_steps": (160 if three else 100) if convolutional else (90 if three else 60),
        "nudged_steps": (100 if three else 60) if convolutional else (60 if three else 40),
    }
    shallow = {"free_steps": 20, "nudged_steps": 12}
    return {
        "force": CONSTANT,
        "step_multiplier": 1,
        "step_shift": 0,
        **(deep if len(hidden) > 1 or convolutional else shallow),
    }


def _gain_in_turn(layer: Layer, index: int, n_hidden: int) -> float:
    """Gain of the initial weights into a hidden layer of a deep network whose layers take turns."""
    if isinstance(layer, ConvolutionalLayer):
        return FIRST_WIDE if index == 0 else COUPLING_MAPS
    if index == 0:
        return 1.0
    return COUPLING if n_hidden < 3 else COUPLING_MAPS


def _gain(layer: Layer, index: int, n_hidden: int) -> float:
    """Gain of the initial weights into a hidden layer of a deep network."""
    if index == 0:
        return FIRST_WIDE if isinstance(layer, ConvolutionalLayer) or n_hidden > 2 else 1.0
    return COUPLING_MAPS if isinstance(layer, ConvolutionalLayer) else COUPLING
