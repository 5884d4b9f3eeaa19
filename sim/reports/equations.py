"""Local learning rules and powers of two as a reader knows them: x₁ and 2⁻⁵ in place of x1 and 2^-5."""

from __future__ import annotations

import re

from markupsafe import Markup

from neuro.spec.plasticity import LearningRule, Product
from neuro.stock.learning_engine import EngineProduct, EngineRule

MOMENTS = {
    "first_nudge_end": "at the end of the first nudge",
    "second_nudge_end": "at the end of the second nudge",
    "second_nudge_spike": "at every spike in the second nudge",
}
FACTORS = Markup(
    "<i>x</i><sub>0</sub>, <i>y</i><sub>0</sub>: payload of the spike that the neuron before, behind the synapse sends "
    "at this step; <i>x</i><sub>1</sub>, <i>y</i><sub>1</sub>: sum of its payloads since the image was shown; "
    "<i>y</i><sub>3</sub>: change of the state from nudge to nudge; <i>σ</i>: +1 or −1, which nudge came first."
)
ENGINE_FACTORS = Markup(
    "<i>x</i>, <i>y</i>: traces of the neuron before and behind the synapse; <i>t</i>: the tag of the synapse."
)
MINUS, TIMES = "−", "\u202f·\u202f"


def power(exponent: int, base: int = 2) -> Markup:
    """A power: 2⁻⁵."""
    return Markup("{}<sup>{}</sup>").format(base, _signed(exponent))


def arrows(name: str) -> str:
    """The name of a projection with an arrow that is one: input → hidden."""
    return name.replace("->", " → ")


def local_rule(rule: LearningRule) -> Markup:
    """A rule as an equation: ΔW = σ (− x₁ y₀ − x₀ y₁), and when it is applied."""
    moments = {product.moment for product in rule.products}
    terms = [_product(product, len(moments) > 1) for product in rule.products]
    text = _equation(Markup("Δ<i>W</i> = <i>σ</i> ({})").format(_sum(terms)))
    return text if len(moments) > 1 else Markup("{} {}").format(text, MOMENTS[moments.pop()])


def _product(product: Product, timed: bool) -> tuple[bool, Markup]:
    size = abs(product.coefficient)
    text = Markup("{}{}").format("" if size == 1 else f"{size} ", Markup(" ").join(map(variable, product.factors)))
    if timed:
        text = Markup("({}) {}").format(text, MOMENTS[product.moment])
    return product.coefficient < 0, text


def engine_rule(rule: EngineRule) -> dict[str, Markup]:
    """The equations of a rule of the chip's learning engine: of the weight (dw) and of the tag (dt), if it has one."""
    products = {"dw": rule.dw, "dt": rule.dt}
    return {name: _equation(_sum([_engine_product(p) for p in terms])) for name, terms in products.items() if terms}


def moments_of(rule: EngineRule) -> str:
    """When the engine applies a rule, in words."""
    names = {"u": f"every {2 ** (rule.k or 0) * rule.t_epoch} steps", "x0": "when the neuron before the synapse spikes",
             "y0": "when the neuron behind the synapse spikes"}  # fmt: skip
    seen = dict.fromkeys(product.dependency for product in (*rule.dw, *rule.dt))
    return ", ".join(names.get(name, name) for name in seen)


def _engine_product(product: EngineProduct) -> tuple[bool, Markup]:
    size, exponent = abs(product.mantissa), product.exponent
    factors = [_factor(str(factor)) for factor in product.factors]
    if product.dependency != "u":
        factors.insert(0, variable(product.dependency))
    if exponent or not (size == 1 and factors):
        number = Markup(str(size)) if exponent == 0 else power(exponent)
        if exponent and size != 1:
            number = Markup("{}{}{}").format(size, TIMES, number)
        factors.insert(0, number)
    return product.mantissa < 0, Markup(" ").join(factors)


def _factor(text: str) -> Markup:
    """A factor as the engine writes it: x1, (t-128), sgn(t+30)."""
    found = re.fullmatch(r"(sgn)?\(?([a-z]\d?)([+-]\d+)?\)?", text)
    if found is None:
        return Markup("{}").format(text)
    sign, name, constant = found.groups()
    inner = variable(name)
    if constant:
        inner = Markup("{} {} {}").format(inner, MINUS if constant[0] == "-" else "+", constant[1:])
    if sign or constant:
        return Markup("{}({})").format(sign or "", inner)
    return inner


def variable(name: str) -> Markup:
    """A variable with its number below the line: x₁."""
    letters, digits = name.rstrip("0123456789"), name[len(name.rstrip("0123456789")) :]
    return Markup("<i>{}</i>").format(letters) + (Markup("<sub>{}</sub>").format(digits) if digits else Markup())


def _sum(terms: list[tuple[bool, Markup]]) -> Markup:
    """Terms with their signs, each of which stays on one line."""
    parts = []
    for place, (negative, text) in enumerate(terms):
        sign = MINUS if negative else "+" if place else ""
        parts.append(Markup("<span>{}{}</span>").format(f"{sign}\u202f" if sign else "", text))
    return Markup(" ").join(parts)


def _equation(text: Markup) -> Markup:
    return Markup('<span class="equation">{}</span>').format(text)


def _signed(number: int) -> str:
    return str(number).replace("-", MINUS)
