"""Neuron models as equations over integers. A population of a `NetworkSpec` carries one of these.

A model only states parameters and meaning; the backends of `sim` compute it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from neuro.base.checks import Range, require_choice, require_integers, require_ranges
from neuro.base.errors import UserError
from neuro.base.fixed_point import CHANCE_BITS, GENERATOR_STREAM, round_shift, shrink, stream_key, synapse_bits

THRESHOLD_KINDS = ("soft", "hard")
MAX_STATE_BITS = 22  # one = 2**22 leaves a sign and a factor 2 of headroom in the chip's 24-bit state
MAX_STATE = 1 << 23


@dataclass(frozen=True)
class Source:
    """Neurons that are told what to send: the input image, or an always-on constant (a bias).

    At the presentation step (step 0) each neuron with a non-zero payload sends it once as one graded spike; it is
    silent afterwards. Receivers accumulate, so the value stays in force until the next image.

    activation_bits: payload unit is 2**-activation_bits, so that the real value 1 is 2**activation_bits.
    payload_limit:   largest |payload| that may be sent, integer.
    constant:        payload of every neuron for every image; None if it comes with the image.
    """

    activation_bits: int = 5
    payload_limit: int = 32
    constant: int | None = None

    def __post_init__(self) -> None:
        constant = 0 if self.constant is None else self.constant
        require_integers(
            "Source", activation_bits=self.activation_bits, payload_limit=self.payload_limit, constant=constant
        )
        require_ranges("Source", vars(self), activation_bits=Range(0, 12), payload_limit=Range(1, 2**15 - 1))
        if abs(constant) > self.payload_limit:
            raise UserError(f"Source: constant {constant} exceeds payload_limit {self.payload_limit}; raise the limit")

    @property
    def input_limit(self) -> int:
        """Largest |payload| that comes with an image."""
        return self.payload_limit

    @property
    def window(self) -> int:
        """The last step at which neurons send: 0, the presentation."""
        return 0


@dataclass(frozen=True)
class Generator(Source):
    """Input neurons that send Bernoulli spikes, each with the chance that the image gives it.

    At each step t = 1 .. window, with c the payload that comes with the image (chance 2**-CHANCE_BITS each):

        s = 1 if bits(unit, t, image, seed) >> (32 - CHANCE_BITS) < c, else 0

    bits are counter-based: a pure function of unit, step, image and seed, so that every backend, whatever the order,
    sends the same spikes. Receivers accumulate, so after the window the value in force is the count of spikes, of mean
    window c and Fano factor 1 - c (c as a chance). Nothing is sent at the presentation, or after the window.

    payload_limit: steps of the window, the largest count. activation_bits: the real value 1 is 2**activation_bits
    spikes.  constant: None.

    Source: Dapello et al. 2020 (noise of a V1 front end whose variance is its mean); spikes in its place: ours.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.constant is not None:
            raise UserError("Generator: takes its chances from the image; drop the constant")

    @property
    def input_limit(self) -> int:
        """The largest chance, in units of 2**-CHANCE_BITS: just below 1."""
        return (1 << CHANCE_BITS) - 1

    @property
    def window(self) -> int:
        """The steps of the window."""
        return self.payload_limit


def generated(chances: Any, keys: Any, units: Any, step: int) -> Any:
    """The spikes, 0 or 1, that generators send at `step`; all arguments broadcast.

    Args: chances, payloads of the input; keys, uint32, of the images (`neuro.base.fixed_point.image_keys`); units,
    indices of the neurons.
    """
    bits = synapse_bits(stream_key(keys, GENERATOR_STREAM + step), units)
    return (bits >> (32 - CHANCE_BITS)) < chances


@dataclass(frozen=True)
class SigmaDelta:
    """Sigma-delta unit: sends a graded spike when its rounded activation changes. With a threshold, an LCA unit.

    At every step, with a the accumulated input (unit 2**-state_bits) and all units updated in parallel:

        I     = a + sign * ((target - u) * nudge_multiplier >> nudge_shift)      (the nudge: output population only)
        u     = clip(u + ((I - u) * step_multiplier >> step_shift), lower, upper)
        r     = u - clip(u, -threshold, threshold)     (r + sign(r) threshold where the threshold is "hard")
        q     = ((r + half) >> send_shift) - s_hat,    send_shift = state_bits - activation_bits, half = 2**send_shift/2
        s_hat = s_hat + q;   a graded spike of payload q is sent if and only if q != 0
        a_j   = a_j + (q << shift) * W_ij at every target j, one step later      (no decay)

    At equilibrium nothing changes, so nothing is sent. u starts at 0 with s_hat = 0, a = 0 for every image.

    state_bits, activation_bits: the real value 1 is 2**state_bits in u and 2**activation_bits in s_hat.
    lower, upper:                the box of u, in state units; holds 0.
    step_multiplier, step_shift: step size step_multiplier / 2**step_shift of the relaxation, in (0, 1].
    threshold, threshold_kind:   sparsity threshold in state units, 0 for none (r = u); a "soft" or a "hard" one.

    Source: O'Connor et al. 2019 (spiking equilibrium propagation); Laborieux et al. 2021 (centred nudging); Rozell et
    al. 2008 (locally competitive algorithm: the threshold).
    """

    state_bits: int = 16
    activation_bits: int = 5
    lower: int = 0
    upper: int = 1 << 16
    step_multiplier: int = 3
    step_shift: int = 2
    threshold: int = 0
    threshold_kind: str = "soft"

    def __post_init__(self) -> None:
        name = "SigmaDelta"
        require_integers(name, **{key: value for key, value in asdict(self).items() if key != "threshold_kind"})
        require_ranges(name, vars(self), state_bits=Range(1, MAX_STATE_BITS), step_shift=Range(0, 8))
        Range(0, self.state_bits).require(name, "no more than state_bits", activation_bits=self.activation_bits)
        if not (self.lower <= 0 <= self.upper and self.lower < self.upper):
            raise UserError(f"{name}: box [{self.lower}, {self.upper}] must hold 0 and be wider than a point")
        if self.lower < -MAX_STATE or self.upper > MAX_STATE:
            raise UserError(f"{name}: box [{self.lower}, {self.upper}] exceeds the 24-bit state of the chip; narrow it")
        if not 1 <= self.step_multiplier <= 1 << self.step_shift:
            raise UserError(f"{name}: step size {self.step_multiplier}/2**{self.step_shift} outside (0, 1]")
        require_choice(f"{name}: threshold_kind", self.threshold_kind, THRESHOLD_KINDS)
        highest = max(self.upper, -self.lower) - 1
        Range(0, highest).require(name, "no state in the box exceeds more", threshold=self.threshold)

    @property
    def one(self) -> int:
        """The real value 1 in state units."""
        return 1 << self.state_bits

    @property
    def send_shift(self) -> int:
        """Shift from state units to payload units."""
        return self.state_bits - self.activation_bits

    @property
    def hard(self) -> bool:
        """Whether the threshold is a hard one."""
        return self.threshold_kind == "hard"

    def activation(self, state: Any) -> Any:
        """The message of a unit in `state` (integers, state units) to its receivers, in payload units."""
        return round_shift(shrink(state, self.threshold, int(self.hard)), self.send_shift)

    @property
    def payload_limit(self) -> int:
        """Largest |s_hat| the box allows."""
        return int(max(abs(self.activation(self.lower)), abs(self.activation(self.upper))))


NeuronModel = Source | SigmaDelta
