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
    R7        R5 turned round: the nudged slot comes first, the tag holds V - y+, and the weight moves after the free
              slot by t x- (y+ - y-). What contrastive products would give and this does not, d_x d_y / 2, has the sign
              of the weight, for d_x comes from d_y through it: R5 adds it, so that weights grow and neurons fall
              silent; R7 takes it away. The gain t / V shrinks with y+ for the same reason: with V + y+ weights run
              away.
              All slots start from reset and end without input, so that the two differ by the nudge alone. Traces
              compared are long (32 steps), which takes two blank slots; a small Hebbian product, sgn(t) x- y-, gives
              back what rounding down takes.
    deferred  R1 in synapses that transmit nothing; every `commit_every` samples the host copies their weights into the
              transmitting ones, forward and feedback. Host-assisted: not on the chip alone.

The engine rounds every product down: half a unit of 2**exponent is lost on average, for R5's second product four times
that. More than that the phase of single spikes does: all neurons start together from reset, so that at the end of a
slot the trace of a neuron of few spikes tells when the last one came rather than its rate: for R5, half a unit a sample
either way (measured at periods of 4 to 140 steps and the rate for MNIST). An exactly gated constant in place of what is
rounded away, 2 - 2 sgn(t) + 2 sgn(t - V) + 2 sgn(t) sgn(t - V) (x1 - 1), whose last term is rounded to -2 where x1 is 0
and to 0 elsewhere, changed neither the drift of the hidden weights nor the accuracy (MNIST, 6,000 images, one seed).
What else was tried, one change at a time: benchmarks.stock_tries.

R7's constants: V m / 128 and V m / 32 are whole for even m only, with any other a silent neuron would drift. Its rate
is set by the impulse of the kept trace, not by the mantissa: what rounding takes then stays the same.

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
HELD_FROM = 192  # V of R7, whose tag goes 0 -> V - y+ -> EMPTY_FROM - y- -> BLANK_TAG -> 0
EMPTY_FROM, BLANK_TAG = -128, -64  # tag of R7 after the free slot, and after the first blank one
EVEN_MANTISSA, HEBBIAN = 6, 3  # of R7: of its products, and of the one against rounding
LEAST_IMPULSE, MOST_IMPULSE = 6, 24  # of its kept trace


@dataclass(frozen=True)
class StockRule:
    """A rule of the stock family.

    slots:       of a sample, each of slot_steps steps; per_slot: whether `u` comes round every slot or every sample.
    gain:        dw = gain * mantissa * 2**exponent * (trace products); for R5 at a silent post neuron (V + y- grows).
    input_trace: of pixels, which may spike every other step: 7 bits must hold it.  fast, slow: of neurons; slow
                 traces that no product reads stay empty.  R7: kept traces of pixels, compared and kept ones of neurons.
    tag:         at the start.  host: whether a host copies what was learned.
    silent:      steps without input at the end of every slot; with any, every slot starts from reset.
    output:      in place of `fast` for output neurons, which spike most; None: the same.
    strength:    of the nudge, relative to the threshold.
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
    silent: int = 0
    output: EngineTrace | None = None
    strength: float = 0.75

    @property
    def resets(self) -> int:
        """Steps between two resets of neurons: a slot, or a sample."""
        return self.slot_steps * (1 if self.silent else len(self.slots))


UNIT_IMPULSE, UNIT_TAU = 12, 16  # learning rates are meant for traces of this impulse and decay
_PIXEL, _QUICK, _LONG = EngineTrace(12, 16), EngineTrace(24, 16), EngineTrace(8, 49)
_LONG_PIXEL, _NONE = EngineTrace(4, 49), EngineTrace(0, 1)
# Empty after a blank slot, as _PIXEL is not: what is left of that would move the rows of some pixels with every image.
_BRIEF_PIXEL, _BRIEF = EngineTrace(19, 10), EngineTrace(MOST_IMPULSE, 10)
RULES = {
    rule.name: rule
    for rule in (
        StockRule("R1", (FREE, NUDGED), 128, True, 127 / 4096, _PIXEL, _PIXEL, _NONE, FLIP),
        StockRule("R2", (FREE, FREE, FREE, NUDGED), 64, False, 1 / 8, _PIXEL, _QUICK, _LONG),
        StockRule("R3", (FREE, FREE, FREE, NUDGED), 64, False, 1 / 8, _PIXEL, _QUICK, _LONG),
        StockRule("R4", (FREE, FREE, FREE, NUDGED), 64, False, 1 / 8, _PIXEL, _QUICK, _LONG),
        StockRule("R5", (FREE, NUDGED, BLANK), 128, True, HELD / 4096, _BRIEF_PIXEL, _QUICK, _NONE),
        StockRule(
            "R7",
            (NUDGED, FREE, BLANK, BLANK),
            128,
            True,
            HELD_FROM / 4096,
            _BRIEF,
            EngineTrace(12, 32),
            _BRIEF,
            silent=2,
            output=EngineTrace(6, 32),
            strength=3.0,
        ),
        StockRule("deferred", (FREE, NUDGED), 128, True, 127 / 4096, _PIXEL, _PIXEL, _NONE, FLIP, host=True),
    )
}


def stock_rule(name: str) -> StockRule:
    """The rule called `name`. Raises: UserError if there is none."""
    require_choice("stock rule", name, [*RULES, "graded"])
    return RULES[name]


def engine_rule(
    rule: StockRule, direction: str, learning_rate: float, *, from_input: bool = False, at_output: bool = False
) -> EngineRule:
    """The products that the engine of a synapse computes.

    Args:   direction: FORWARD, or FEEDBACK for the copy whose pre neuron is nearer to the output.
            learning_rate: weight units per unit of the product of two traces of impulse UNIT_IMPULSE; rounded to what
            mantissa and exponent hold, at least the smallest of it.
            from_input: whether the pre neurons are pixels; at_output: whether one end is the output.
    Raises: UserError if the engine cannot hold the rule: rate, period of `u`.
    """
    period = rule.slot_steps * (1 if rule.per_slot else len(rule.slots))
    k = round(math.log2(period))
    if 1 << k != period or k > LARGEST_K:
        raise UserError(
            f"rule {rule.name}: products are due every {period} steps; the engine takes powers of 2 up to "
            f"{1 << LARGEST_K}; change slot_steps"
        )
    if rule.silent:
        return _turned_rule(rule, direction, learning_rate, k, from_input=from_input, at_output=at_output)
    x1, x2 = (rule.input_trace if from_input else rule.fast), rule.slow
    if from_input and rule.slow is not _NONE:
        x2 = _LONG_PIXEL
    height = x1.impulse * x1.tau / UNIT_TAU * rule.fast.impulse
    scale = learning_rate / rule.gain * UNIT_IMPULSE**2 / height
    weights, tags = _products(rule.name, direction, *scale_of(max(scale, SMALLEST_SCALE)))
    return EngineRule(weights, tags, k, 1, x1, x2, rule.fast, rule.slow)


def _turned_rule(
    rule: StockRule, direction: str, learning_rate: float, k: int, *, from_input: bool, at_output: bool
) -> EngineRule:
    """R7: see `engine_rule`."""
    compared = rule.output if at_output and rule.output is not None else rule.fast
    scale = learning_rate / rule.gain * UNIT_IMPULSE**2 / compared.impulse  # of mantissa, exponent and kept impulse
    smallest = EVEN_MANTISSA * SMALLEST_SCALE * LEAST_IMPULSE
    exponent, impulse = kept_scale_of(max(scale, smallest))
    kept = EngineTrace(impulse, (rule.input_trace if from_input else rule.slow).tau)
    pre, post = (kept, compared) if direction == FORWARD else (compared, kept)
    return EngineRule(*turned_products(direction, EVEN_MANTISSA, exponent), k, 1, pre, _NONE, post, _NONE)


def kept_scale_of(value: float) -> tuple[int, int]:
    """Exponent -7..2 and impulse of the kept trace that with an even mantissa of 6 come nearest to `value`; of equal
    products the one of smallest exponent, because products are rounded down before the exponent applies.

    Raises: UserError if `value` is out of reach.
    """
    lowest = EVEN_MANTISSA * SMALLEST_SCALE * LEAST_IMPULSE
    highest = EVEN_MANTISSA * 4.0 * MOST_IMPULSE
    if not lowest / 2 <= value <= highest:
        raise UserError(
            f"learning rate: needs the factor {value:.3g} with the kept trace; the engine holds {lowest:.3g} to "
            f"{highest:.3g}; lower the rate"
        )
    held = [(exponent, impulse) for exponent in range(-7, 3) for impulse in range(LEAST_IMPULSE, MOST_IMPULSE + 1)]
    return min(held, key=lambda pair: abs(EVEN_MANTISSA * 2.0 ** pair[0] * pair[1] - value))


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


def turned_products(direction: str, m: int, e: int) -> tuple[Products, Products]:
    """The rule R7: dw = t a ((V - t) - b), a the kept and b the compared trace; the tag goes 0 -> V - b ->
    EMPTY_FROM - b -> BLANK_TAG - b -> 0. The second and the third product of dw add up to t a (V - t).

    -t empties the tag; four constants, three of them under signs, then tell by its old value where it stood:
        about 0 (after blank):      -96 + 96 + 160 + 32 = V
        above 30 (after nudging):   -96 + 96 - 160 + 32 = EMPTY_FROM
        below -100 (after free):    -96 - 96 + 160 - 32 = BLANK_TAG
        -100..-31 (after a blank):  -96 - 96 + 160 + 32 = 0
    No tag, and no partial sum, leaves 9 bits: else each synapse would round by itself.

    Raises: UserError if the mantissa is odd.
    """
    if m % 2:
        raise UserError(
            f"rule R7: mantissa {m}; {HELD_FROM} * {m} / 128 is not whole, silent neurons would drift; even"
        )
    kept, held = ("x1", "y1") if direction == FORWARD else ("y1", "x1")
    weights = (
        product(-m, e, "u", "t", "x1", "y1"),
        product(-m, e + 2, "u", "t", kept, EngineFactor("t", 128 - HELD_FROM)),
        product(m, e, "u", "t", kept),
        product(HEBBIAN, e, "u", EngineFactor("t", 0, sign=True), "x1", "y1"),
    )
    tags = (
        product(-1, 0, "u", "t"),
        product(-6, 4, "u"),
        product(6, 4, "u", EngineFactor("t", 30, sign=True)),
        product(-5, 5, "u", EngineFactor("t", -30, sign=True)),
        product(4, 3, "u", EngineFactor("t", 100, sign=True)),
        product(-1, 0, "u", held),
    )
    return weights, tags
