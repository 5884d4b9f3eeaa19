"""The chip's two-factor learning engine in integers, as Lava 0.10's fixed-point model computes it, compiled.

One connection of N pre and M post neurons, driven by their spikes. Per step, with ti the step within the epoch:

    a neuron that spikes again in an epoch adds its impulse to the trace as it was at the epoch's start;
    the time of the last spike is kept
at the end of an epoch:
    traces  z <- floor(q) + [rho < q mod 1], q = exp(-1 / tau) z, step by step; impulse at the time kept; 0..127
    a product, all traces read at the spike (x0, y0) or at the end (u):
            p = (dependency * mantissa * saturated factors) >> shift << (exponent + 7), saturated to 16 bits
    weight  a = (w << 7) + sum of p, saturated after each; w = floor(a / 128) + [r < a / 128 mod 1], saturated to 9 bits
    tag     likewise; both read the weight and the tag before the update

Noise: "shared" is Lava's, one rho and one r per step for all neurons and synapses (r from the same seed in every
connection); "per-synapse" draws them independently and counter-based, as a chip is expected to.
Checked: tests/contract/test_engine.py, against Lava itself, every weight, tag and trace equal.
"""

from __future__ import annotations

import numpy as np

from neuro.base.arrays import Bools, Int16, Int32, Int64, Integers
from neuro.base.errors import UserError
from neuro.base.fixed_point import image_keys
from neuro.stock.learning_engine import (
    DEPENDENCIES,
    FACTOR_WIDTHS,
    NOISES,
    SIGN_MODES,
    WEIGHT_RANGES,
    EngineProduct,
    EngineRule,
)
from sim.backends.stock.engine_kernels import TAG_MAX, TAG_MIN, Constants, EngineState, Noise, Terms, engine_steps

VARIABLES = tuple(FACTOR_WIDTHS)  # x1, x2, y1, y2, w, t
LAVA_ROUNDING_SEED = 2


def make_terms(products: tuple[EngineProduct, ...]) -> Terms:
    """Flatten `products`."""
    factors = [factor for product in products for factor in product.factors]

    def integers(values: list[int]) -> Int64:
        return np.array(values, dtype=np.int64)

    return Terms(
        integers([DEPENDENCIES.index(product.dependency) for product in products]),
        integers([product.mantissa for product in products]),
        integers([product.shift for product in products]),
        integers([product.exponent + 7 for product in products]),
        integers([0, *np.cumsum([len(product.factors) for product in products], dtype=np.int64)]),
        integers([VARIABLES.index(factor.variable) for factor in factors]),
        integers([factor.constant for factor in factors]),
        integers([1 << FACTOR_WIDTHS[factor.variable] for factor in factors]),
        np.array([factor.sign for factor in factors], dtype=np.bool_),
    )


def make_constants(rule: EngineRule, sign_mode: str, noise: str, lsb: int = 1) -> Constants:
    """Flatten `rule`; lsb: step of a weight, 1 or 2."""
    lowest, highest = WEIGHT_RANGES[sign_mode]
    traces = ((rule.x1, rule.x2), (rule.y1, rule.y2))
    return Constants(
        for_weights=make_terms(rule.dw),
        for_tags=make_terms(rule.dt),
        decay=np.exp(-1.0 / np.array([[trace.tau for trace in side] for side in traces], dtype=np.int64)),
        impulse=np.array([[trace.impulse for trace in side] for side in traces], dtype=np.int64),
        t_epoch=rule.t_epoch,
        period=0 if rule.k is None else 1 << rule.k,
        lowest=lowest,
        highest=highest // lsb * lsb,
        coarse=lsb == 2,
        per_synapse=noise == "per-synapse",
        uses_x0=any(product.dependency == "x0" for product in (*rule.dw, *rule.dt)),
        uses_y0=any(product.dependency == "y0" for product in (*rule.dw, *rule.dt)),
    )


class NoiseSource:
    """The random numbers of one connection, in Lava's order: two draws per step for the traces, one per epoch.

    time: steps done before, whose draws are skipped.
    """

    def __init__(self, seed: int, t_epoch: int, time: int = 0) -> None:
        self._seed, self._t_epoch = seed, t_epoch
        bits = [np.random.PCG64(s) for s in (seed, seed + 2, LAVA_ROUNDING_SEED)]
        for one, drawn in zip(bits, (2 * time, 2 * time, time // t_epoch), strict=True):
            one.advance(1 + drawn)  # Lava draws one number before the first step
        self._generators = [np.random.Generator(one) for one in bits]

    def draw(self, time: int, steps: int) -> Noise:
        """The numbers of steps time + 1 .. time + steps; call with consecutive stretches only."""
        rho_x, rho_y = (generator.random((steps, 2))[:, 1].copy() for generator in self._generators[:2])
        rounding = np.zeros(steps)
        ends = (time + 1 + np.arange(steps)) % self._t_epoch == 0
        rounding[ends] = self._generators[2].random(int(ends.sum()))
        return Noise(rho_x, rho_y, rounding, image_keys(self._seed, time, steps))


def make_engine_state(weights: Int16, tags: Integers) -> EngineState:
    """A fresh state around `weights` (not copied)."""
    n_pre, n_post = weights.shape
    x, y, space = (np.zeros((rows, n), dtype=np.int32) for rows, n in ((2, n_pre), (2, n_post), (3, n_post)))
    tx, ty = (np.zeros(n, dtype=np.int32) for n in (n_pre, n_post))
    return EngineState(weights, tags.astype(np.int32), x, y, tx, ty, space)


def make_histories(rule: EngineRule, n_pre: int, n_post: int) -> tuple[Int32, Int32]:
    """Space for the course of the traces over an epoch."""
    shapes = ((rule.t_epoch + 1, 2, n) for n in (n_pre, n_post))
    x_history, y_history = (np.zeros(shape, dtype=np.int32) for shape in shapes)
    return x_history, y_history


class EmulatedEngine:
    """One learning connection; `run` may be called again and again, state and noise go on.

    weights of shape [N_pre, N_post], 9-bit integers as Lava holds them; tags likewise, default 0.
    sign_mode: "mixed", "excitatory" or "inhibitory".   noise: "shared" (Lava's) or "per-synapse".
    seed: of the traces' noise (Lava's rng_seed), and of all noise when it is per synapse.
    """

    def __init__(
        self,
        rule: EngineRule,
        weights: Integers,
        tags: Integers | None = None,
        *,
        sign_mode: str = "mixed",
        noise: str = "shared",
        seed: int = 1,
    ) -> None:
        if noise not in NOISES or sign_mode not in SIGN_MODES:
            raise UserError(f"engine: noise {noise!r} or sign mode {sign_mode!r} is none of {NOISES}, {SIGN_MODES}")
        self._constants = make_constants(rule, sign_mode, noise)
        self._time = 0
        n_pre, n_post = weights.shape
        tags = np.zeros_like(weights) if tags is None else tags
        _check("weights", weights, (n_pre, n_post), self._constants.lowest, self._constants.highest)
        _check("tags", tags, (n_pre, n_post), TAG_MIN, TAG_MAX)
        self.state = make_engine_state(weights.astype(np.int16), tags)
        self._histories = make_histories(rule, n_pre, n_post)
        self._noise = NoiseSource(seed, rule.t_epoch)

    def run(self, pre: Bools, post: Bools) -> EngineState:
        """Learn from spikes pre of shape [T, N_pre] and post of shape [T, N_post]; returns the state, not a copy."""
        steps = len(pre)
        if pre.shape != (steps, len(self.state.tx)) or post.shape != (steps, len(self.state.ty)):
            raise UserError(
                f"engine: spikes of shape {pre.shape} and {post.shape} do not fit {self.state.weights.shape}"
            )
        engine_steps(
            self._constants, self.state, np.ascontiguousarray(pre, dtype=np.bool_),
            np.ascontiguousarray(post, dtype=np.bool_), self._noise.draw(self._time, steps), self._time,
            *self._histories,
        )  # fmt: skip
        self._time += steps
        return self.state


def _check(name: str, values: Integers, shape: tuple[int, int], lowest: int, highest: int) -> None:
    inside = not values.size or lowest <= int(values.min()) <= int(values.max()) <= highest
    if values.shape != shape or not inside:
        raise UserError(f"engine: {name} must have shape {shape} and lie in {lowest}..{highest}")
