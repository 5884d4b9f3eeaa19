"""Stock networks that learn image by image, many times faster than step by step, and equal to it in every integer.

`sim.backends.stock.learning` runs any network and rule. Networks of `neuro.equilibrium.lif` and their rules have more
in common, and only what can change is computed:

    trains    of pixels are periodic: what they bring is summed once for a period, not at every step
    tags      follow the spikes of one end: one number a neuron, not a synapse (`sim.backends.stock.tag_ends`)
    weights   a row moves if a trace of its neuron is not empty, when u comes round
    traces    only those that are not empty decay
    silence   without input, current and messages voltages only fall

Noise is counter-based, or Lava's: what is left out takes no number from what is not.
Checked: tests/sim/backends/stock/test_structured.py, against the generic engine; benchmarks.lava_equality, against
Lava.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np

from neuro.base.arrays import Int16, Int32, Int64, Integers, Reals, UInt32
from neuro.base.fixed_point import image_keys
from neuro.front_ends.trains import spread_starts
from neuro.stock.family import INPUT, OUTPUT
from neuro.stock.learning_engine import EngineTrace
from neuro.stock.network import StockNetwork
from neuro.stock.processes import LIF, StockProjection, StockSpec, committed
from neuro.stock.rules import NUDGED
from sim.backends.stock.emulator import make_emulator_plan
from sim.backends.stock.engine_kernels import Noise
from sim.backends.stock.learning_engine import NoiseSource, make_constants, make_terms
from sim.backends.stock.neuron_tags import Side, Synapses
from sim.backends.stock.segments import Commit
from sim.backends.stock.structured_kernels import PIXELS, Images, Pixels, Work, learn_images
from sim.backends.stock.tag_ends import POST, at_post, tag_end

LEVELS = 128  # of a trace
MOST_PLASTIC = 5  # two hidden layers; kernels are compiled for so many
DRAWS = 1 << 32
Kind = TypeVar("Kind")


@dataclass(frozen=True, eq=False)
class Lessons:
    """What B images did. counts: spikes by population of shape [phases]; output: of shape [B, K] in the free slots;
    spikes: of every moving population, of shape [B * steps, N], if kept.
    """

    counts: Mapping[str, Int64]
    output: Int32
    spikes: Mapping[str, Int32]


def why_not(network: StockNetwork) -> str | None:
    """What keeps a network from being learned by `StructuredEmulator`, in words; None if nothing does."""
    inputs = [p for p in network.projections if p.source == INPUT and p.transmits]
    if len(inputs) != 1 or network.graph.biased or not network.plastic:
        return f"{len(inputs)} projections carry pixels, or biases are set, or nothing learns"
    if len(network.plastic) > MOST_PLASTIC:
        return f"{len(network.plastic)} projections learn, more than {MOST_PLASTIC}"
    if any(not isinstance(p.neuron, LIF) or p.neuron.bias for p in network.moving):
        return "neurons have a bias, or are no LIF neurons"
    for projection in network.plastic:
        rule = projection.rule
        assert rule is not None  # plastic
        if rule.t_epoch != 1 or rule.k is None or any(p.dependency != "u" for p in (*rule.dw, *rule.dt)):
            return f"{projection.name}: products do not all wait for u, step by step"
        if any(factor.variable == "w" for product in (*rule.dw, *rule.dt) for factor in product.factors):
            return f"{projection.name}: a product reads the weight"
        if tag_end(rule.dt, projection.tag) is None:
            return f"{projection.name}: tags depend on both ends"
        if projection.lsb == 2 and (projection.weights & 1).any():
            return f"{projection.name}: odd weights would be rounded"
        if any(_limits(trace) is None for trace in (rule.x1, rule.x2, rule.y1, rule.y2)):
            return f"{projection.name}: a trace decays in steps finer than 32 bits"
    if network.schedule.steps % turn_of(network) or len({p.rule.k for p in network.plastic if p.rule}) > 1:
        return "updates do not come round once or more a sample, for all projections at once"
    return None


def turn_of(network: StockNetwork) -> int:
    """Steps between two updates."""
    return 1 << max(p.rule.k or 0 for p in network.plastic if p.rule is not None)


class StructuredEmulator:
    """A stock network that learns; `learn` goes on where the last call stopped.

    time: steps done before, where the noise goes on; neurons, traces and messages start from zero all the same.
    """

    def __init__(self, network: StockNetwork, *, time: int = 0) -> None:
        self.network, self._time = network, time
        graph = network.graph
        moving = tuple(p for p in graph.populations if p.name != INPUT)
        inner = tuple(p for p in graph.projections if p.source != INPUT)
        self._graph = StockSpec(moving, inner)
        self._plan = make_emulator_plan(self._graph)
        self._first = {p.name: int(start) for p, start in zip(moving, self._plan.start[:-1], strict=True)}
        self._blocks = {p.name: self._block(p) for p in graph.projections}
        entry = next(p for p in graph.projections if p.source == INPUT and p.transmits)
        first = self._first[entry.target]
        self._pixels = Pixels(
            self._blocks[entry.name], entry.exponent, first, first + network.population(entry.target).size
        )
        self._turn = turn_of(network)
        self._engines = tuple(self._synapses(p, p.name == entry.name) for p in network.plastic)
        self._noises = [NoiseSource(p.noise_seed, 1, time) if p.noise == "shared" else None for p in network.plastic]
        self._work = self._make_work()

    def _block(self, projection: StockProjection) -> Int16:
        """The weights of a projection, those in the plan if it is there."""
        if projection.source == INPUT:
            return projection.effective.copy()
        block = self._plan.block[self._graph.projections.index(projection)]
        return self._plan.weights[block : block + projection.weights.size].reshape(projection.weights.shape)

    def _side(self, name: str, traces: tuple[EngineTrace, EngineTrace]) -> Side:
        size, tables = self.network.population(name).size, [_limits(trace) for trace in traces]
        whole, limit, fraction = (np.stack(parts) for parts in zip(*(t for t in tables if t is not None), strict=True))
        return Side(
            traces=np.zeros((1, 2, size), dtype=np.int32),
            levels=np.zeros((2, size), dtype=np.int32),
            live=np.zeros(size, dtype=np.int32),
            place=np.full(size, -1, dtype=np.int32),
            length=np.zeros(1, dtype=np.int64),
            impulse=np.array([trace.impulse for trace in traces], dtype=np.int64),
            whole=whole,
            limit=limit,
            fraction=fraction,
            first=self._first.get(name, PIXELS),
        )

    def _synapses(self, projection: StockProjection, drives: bool) -> Synapses:
        rule, (n_pre, n_post) = projection.rule, projection.weights.shape
        assert rule is not None  # plastic
        by_post = tag_end(rule.dt, projection.tag) == POST
        size, longest = n_post if by_post else n_pre, max(n_pre, n_post)
        return Synapses(
            constants=make_constants(rule, projection.sign_mode, projection.noise, projection.lsb),
            for_tags=make_terms(rule.dt if by_post else at_post(rule.dt)),
            weights=self._blocks[projection.name],
            tags=np.full(size, projection.tag, dtype=np.int32),
            by_post=by_post,
            every_row=any(not {f.variable for f in product.factors} & {"x1", "x2"} for product in rule.dw),
            drives=drives,
            x=self._side(projection.source, (rule.x1, rule.x2)),
            y=self._side(projection.target, (rule.y1, rule.y2)),
            columns=np.zeros((len(rule.dw), n_post), dtype=np.int32),
            total=np.zeros((3, longest), dtype=np.int32),
            none=np.zeros(longest, dtype=np.int32),
        )

    def _make_work(self) -> Work:
        network, n_neurons = self.network, int(self._plan.start[-1])
        n_pixels = network.population(INPUT).size
        longest, period = max(n_pixels, n_neurons), network.spacing << network.encoder.activation_bits

        def zeros(*shape: int) -> Int32:
            return np.zeros(shape, dtype=np.int32)

        return Work(
            u=zeros(n_neurons), v=zeros(n_neurons), accumulated=zeros(n_neurons), sums=zeros(n_neurons),
            sent=zeros(n_neurons), fired=np.zeros((self._turn, n_neurons), dtype=np.int64),
            n_fired=np.zeros(self._turn, dtype=np.int64),
            population=np.repeat(np.arange(len(self._plan.kind)), np.diff(self._plan.start)),
            given=zeros(network.n_classes + 1),
            drive=zeros(period, self._pixels.last - self._pixels.first), running=zeros(n_pixels),
            bright=zeros(n_pixels), bits=np.zeros(longest, dtype=np.uint32),
        )  # fmt: skip

    def _images(self, payloads: Integers, labels: Integers) -> Images:
        """The course of a sample is that of `StockNetwork.learning_inputs`."""
        network, schedule = self.network, self.network.schedule
        one = 1 << network.encoder.activation_bits
        period, nudged = network.spacing * one, schedule.mask(NUDGED)
        values = np.concatenate([payloads, np.full((len(payloads), 1), one)], axis=1)
        last = np.flatnonzero(schedule.shown)
        return Images(
            payloads=np.ascontiguousarray(values, dtype=np.int32),
            labels=np.ascontiguousarray(labels, dtype=np.int64),
            shown=schedule.shown,
            teaching=nudged & schedule.shown & (np.arange(schedule.steps) % network.spacing == 0),
            gate=nudged,
            phase=network.phases(),
            start=spread_starts(values.shape[1], period).astype(np.int32),
            period=period,
            last_shown=int(last[-1]) + 1 if len(last) else 0,
            output=self._first[OUTPUT],
        )

    def _noise(self, steps: int) -> tuple[Noise, ...]:
        none = np.zeros(steps)
        return tuple(
            Noise(none, none, none, image_keys(p.noise_seed, self._time, steps))
            if source is None
            else source.draw(self._time, steps)
            for p, source in zip(self.network.plastic, self._noises, strict=True)
        )

    def learn(self, payloads: Integers, labels: Integers, *, keep_spikes: bool = False) -> Lessons:
        """Learn images, payloads of shape [B, N] and labels of shape [B], one after the other."""
        network, plan = self.network, self._plan
        images, phases = self._images(payloads, labels), 1 + int(network.phases().max())
        steps = len(payloads) * network.schedule.steps
        counts = np.zeros((len(plan.kind) + 1, phases), dtype=np.int64)
        output = np.zeros((len(payloads), network.n_classes), dtype=np.int32)
        kept = np.zeros((steps if keep_spikes else 0, len(self._work.u)), dtype=np.int32)
        learn_images(
            plan,
            self._pixels,
            _filled(self._engines),
            _filled(self._noise(steps)),
            len(self._engines),
            images,
            self._work,
            self._time,
            counts,
            output,
            kept,
        )
        self._time += steps
        names = [*(p.name for p in self._graph.populations), INPUT]
        spikes = {p.name: kept[:, self._range(p.name)] for p in self._graph.populations} if keep_spikes else {}
        return Lessons(dict(zip(names, counts, strict=True)), output, spikes)

    def _range(self, name: str) -> slice:
        return slice(self._first[name], self._first[name] + self.network.population(name).size)

    def set_weights(self, weights: Mapping[str, Integers]) -> None:
        """See `LearningEmulator.set_weights`."""
        for projection in self.network.plastic:
            self._blocks[projection.name][...] = weights[projection.name]

    def commit(self, commit: Commit) -> None:
        """Copy the weights of a plastic projection into one that does not learn, as that transmits them."""
        target = next(projection for projection in self.network.projections if projection.name == commit.target)
        weights = self._blocks[commit.source]
        oriented = weights.T if commit.transposed else weights
        self._blocks[commit.target][...] = committed(oriented, target.sign_mode, target.weight_bits)

    def weights(self) -> dict[str, Int16]:
        """A copy of all weights by projection, plastic or not."""
        return {name: block.copy() for name, block in self._blocks.items()}

    def tags(self) -> dict[str, Int32]:
        """The tags of plastic projections, of shape [N, M]."""
        return {
            p.name: np.broadcast_to(own.tags if own.by_post else own.tags[:, None], own.weights.shape).copy()
            for p, own in zip(self.network.plastic, self._engines, strict=True)
        }

    def traces(self) -> dict[str, dict[str, Int32]]:
        """A copy of the traces by projection, as `LearningEmulator.traces`."""
        return {
            p.name: {
                f"{side}{k + 1}": end.traces[0, k].copy() for side, end in (("x", own.x), ("y", own.y)) for k in (0, 1)
            }
            for p, own in zip(self.network.plastic, self._engines, strict=True)
        }

    def states(self) -> dict[str, tuple[Int32, Int32]]:
        """A copy of u and v by population that moves."""
        where = {p.name: self._range(p.name) for p in self._graph.populations}
        return {name: (self._work.u[part].copy(), self._work.v[part].copy()) for name, part in where.items()}


def _filled(few: tuple[Kind, ...]) -> tuple[Kind, ...]:
    """As many as kernels take, the last one again and again."""
    return few + few[-1:] * (MOST_PLASTIC - len(few))


@cache
def _limits(trace: EngineTrace) -> tuple[Int32, UInt32, Reals] | None:
    """What each level of a trace decays to in a step: whole part, 2**32 times the fraction rounded up, fraction.

    None if the second does not fit 32 bits: then a comparison of integers is not that of the fraction.
    """
    decayed = np.exp(-1.0 / trace.tau) * np.arange(LEVELS)
    whole = decayed.astype(np.int32)
    fraction = decayed - whole
    limit = [math.ceil(part * DRAWS) for part in fraction.tolist()]
    if max(limit) >= DRAWS:
        return None
    return whole, np.array(limit, dtype=np.uint32), fraction
