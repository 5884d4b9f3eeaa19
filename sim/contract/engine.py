"""The learning engine against Lava: random rules, connections and spikes, and the count of what differs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neuro.base.arrays import Int64
from neuro.base.errors import UserError
from neuro.stock.learning_engine import (
    DEPENDENCIES,
    FACTOR_WIDTHS,
    SIGN_MODES,
    SIGNED,
    WEIGHT_RANGES,
    EngineFactor,
    EngineProduct,
    EngineRule,
    EngineTrace,
    product,
)
from sim.backends.lava.stock.learning_engine import RESULTS, EngineCase
from sim.backends.stock.learning_engine import EmulatedEngine

MANTISSAS = (-7, -5, -3, -1, 1, 2, 4, 6, 7)
CONSTANTS = (0, 0, 0, -5, 60, -64)
TAUS = (1, 2, 5, 16, 50, 1000, 10**6)
EPOCHS = (1, 1, 1, 2, 5, 8)


def random_engine_case(seed: int, steps: int = 300, largest: int = 12) -> EngineCase:
    """A rule of up to five products with any dependencies, factors and traces, and dense or sparse spikes."""
    generator = np.random.default_rng([seed, 0xE61E])
    rule = random_rule(generator)
    n_pre, n_post = (int(n) for n in generator.integers(1, largest, 2))
    sign_mode = SIGN_MODES[int(generator.choice([0, 0, 1, 2]))]
    lowest, highest = WEIGHT_RANGES[sign_mode]
    weights = generator.integers(lowest, highest, (n_pre, n_post), dtype=np.int64, endpoint=True)
    if sign_mode == "mixed":
        weights = weights // 2 * 2  # Lava drops the last bit of mixed weights at the start
    pre, post = (generator.random((steps, n)) < generator.random() * 0.5 for n in (n_pre, n_post))
    tags = generator.integers(-128, 128, (n_pre, n_post), dtype=np.int64)
    return EngineCase(rule, weights, tags, pre, post, sign_mode, int(generator.integers(1000)))


def random_rule(generator: np.random.Generator) -> EngineRule:
    """A rule of up to five products with any dependencies, factors and traces."""
    dw = _draw_products(generator, int(generator.integers(1, 4)))
    dt = _draw_products(generator, int(generator.integers(0, 3)))
    decimated = any(p.dependency == "u" for p in (*dw, *dt))
    x1, x2, y1, y2 = (EngineTrace(int(generator.integers(0, 60)), int(generator.choice(TAUS))) for _ in range(4))
    k = int(generator.integers(0, 6)) if decimated else None
    return EngineRule(dw, dt, k, int(generator.choice(EPOCHS)), x1, x2, y1, y2)


def _draw_products(generator: np.random.Generator, count: int) -> tuple[EngineProduct, ...]:
    products: list[EngineProduct] = []
    while len(products) < count:
        factors = [_draw_factor(generator) for _ in range(generator.integers(0, 4))]
        dependency = DEPENDENCIES[generator.integers(3)]
        try:
            products.append(
                product(int(generator.choice(MANTISSAS)), int(generator.integers(-7, 4)), dependency, *factors)
            )
        except UserError:  # too wide for the multiplier
            continue
    return tuple(products)


def _draw_factor(generator: np.random.Generator) -> EngineFactor:
    variable = str(generator.choice(list(FACTOR_WIDTHS)))
    sign = variable in SIGNED and bool(generator.random() < 0.3)
    return EngineFactor(variable, int(generator.choice(CONSTANTS)), sign)


def count_differences(case: EngineCase, lava: Mapping[str, Int64]) -> dict[str, int]:
    """Run `case` on our engine and return how many weights, tags and traces differ from what Lava found."""
    engine = EmulatedEngine(case.rule, case.weights, case.tags, sign_mode=case.sign_mode, seed=case.seed)
    state = engine.run(case.pre, case.post)
    return {name: int(np.count_nonzero(getattr(state, name) != lava[name])) for name in RESULTS}
