"""Stock networks against Lava: random graphs and inputs, and the count of what differs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from neuro.base.arrays import Int32
from neuro.stock.learning_engine import SIGN_MODES, WEIGHT_RANGES, EngineRule
from neuro.stock.processes import LIF, GradedRelu, SpikeInput, StockPopulation, StockProjection, StockSpec
from sim.backends.stock.emulator import StockRun
from sim.backends.stock.segments import Commit, Segment
from sim.contract.engine import random_rule

LARGEST = 24


def random_stock_spec(seed: int, graded: bool | None = None) -> StockSpec:
    """LIF, LIFReset or (feed-forward) GradedRelu populations with any parameters and recurrent connections.

    graded: whether the payloads are graded; drawn if None. Same seed, same network.
    """
    generator = np.random.default_rng([seed, 0x570C])
    graded = bool(generator.random() < 0.3) if graded is None else graded
    populations = [
        StockPopulation(f"input{k}", _size(generator), SpikeInput(100 if graded else 1))
        for k in range(generator.integers(1, 3))
    ]
    moving = [
        StockPopulation(f"moving{k}", _size(generator), _draw_neuron(generator, graded and k == 0))
        for k in range(generator.integers(1, 4))
    ]
    projections = []
    for k, target in enumerate(moving):
        origins = [p for p in (*populations, *moving) if not _skips(generator, p, target)]
        for origin in origins or populations[:1]:
            projections.append(_draw_projection(generator, origin, target, f"{origin.name}->{target.name}"))
        if k == 0:  # joins every input
            named = {p.name for p in projections}
            missing = [p for p in populations if f"{p.name}->{target.name}" not in named]
            projections += [_draw_projection(generator, p, target, f"{p.name}->{target.name}") for p in missing]
        elif not any(p.source in {"input0", "moving0"} for p in projections if p.target == target.name):
            projections.append(_draw_projection(generator, moving[0], target, f"moving0->{target.name}!"))
    return StockSpec((*populations, *moving), tuple(projections))


def random_learning_spec(seed: int) -> StockSpec:
    """A random network of LIF neurons in which about half of the projections, at least one, learn."""
    spec = random_stock_spec(seed, graded=False)
    generator = np.random.default_rng([seed, 0x1EA2])
    learns = generator.random(len(spec.projections)) < 0.5
    learns[generator.integers(len(learns))] = True
    projections = [
        replace(
            projection,
            rule=random_rule(generator),
            tag=int(generator.integers(-128, 128)),
            noise_seed=seed % 1000,
            transmits=bool(generator.random() < 0.8),
        )
        if plastic
        else projection
        for projection, plastic in zip(spec.projections, learns, strict=True)
    ]
    return replace(spec, projections=tuple(projections))


def _size(generator: np.random.Generator) -> tuple[int]:
    return (int(generator.integers(1, LARGEST)),)


def _skips(generator: np.random.Generator, origin: StockPopulation, target: StockPopulation) -> bool:
    into_graded = isinstance(target.neuron, GradedRelu) and not isinstance(origin.neuron, SpikeInput)
    return bool(generator.random() < 0.4) or into_graded


def _draw_neuron(generator: np.random.Generator, graded: bool) -> LIF | GradedRelu:
    if graded:
        return GradedRelu(int(generator.integers(0, 2000)))
    resets = generator.random() < 0.4
    return LIF(
        current_decay=int(generator.choice([0, 1, 100, 2047, 4000, 4094, 4095])),
        voltage_decay=int(generator.choice([0, 1, 127, 2048, 4095, 4096])),
        threshold=int(generator.choice([0, 1, 50, 400, 3000, 2**17 - 1])),
        bias_mantissa=int(generator.integers(-(2**12), 2**12)) if generator.random() < 0.5 else 0,
        bias_exponent=int(generator.integers(-7, 8)),
        reset_interval=int(generator.integers(2, 60)) if resets else 0,
        reset_offset=int(generator.integers(0, 80)),
    )


def _draw_projection(
    generator: np.random.Generator, origin: StockPopulation, target: StockPopulation, name: str
) -> StockProjection:
    sign_mode = SIGN_MODES[int(generator.integers(3))]
    lowest, highest = WEIGHT_RANGES[sign_mode]
    weights = generator.integers(lowest, highest, (origin.size, target.size), dtype=np.int64, endpoint=True)
    return StockProjection(
        name, origin.name, target.name,
        weights=weights.astype(np.int16),
        exponent=int(generator.integers(-4, 6)),
        weight_bits=int(generator.integers(1, 9)),
        sign_mode=sign_mode,
        message_bits=24 if origin.neuron.payload_limit > 1 else 0,
    )  # fmt: skip


def random_stock_inputs(spec: StockSpec, seed: int, batch: int, steps: int) -> Int32:
    """Random trains of shape [batch, steps, n], sparse to dense."""
    generator = np.random.default_rng([seed, 0x1327])
    shape = (batch, steps, spec.n_inputs)
    limits = [[p.neuron.payload_limit] * p.size for p in spec.populations if isinstance(p.neuron, SpikeInput)]
    limit = np.array([value for part in limits for value in part])
    payloads = np.where(limit == 1, 1, generator.integers(-limit, limit, shape, endpoint=True))
    return (payloads * (generator.random(shape) < generator.random() * 0.5)).astype(np.int32)


def count_stock_differences(first: StockRun, second: StockRun) -> dict[str, int]:
    """Count the spikes (payloads at any step), final u and final v that differ between two records."""
    counts: dict[str, Any] = {}
    for key in ("spikes", "u", "v"):
        mine, other = getattr(first, key), getattr(second, key)
        counts[key] = sum(int(np.count_nonzero(mine[name] != other[name])) for name in mine)
    return counts


def random_lesson(seed: int, steps: int = 240) -> tuple[StockSpec, Int32, tuple[Segment, ...]]:
    """A random learning network with projections to commit into, inputs [T, n], and four segments.

    At each segment about half of the rules are switched; after it, about half of the possible commits are made.
    """
    generator = np.random.default_rng([seed, 0x1E55])
    spec = random_learning_spec(seed)
    inputs = {population.name for population in spec.populations if isinstance(population.neuron, SpikeInput)}
    plastic = [projection for projection in spec.projections if projection.rule is not None]
    copies, commits = [], []
    for projection in plastic:
        for back in (False, True):
            if not (back and projection.source in inputs):
                copies.append(_twin(generator, projection, back))
                commits.append(Commit(projection.name, copies[-1].name, back))
    cuts = sorted(generator.choice(np.arange(1, steps), 3, replace=False).tolist())
    segments = tuple(
        Segment(end - start, _switches(generator, plastic), tuple(c for c in commits if generator.random() < 0.5))
        for start, end in zip((0, *cuts), (*cuts, steps), strict=True)
    )
    spec = replace(spec, projections=(*spec.projections, *copies))
    return spec, random_stock_inputs(spec, seed, 1, steps)[0], segments


def _twin(generator: np.random.Generator, projection: StockProjection, back: bool) -> StockProjection:
    """A projection that does not learn, beside a plastic one or back from its target to its source."""
    ends = (projection.target, projection.source) if back else (projection.source, projection.target)
    weights = projection.weights.T if back else projection.weights
    name = f"{projection.name} {'back' if back else 'copy'}"
    exponent, bits = int(generator.integers(-4, 3)), int(generator.integers(5, 9))
    return StockProjection(name, *ends, weights, exponent, bits, projection.sign_mode)


def _switches(generator: np.random.Generator, plastic: list[StockProjection]) -> dict[str, EngineRule]:
    """New rules for about half of the projections: other products, all else as it was."""
    switched = {}
    for projection in plastic:
        rule, other = projection.rule, random_rule(generator)
        assert rule is not None  # plastic
        dw, dt = ([p for p in part if p.dependency != "u" or rule.k is not None] for part in (other.dw, other.dt))
        if generator.random() < 0.5 and (dw or dt):
            k = rule.k if any(p.dependency == "u" for p in (*dw, *dt)) else None
            switched[projection.name] = replace(rule, dw=tuple(dw), dt=tuple(dt), k=k)
    return switched
