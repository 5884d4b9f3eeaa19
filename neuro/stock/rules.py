"""Equilibrium propagation in the chip's learning engine: which rules can be said there, and how.

Wanted, for a synapse with traces x (pre) and y (post), "-" read at the end of the free, "+" of the nudged phase:

    dw = learning_rate * (x+ y+ - x- y-)

A sample is a row of slots of 2**n steps; `u` products are evaluated at the end of every slot (R1, R5) or of every
sample (R2, R3, R4). None needs a signal from outside, unless "deferred".

    R1        -x1 y1 after the free slot, +x1 y1 after the nudged one; the sign is a tag that flips by itself. The free
              term changes the weights that the nudged phase then runs on: a bias of the order of the update itself.
    R2        x1 y1 - x2 y2 at once; slow traces x2, y2 remember the free phase.
    R3        x1 (y1 - y2), Bengio et al. 2017: dw ~ x dy/dt; the feedback copy has (x1 - x2) y1.
    R4        2 x1 y1 - x1 y2 - x2 y1, the symmetric mean of the two halves of R3.
    R5        x1 (y1 - y-): after the free slot the tag takes the value V + y1 and keeps it; after the nudged slot the
              weight moves by t x1 (y1 - (t - V)), all at once, and the tag drops below zero; after a blank slot, in
              which the traces run empty, it is back at 0, where products with the factor t vanish. The feedback
              copy holds x- instead. Equal to dw for an input that stands still; else half of it is left out (x- dx).
    deferred  R1 in synapses that transmit nothing; every `commit_every` samples the host copies their weights into the
              transmitting ones, forward and feedback. Host-assisted: not on the chip alone.

The engine rounds every product down: half a unit of 2**exponent is lost on average, for R5's second product four times
that. More than that the phase of single spikes does: all neurons start together from reset, so that at the end of a
slot the trace of a neuron of few spikes tells when the last one came rather than its rate: for R5, half a unit a sample
either way (measured at periods of 4 to 140 steps and the rate for MNIST). An exactly gated constant in place of what is
rounded away, 2 - 2 sgn(t) + 2 sgn(t - V) + 2 sgn(t) sgn(t - V) (x1 - 1), whose last term is rounded to -2 where x1 is 0
and to 0 elsewhere, changed neither the drift of the hidden weights nor the accuracy (MNIST, 6,000 images, one seed).
What else was tried, one change at a time: benchmarks.stock_tries.

Sources: rules R1-R4 after Scellier & Bengio 2017 and Bengio et al. 2017; the engine: `neuro.stock.learning_engine`.
Checked: benchmarks/stock_alignment.py, the expected update of each against the gradient of a float model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from neuro.base.checks import require_choice
from neuro.base.errors import UserError
from neuro.stock.learning_engine import LARGEST_K, EngineFactor, EngineProduct, EngineRule, EngineTrace, product

FORWARD, FEEDBACK = "forward", "feedback"
FREE, NUDGED, BLANK = "free", "nudged", "blank"
FLIP = -127  # initial tag of R1: the first slot of a sample is free
SMALLEST_SCALE, LARGEST_SCALE = 2.0**-7, 7 * 2.0**2
HELD = 128  # V of R5
EMPTY = -192  # tag of R5 after the nudged slot


@dataclass(frozen=True)
class StockRule:
    """A rule of the stock family.

    slots:       of a sample, each of slot_steps steps; per_slot: whether `u` comes round every slot or every sample.
    gain:        dw = gain * mantissa * 2**exponent * (trace products); for R5 at a silent post neuron (V + y- grows).
    input_trace: of pixels, which may spike every other step: 7 bits must hold it.  fast, slow: of neurons; slow
                 traces that no product reads stay empty.
    tag:         at the start.  host: whether a host copies what was learned.
    """

    name: str
    slots: tuple[str, ...]
    slot_steps: int
    per_slot: bool
    gain: float
    input_trace: EngineTrace
    fast: EngineTrace
    slow: EngineTrace
    tag: int = 0
    host: bool = False


UNIT_IMPULSE = 12  # learning rates are meant for traces of this impulse
_PIXEL, _QUICK, _LONG = EngineTrace(12, 16), EngineTrace(24, 16), EngineTrace(8, 49)
_LONG_PIXEL, _NONE = EngineTrace(4, 49), EngineTrace(0, 1)
RULES = {
    rule.name: rule
    for rule in (
        StockRule("R1", (FREE, NUDGED), 128, True, 127 / 4096, _PIXEL, _PIXEL, _NONE, FLIP),
        StockRule("R2", (FREE, FREE, FREE, NUDGED), 64, False, 1 / 8, _PIXEL, _QUICK, _LONG),
        StockRule("R3", (FREE, FREE, FREE, NUDGED), 64, False, 1 / 8, _PIXEL, _QUICK, _LONG),
        StockRule("R4", (FREE, FREE, FREE, NUDGED), 64, False, 1 / 8, _PIXEL, _QUICK, _LONG),
        StockRule("R5", (FREE, NUDGED, BLANK), 128, True, HELD / 4096, _PIXEL, _QUICK, _NONE),
        StockRule("deferred", (FREE, NUDGED), 128, True, 127 / 4096, _PIXEL, _PIXEL, _NONE, FLIP, host=True),
    )
}


def stock_rule(name: str) -> StockRule:
    """The rule called `name`. Raises: UserError if there is none."""
    require_choice("stock rule", name, [*RULES, "graded"])
    return RULES[name]


def engine_rule(rule: StockRule, direction: str, learning_rate: float, *, from_input: bool = False) -> EngineRule:
    """The products that the engine of a synapse computes.

    Args:   direction: FORWARD, or FEEDBACK for the copy whose pre neuron is nearer to the output.
            learning_rate: weight units per unit of the product of two traces of impulse UNIT_IMPULSE; rounded to what
            mantissa and exponent hold, at least the smallest of it.
            from_input: whether the pre neurons are pixels.
    Raises: UserError if the engine cannot hold the rule: rate, period of `u`.
    """
    period = rule.slot_steps * (1 if rule.per_slot else len(rule.slots))
    k = round(math.log2(period))
    if 1 << k != period or k > LARGEST_K:
        raise UserError(
            f"rule {rule.name}: products are due every {period} steps; the engine takes powers of 2 up to "
            f"{1 << LARGEST_K}; change slot_steps"
        )
    x1, x2 = (rule.input_trace if from_input else rule.fast), rule.slow
    if from_input and rule.slow is not _NONE:
        x2 = _LONG_PIXEL
    scale = learning_rate / rule.gain * UNIT_IMPULSE**2 / (x1.impulse * rule.fast.impulse)
    weights, tags = _products(rule.name, direction, *scale_of(max(scale, SMALLEST_SCALE)))
    return EngineRule(weights, tags, k, 1, x1, x2, rule.fast, rule.slow)


def scale_of(value: float) -> tuple[int, int]:
    """Mantissa 1..7 and exponent -7..2 whose product is nearest to `value`; of equal products the one of largest
    mantissa, because products are rounded down before the exponent applies.

    Raises: UserError if `value` is out of reach.
    """
    if not SMALLEST_SCALE / 2 <= value <= LARGEST_SCALE:
        raise UserError(
            f"learning rate: needs the factor {value:.3g}; the engine holds {SMALLEST_SCALE:.3g} to "
            f"{LARGEST_SCALE:.3g}; lower the rate"
        )
    held = [(mantissa, exponent) for exponent in range(-7, 3) for mantissa in range(1, 8)]
    return min(held, key=lambda pair: abs(pair[0] * 2.0 ** pair[1] - value))


Products = tuple[EngineProduct, ...]


def _products(name: str, direction: str, m: int, e: int) -> tuple[Products, Products]:
    """The products of dw and dt."""
    if name in ("R1", "deferred"):
        return (product(m, e, "u", "t", "x1", "y1"),), (product(-2, 0, "u", "t"),)
    if name == "R2":
        return (product(m, e, "u", "x1", "y1"), product(-m, e, "u", "x2", "y2")), ()
    if name == "R3":
        slow = ("x1", "y2") if direction == FORWARD else ("x2", "y1")
        return (product(m, e, "u", "x1", "y1"), product(-m, e, "u", *slow)), ()
    if name == "R4":
        twice = (2 * m, e) if m <= 3 else (m, e + 1)
        return (product(*twice, "u", "x1", "y1"), product(-m, e, "u", "x1", "y2"), product(-m, e, "u", "x2", "y1")), ()
    return _held(direction, m, e)


def _held(direction: str, m: int, e: int) -> tuple[Products, Products]:
    """The rule R5: dw = t a (b - (t - V)), a and b the traces; the tag goes 0 -> V + b -> EMPTY + b -> 0.

    -t empties the tag; three constants, two of them under signs, then tell by its old value where it stood:
        below -30 (after nudging):  -96 - 64 + 160 = 0
        about 0 (after blank):      -96 + 64 + 160 = V
        above 30 (after free):      -96 + 64 - 160 = EMPTY
    """
    factor_trace, tag_trace = ("x1", "y1") if direction == FORWARD else ("y1", "x1")
    weights = (
        product(m, e, "u", "t", "x1", "y1"),
        # two bits more are shifted out: 29 against 27
        product(-m, e + 2, "u", "t", factor_trace, EngineFactor("t", -HELD)),
    )
    tags = (
        product(-1, 0, "u", "t"),
        product(-6, 4, "u"),
        product(4, 4, "u", EngineFactor("t", 30, sign=True)),
        product(-5, 5, "u", EngineFactor("t", -30, sign=True)),
        product(1, 0, "u", tag_trace),
    )
    return weights, tags
