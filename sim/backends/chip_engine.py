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

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neuro.engine import FACTOR_WIDTHS, EngineProduct, EngineRule
from neuro.errors import UserError
from neuro.fixed_point import image_keys
from sim.backends.jit import inlined, jit
from sim.backends.synapse_kernels import stream_key, synapse_bits

Int32 = npt.NDArray[np.int32]
NOISES = ("shared", "per-synapse")
SIGN_MODES = ("mixed", "excitatory", "inhibitory")
X0, Y0, U = 0, 1, 2
VARIABLES = tuple(FACTOR_WIDTHS)  # x1, x2, y1, y2, w, t
LAVA_ROUNDING_SEED = 2
X_STREAM, Y_STREAM, WEIGHT_STREAM, TAG_STREAM = 0, 1, 2, 3
ACCUMULATOR_MIN, ACCUMULATOR_MAX = -(2**15) - 1, 2**15 - 1
TAG_MIN, TAG_MAX = -(2**8) - 1, 2**8 - 1
UNIT = 1.0 / 2**32


class Terms(NamedTuple):
    """The products of one synaptic variable, flattened; F factors in all."""

    dependency: npt.NDArray[np.int64]  # [P]
    mantissa: npt.NDArray[np.int64]  # [P]
    down: npt.NDArray[np.int64]  # [P] right shift after the multiplications
    up: npt.NDArray[np.int64]  # [P] left shift after that
    first: npt.NDArray[np.int64]  # [P + 1] range of factors
    variable: npt.NDArray[np.int64]  # [F] index in VARIABLES
    constant: npt.NDArray[np.int64]  # [F]
    reach: npt.NDArray[np.int64]  # [F] 2**width, where the factor saturates


class EngineState(NamedTuple):
    """All that changes; shapes [N, M], [2, N] and [2, M]."""

    weights: npt.NDArray[np.int16]
    tags: Int32
    x: Int32  # traces x1, x2
    y: Int32  # traces y1, y2
    tx: Int32  # [N] step within the epoch of the last spike, 0 for none
    ty: Int32  # [M]


class Constants(NamedTuple):
    """All that stays, as plain arrays."""

    for_weights: Terms
    for_tags: Terms
    decay: npt.NDArray[np.float64]  # [2, 2] side, trace
    impulse: npt.NDArray[np.int64]  # [2, 2]
    t_epoch: int
    period: int  # 2**k, 0 if no product depends on u
    lowest: int  # weight
    highest: int
    per_synapse: bool


def make_terms(products: tuple[EngineProduct, ...]) -> Terms:
    """Flatten `products`."""
    factors = [factor for product in products for factor in product.factors]

    def integers(values: list[int]) -> npt.NDArray[np.int64]:
        return np.array(values, dtype=np.int64)

    return Terms(
        integers([("x0", "y0", "u").index(product.dependency) for product in products]),
        integers([product.mantissa for product in products]),
        integers([product.shift for product in products]),
        integers([product.exponent + 7 for product in products]),
        integers([0, *np.cumsum([len(product.factors) for product in products], dtype=np.int64)]),
        integers([VARIABLES.index(factor.variable) for factor in factors]),
        integers([factor.constant for factor in factors]),
        integers([1 << FACTOR_WIDTHS[factor.variable] for factor in factors]),
    )


def make_constants(rule: EngineRule, sign_mode: str, noise: str) -> Constants:
    """Flatten `rule`."""
    traces = ((rule.x1, rule.x2), (rule.y1, rule.y2))
    return Constants(
        for_weights=make_terms(rule.dw),
        for_tags=make_terms(rule.dt),
        decay=np.exp(-1.0 / np.array([[trace.tau for trace in side] for side in traces], dtype=np.int64)),
        impulse=np.array([[trace.impulse for trace in side] for side in traces], dtype=np.int64),
        t_epoch=rule.t_epoch,
        period=0 if rule.k is None else 1 << rule.k,
        lowest=0 if sign_mode == "excitatory" else -256 if sign_mode == "mixed" else -255,
        highest=0 if sign_mode == "inhibitory" else 255,
        per_synapse=noise == "per-synapse",
    )


@inlined
def _note_spikes(spikes, traces, impulse, times, within):
    """Keep the time of each spike; a second one in an epoch counts at once."""
    for i in range(spikes.shape[0]):
        if spikes[i]:
            if times[i] > 0:
                for trace in range(2):
                    traces[trace, i] = min(traces[trace, i] + impulse[trace], 127)
            times[i] = within


@inlined
def _epoch(traces, decay, impulse, times, history, rho, per_synapse, key):
    """Write the course of the traces over the epoch into history [1 + t_epoch, 2, N], then move them to its end."""
    last = history.shape[0] - 1
    for trace in range(2):
        for i in range(times.shape[0]):
            value = traces[trace, i]
            history[0, trace, i] = value
            for step in range(1, last + 1):
                if per_synapse:
                    index = (step * 2 + trace) * times.shape[0] + i
                    rho = synapse_bits(key, index) * UNIT
                decayed = decay[trace] * value
                whole = np.floor(decayed)
                value = np.int32(whole) + np.int32(rho < decayed - whole)
                if times[i] == step:
                    value = min(value + np.int32(impulse[trace]), np.int32(127))
                history[step, trace, i] = value
            traces[trace, i] = value


@inlined
def _factor(variable, dependency, i, j, x, y, tx, ty, weight, tag):
    """Return the value of a variable at the moment its product is evaluated; x, y are histories."""
    if variable == 4:
        return np.int64(weight)
    if variable == 5:
        return np.int64(tag)
    moment = x.shape[0] - 1
    if dependency == X0:
        moment = tx[i]
    elif dependency == Y0:
        moment = ty[j]
    if variable < 2:
        return np.int64(x[moment, variable, i])
    return np.int64(y[moment, variable - 2, j])


@inlined
def _accumulate(terms, value, i, j, x, y, tx, ty, weight, tag, u):
    """Return the 16-bit accumulator of one synaptic variable after all products."""
    total = np.int64(value) << 7
    for k in range(terms.mantissa.shape[0]):
        dependency = terms.dependency[k]
        if (dependency == X0 and tx[i] == 0) or (dependency == Y0 and ty[j] == 0) or (dependency == U and not u):
            continue
        result = terms.mantissa[k]
        for f in range(terms.first[k], terms.first[k + 1]):
            factor = _factor(terms.variable[f], dependency, i, j, x, y, tx, ty, weight, tag) + terms.constant[f]
            result *= min(max(factor, -terms.reach[f]), terms.reach[f] - 1)
        result = (result >> terms.down[k]) << terms.up[k]
        result = min(max(result, np.int64(ACCUMULATOR_MIN)), np.int64(ACCUMULATOR_MAX))
        total = min(max(total + result, np.int64(ACCUMULATOR_MIN)), np.int64(ACCUMULATOR_MAX))
    return total


@inlined
def _rounded(total, r):
    """Return total / 128, rounded stochastically: r uniform in [0, 1)."""
    return (total >> 7) + np.int64(r < (total & 127) / 128.0)


@inlined
def _update(constants, state, x, y, u, r, key):
    """Apply the rule to every synapse that some product may move."""
    tx, ty, n_post = state.tx, state.ty, state.ty.shape[0]
    stream_w, stream_t = stream_key(key, WEIGHT_STREAM), stream_key(key, TAG_STREAM)
    r_weight = r_tag = r
    for i in range(tx.shape[0]):
        for j in range(n_post):
            if not (u or tx[i] > 0 or ty[j] > 0):
                continue
            weight, tag = state.weights[i, j], state.tags[i, j]
            if constants.per_synapse:
                r_weight = synapse_bits(stream_w, i * n_post + j) * UNIT
                r_tag = synapse_bits(stream_t, i * n_post + j) * UNIT
            if constants.for_weights.mantissa.shape[0] > 0:
                total = _accumulate(constants.for_weights, weight, i, j, x, y, tx, ty, weight, tag, u)
                if constants.lowest == 0:
                    total = max(total, np.int64(0))
                if constants.highest == 0:
                    total = min(total, np.int64(0))
                moved = _rounded(total, r_weight)
                state.weights[i, j] = min(max(moved, np.int64(constants.lowest)), np.int64(constants.highest))
            if constants.for_tags.mantissa.shape[0] > 0:
                total = _accumulate(constants.for_tags, tag, i, j, x, y, tx, ty, weight, tag, u)
                state.tags[i, j] = min(max(_rounded(total, r_tag), np.int64(TAG_MIN)), np.int64(TAG_MAX))


@inlined
def engine_step(constants, state, pre, post, time, rho_x, rho_y, rounding, key, x_history, y_history):
    """Step `time` (from 1) of one connection: its spikes pre and post of shape [N] and [M], its random numbers."""
    within = time % constants.t_epoch
    ends = within == 0
    if ends:
        within = constants.t_epoch
    _note_spikes(pre, state.x, constants.impulse[0], state.tx, within)
    _note_spikes(post, state.y, constants.impulse[1], state.ty, within)
    if ends:
        per_synapse = constants.per_synapse
        x_key, y_key = stream_key(key, X_STREAM), stream_key(key, Y_STREAM)
        _epoch(state.x, constants.decay[0], constants.impulse[0], state.tx, x_history, rho_x, per_synapse, x_key)
        _epoch(state.y, constants.decay[1], constants.impulse[1], state.ty, y_history, rho_y, per_synapse, y_key)
        u = constants.period > 0 and (time // constants.t_epoch) % constants.period == 0
        _update(constants, state, x_history, y_history, u, rounding, key)
        state.tx[:] = 0
        state.ty[:] = 0


@jit
def engine_steps(constants, state, pre, post, noise, first_step, x_history, y_history):
    """Run steps first_step + 1, .. ; pre, post of shape [T, N] and [T, M]."""
    for step in range(pre.shape[0]):
        engine_step(
            constants, state, pre[step], post[step], first_step + step + 1, noise.rho_x[step], noise.rho_y[step],
            noise.rounding[step], noise.keys[step], x_history, y_history,
        )  # fmt: skip


class Noise(NamedTuple):
    """Random numbers of T steps: uniform in [0, 1) for Lava's shared noise, and a key for that per synapse."""

    rho_x: npt.NDArray[np.float64]
    rho_y: npt.NDArray[np.float64]
    rounding: npt.NDArray[np.float64]
    keys: npt.NDArray[np.uint32]


class NoiseSource:
    """The random numbers of one connection, in Lava's order: two draws per step for the traces, one per epoch."""

    def __init__(self, seed: int, t_epoch: int) -> None:
        self._seed, self._t_epoch = seed, t_epoch
        self._generators = [np.random.default_rng(s) for s in (seed, seed + 2, LAVA_ROUNDING_SEED)]
        for generator in self._generators:
            generator.random()  # Lava draws one number before the first step

    def draw(self, time: int, steps: int) -> Noise:
        """Return the numbers of steps time + 1 .. time + steps; call with consecutive stretches only."""
        rho_x, rho_y = (generator.random((steps, 2))[:, 1].copy() for generator in self._generators[:2])
        rounding = np.zeros(steps)
        ends = (time + 1 + np.arange(steps)) % self._t_epoch == 0
        rounding[ends] = self._generators[2].random(int(ends.sum()))
        return Noise(rho_x, rho_y, rounding, image_keys(self._seed, time, steps))


def make_engine_state(weights: npt.NDArray[np.int16], tags: npt.NDArray[np.integer]) -> EngineState:
    """Return a fresh state around `weights` (not copied)."""
    n_pre, n_post = weights.shape
    sides = [np.zeros((2, n), dtype=np.int32) for n in (n_pre, n_post)]
    times = [np.zeros(n, dtype=np.int32) for n in (n_pre, n_post)]
    return EngineState(weights, tags.astype(np.int32), *sides, *times)


def make_histories(rule: EngineRule, n_pre: int, n_post: int) -> tuple[Int32, Int32]:
    """Return space for the course of the traces over an epoch."""
    shapes = ((rule.t_epoch + 1, 2, n) for n in (n_pre, n_post))
    x_history, y_history = (np.zeros(shape, dtype=np.int32) for shape in shapes)
    return x_history, y_history


class ChipEngine:
    """One learning connection; `run` may be called again and again, state and noise go on.

    weights of shape [N_pre, N_post], 9-bit integers as Lava holds them; tags likewise, default 0.
    sign_mode: "mixed", "excitatory" or "inhibitory".   noise: "shared" (Lava's) or "per-synapse".
    seed: of the traces' noise (Lava's rng_seed), and of all noise when it is per synapse.
    """

    def __init__(
        self,
        rule: EngineRule,
        weights: npt.NDArray[np.integer],
        tags: npt.NDArray[np.integer] | None = None,
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

    def run(self, pre: npt.NDArray[np.bool_], post: npt.NDArray[np.bool_]) -> EngineState:
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


def _check(name: str, values: npt.NDArray[np.integer], shape: tuple[int, int], lowest: int, highest: int) -> None:
    inside = not values.size or lowest <= int(values.min()) <= int(values.max()) <= highest
    if values.shape != shape or not inside:
        raise UserError(f"engine: {name} must have shape {shape} and lie in {lowest}..{highest}")
