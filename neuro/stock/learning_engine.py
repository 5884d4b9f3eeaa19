"""The learning engine of the chip: what a two-factor rule may say, and how it is written.

A rule is a sum of products per synaptic variable, evaluated at the end of every learning epoch:

    dw, dt = sum of  mantissa * 2**exponent * dependency * product of factors

    dependency  x0 / y0: the pre / post neuron spiked in this epoch;   u: every 2**k epochs, one k for the whole rule
    factors     x1, x2 / y1, y2 (traces of the pre / post neuron, 0..127), w (weight), t (tag), each plus a constant;
                sgn(w + constant), sgn(t + constant): -1, 0 or 1
    traces      decay by exp(-1 / tau) a step, gain an impulse at a spike

Everything the engine cannot hold is refused here, in words, before a simulator misreads it. Sources of the limits:
Lava 0.10 (`lava.magma.core.learning.constants`, `product_series`), which states them for Loihi 2.
"""

from __future__ import annotations

from dataclasses import dataclass

from neuro.base.checks import Range, require_integers
from neuro.base.errors import UserError

MANTISSA_LIMIT = 7
LOWEST_EXPONENT, HIGHEST_EXPONENT = -7, 8
LARGEST_K = 9  # Lava reads u10 as u1
LONGEST_EPOCH = 63
LARGEST_TRACE = 127
MANTISSA_WIDTH, PRODUCT_WIDTH = 4, 31
FACTOR_WIDTHS = {"x1": 7, "x2": 7, "y1": 7, "y2": 7, "w": 9, "t": 9}  # bits, without the sign of a product
DEPENDENCIES = ("x0", "y0", "u")
SIGNED = ("w", "t")  # variables whose sign can be a factor
WEIGHT_RANGES = {"mixed": (-256, 255), "excitatory": (0, 255), "inhibitory": (-255, 0)}  # by sign mode
SIGN_MODES = tuple(WEIGHT_RANGES)
NOISES = ("shared", "per-synapse")


@dataclass(frozen=True)
class EngineTrace:
    """A trace of one neuron: z <- z exp(-1 / tau) per step, z <- z + impulse at a spike, kept in 0..127.

    impulse: an integer (Lava doubles the probability of fractional ones).
    tau:     decay time, steps, at least 1 (0 breaks Lava); as good as no decay: 1000000.
    """

    impulse: int = 16
    tau: int = 16

    def __post_init__(self) -> None:
        require_integers("trace", impulse=self.impulse, tau=self.tau)
        Range(0, LARGEST_TRACE).require("trace", impulse=self.impulse)
        Range(1, 10**6).require("trace", "for no decay use 1000000", tau=self.tau)


@dataclass(frozen=True)
class EngineFactor:
    """One factor: a variable plus a constant, saturated to the width of the variable.

    sign: take the sign of that instead, -1, 0 or 1; w and t only.
    """

    variable: str
    constant: int = 0
    sign: bool = False

    def __post_init__(self) -> None:
        require_integers(f"factor {self.variable}", constant=self.constant)
        if self.variable not in FACTOR_WIDTHS:
            raise UserError(f"factor {self.variable!r} is none the engine has; choose of {', '.join(FACTOR_WIDTHS)}")
        Range(-128, 127).require(f"factor {self.variable}", constant=self.constant)
        if self.sign and self.variable not in SIGNED:
            raise UserError(f"factor sgn({self.variable}): the engine takes signs of {' and '.join(SIGNED)} only")

    def __str__(self) -> str:
        text = self.variable if self.constant == 0 else f"({self.variable}{self.constant:+d})"
        return f"sgn({text.strip('()')})" if self.sign else text


@dataclass(frozen=True)
class EngineProduct:
    """mantissa * 2**exponent * dependency * factors; the shift that the engine makes in between is `shift`."""

    mantissa: int
    exponent: int
    dependency: str
    factors: tuple[EngineFactor, ...] = ()

    def __post_init__(self) -> None:
        name = f"product of {self.dependency} {' '.join(map(str, self.factors))}".rstrip()
        require_integers(name, mantissa=self.mantissa, exponent=self.exponent)
        if not 1 <= abs(self.mantissa) <= MANTISSA_LIMIT:
            raise UserError(
                f"{name}: mantissa {self.mantissa} outside -7..-1 and 1..7; move powers of two to the exponent"
            )
        Range(LOWEST_EXPONENT, HIGHEST_EXPONENT).require(name, exponent=self.exponent)
        if self.dependency not in DEPENDENCIES:
            raise UserError(
                f"{name}: dependency {self.dependency!r}; exactly one of {', '.join(DEPENDENCIES)} is needed"
            )
        if self._width > PRODUCT_WIDTH:
            raise UserError(
                f"{name}: its factors span {self._width} bits, the multiplier {PRODUCT_WIDTH}; drop a factor"
            )

    @property
    def _width(self) -> int:
        return MANTISSA_WIDTH + sum(FACTOR_WIDTHS[factor.variable] for factor in self.factors)

    @property
    def shift(self) -> int:
        """Bits that a product loses (towards minus infinity) on its way into the 15-bit accumulator."""
        return max(0, self._width - 15)

    def render(self, k: int | None) -> str:
        """The term as the engine's text, with its sign."""
        dependency = f"u{k}" if self.dependency == "u" else self.dependency
        parts = [str(abs(self.mantissa)), f"2^{self.exponent}", dependency, *map(str, self.factors)]
        return ("-" if self.mantissa < 0 else "+") + "*".join(parts)


@dataclass(frozen=True)
class EngineRule:
    """A two-factor rule: products for the weight (dw) and the tag (dt), the traces they read, and the epoch.

    k:             terms with dependency u are evaluated every 2**k epochs; None if there is no such term.
    t_epoch:       steps per epoch. Within an epoch only the last spike time is kept: for exact traces use 1.
    x1, x2, y1, y2: the traces.
    """

    dw: tuple[EngineProduct, ...]
    dt: tuple[EngineProduct, ...] = ()
    k: int | None = None
    t_epoch: int = 1
    x1: EngineTrace = EngineTrace()
    x2: EngineTrace = EngineTrace()
    y1: EngineTrace = EngineTrace()
    y2: EngineTrace = EngineTrace()

    def __post_init__(self) -> None:
        require_integers("engine rule", t_epoch=self.t_epoch)
        if not (self.dw or self.dt):
            raise UserError("engine rule: no product; give at least one for dw or dt")
        Range(1, LONGEST_EPOCH).require("engine rule", t_epoch=self.t_epoch)
        decimated = any(product.dependency == "u" for product in (*self.dw, *self.dt))
        if decimated != (self.k is not None):
            raise UserError("engine rule: give k if, and only if, a product depends on u")
        require_integers("engine rule", k=self.k or 0)
        Range(0, LARGEST_K).require("engine rule", k=self.k)

    def render(self) -> dict[str, str]:
        """The texts of dw and dt as Lava's `Loihi2FLearningRule` takes them; without those that are empty."""
        texts = {"dw": self.dw, "dt": self.dt}
        return {name: "".join(p.render(self.k) for p in products) for name, products in texts.items() if products}


def product(mantissa: int, exponent: int, dependency: str, *factors: str | EngineFactor) -> EngineProduct:
    """An engine product of factors by name or, with a constant, as EngineFactor."""
    made = tuple(factor if isinstance(factor, EngineFactor) else EngineFactor(factor) for factor in factors)
    return EngineProduct(mantissa, exponent, dependency, made)
