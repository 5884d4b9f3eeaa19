"""Local learning rules as sums of products of traces: the form a neuromorphic learning engine holds.

A rule sees, at one synapse, only quantities of its own two neurons and one broadcast third factor:

    x0, y0   payload of the spike that the pre / post neuron sends at this step (0 if none)
    x1, y1   running sum of those payloads since the image was shown: a non-decaying trace, equal to s_hat
    y3       u(end of first nudge) - u(end of second nudge) of the post neuron, unquantised
    sign     +1 or -1, broadcast per image: which of the two nudges came first

Over one image, dW = sign * sum of products; the step size and 1/(2 nudge) are folded into a `Rate`. With the output
nudged first by sign*nudge and then by -sign*nudge, each of the three rules estimates minus the gradient of the cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from neuro.base.arrays import Int64
from neuro.base.checks import Range, require_choice, require_integers
from neuro.base.errors import UserError

Moment = Literal["first_nudge_end", "second_nudge_end", "second_nudge_spike"]
Factor = Literal["x0", "x1", "y0", "y1", "y3"]
MAX_MANTISSA = 7  # scaling mantissa of the chip's learning engine: 4 bits signed
MAX_RATE_EXPONENT = 24
SMALLEST_RATE, LARGEST_RATE = 2.0**-30, 2.0**10  # beyond are mistakes; up to there the nearest rate stands in
MAX_SHADOW_BITS = 8


@dataclass(frozen=True)
class Product:
    """One term of a rule: `coefficient * product(factors)`, evaluated at `moment`.

    In a `second_nudge_spike` term x1 is read after, and y1 before, this step's spike is added; the sum over the steps
    then telescopes exactly to the end-point form.
    """

    coefficient: int
    factors: tuple[Factor, ...]
    moment: Moment

    def __str__(self) -> str:
        sign = "-" if self.coefficient < 0 else "+"
        size = "" if abs(self.coefficient) == 1 else f"{abs(self.coefficient)} "
        return f"{sign} {size}{' '.join(self.factors)} @{self.moment}"


@dataclass(frozen=True)
class LearningRule:
    """A local rule: dW = sign * sum(products), then W += rate * dW, rounded stochastically.

    name:        the form, a key of `RULES`.
    products:    the terms.
    shadow_bits: extra bits of a per-synapse accumulator below the weight's last bit (0: none, up to 8). The synapse
                 that transmits is always the int8 weight, the accumulator rounded to nearest.
    """

    name: str
    products: tuple[Product, ...]
    shadow_bits: int = 0

    def __post_init__(self) -> None:
        if RULES.get(self.name) != self.products:
            raise UserError(f"learning rule {self.name!r}: its products are not those of that name; see learning_rule")
        require_integers(f"learning rule {self.name}", shadow_bits=self.shadow_bits)
        Range(0, MAX_SHADOW_BITS).require(f"learning rule {self.name}", shadow_bits=self.shadow_bits)

    def __str__(self) -> str:
        return "dW = sign * (" + "  ".join(str(product) for product in self.products) + ")"

    @property
    def uses_state_difference(self) -> bool:
        """Whether the post factor is y3, whose unit is that of the state, not of the payload."""
        return any("y3" in product.factors for product in self.products)


END_POINT = (Product(1, ("x1", "y1"), "first_nudge_end"), Product(-1, ("x1", "y1"), "second_nudge_end"))
"""Contrastive EP read at the two equilibria. Source: Laborieux et al. 2021, centred estimate."""

EVENT = (Product(-1, ("x1", "y0"), "second_nudge_spike"), Product(-1, ("x0", "y1"), "second_nudge_spike"))
"""STDP form: a synapse changes only when one of its two neurons spikes during the second nudge.
Since y0 = d rho(u_post)/dt this is rho(pre) * d rho(post)/dt of Bengio et al. 2017, made symmetric."""

STATE_DIFFERENCE = (Product(1, ("x1", "y3"), "second_nudge_end"),)
"""Third-factor form with the post neuron's own unquantised state change; needs a pre neuron that is constant
during the nudges (an input), else it is not the EP gradient."""

RULES: dict[str, tuple[Product, ...]] = {"end-point": END_POINT, "event": EVENT, "y3": STATE_DIFFERENCE}


def learning_rule(name: str, shadow_bits: int = 0) -> LearningRule:
    """The rule called `name` ("event", "end-point" or "y3").

    Raises: UserError if there is no such rule.
    """
    require_choice("learning rule", name, RULES)
    return LearningRule(name, RULES[name], shadow_bits)


@dataclass(frozen=True)
class Rate:
    """Learning rate as the chip holds it: mantissa * 2**-exponent weight LSB per unit of dW."""

    mantissa: int
    exponent: int

    def __post_init__(self) -> None:
        Range(0, MAX_MANTISSA).require("learning rate", mantissa=self.mantissa)
        Range(0, MAX_RATE_EXPONENT).require("learning rate", exponent=self.exponent)

    @property
    def value(self) -> float:
        """The rate as a real number."""
        return self.mantissa * 2.0**-self.exponent


def rate_near(value: float) -> Rate:
    """The representable `Rate` nearest to `value` (>= 0), with the widest mantissa available; at most 7."""
    Range(0.0).require("learning rate", value=value)
    if value == 0.0:
        return Rate(0, 0)
    if not SMALLEST_RATE <= value <= LARGEST_RATE:
        raise UserError(
            f"learning rate: {value:.3g} weight units per unit of change is outside {SMALLEST_RATE:.3g}.."
            f"{LARGEST_RATE:g}; choose a learning rate nearer to its default"
        )
    exponent = min(max(2 - math.floor(math.log2(value)), 0), MAX_RATE_EXPONENT)
    mantissa = round(value * 2.0**exponent)
    if mantissa > MAX_MANTISSA and exponent > 0:
        mantissa, exponent = (mantissa + 1) // 2, exponent - 1
    return Rate(min(max(mantissa, 1), MAX_MANTISSA), exponent)


def rate_for(learning_rate: float, nudge: float, exponent: int, pre_bits: int, post_bits: int) -> Rate:
    """Convert a learning rate of the real-valued rule dW = learning_rate/(2 nudge) * (...) to integers.

    Args:    learning_rate, dimensionless; nudge strength (> 0); exponent of the projection's weights;
             pre_bits, post_bits, the fraction bits of the two factors (activation_bits; state_bits for y3).
    Returns: the nearest `Rate` in weight LSB per unit of integer dW.
    """
    return rate_near(learning_rate / (2 * nudge) * 2.0 ** (exponent - pre_bits - post_bits))


@dataclass(frozen=True)
class NeuronTrace:
    """What one population did during the second nudge of one image: all that a local rule may read.

    spikes of shape [S, N]: payload sent at each of the S steps (0: none).
    trace_first, trace_second of shape [N]: s_hat at the end of the first and of the second nudge.
    state_first, state_second of shape [N]: u at the same two moments.
    """

    spikes: Int64
    trace_first: Int64
    trace_second: Int64
    state_first: Int64
    state_second: Int64


def evaluate(rule: LearningRule, pre: NeuronTrace, post: NeuronTrace, sign: int) -> Int64:
    """The update dW, of shape [N_pre, N_post], from the rule read term by term: slow, and the oracle of the kernels."""
    change = np.zeros((pre.trace_first.size, post.trace_first.size), dtype=np.int64)
    for product in rule.products:
        for x, y in _factor_values(product, pre, post):
            change += product.coefficient * np.outer(x, y)
    return sign * change


def _factor_values(product: Product, pre: NeuronTrace, post: NeuronTrace) -> list[tuple[Any, Any]]:
    """The (pre, post) factor vectors of a term, one pair per moment at which it is evaluated."""
    x_name = next(name for name in product.factors if name.startswith("x"))
    y_name = next(name for name in product.factors if name.startswith("y"))
    if product.moment == "first_nudge_end":
        return [(pre.trace_first, post.trace_first)]
    if product.moment == "second_nudge_end":
        return [(pre.trace_second, post.state_first - post.state_second if y_name == "y3" else post.trace_second)]
    x1 = pre.trace_first + np.cumsum(pre.spikes, axis=0)
    y1 = post.trace_first + np.cumsum(post.spikes, axis=0) - post.spikes
    x_values = {"x0": pre.spikes, "x1": x1}[x_name]
    y_values = {"y0": post.spikes, "y1": y1}[y_name]
    return list(zip(x_values, y_values, strict=True))
