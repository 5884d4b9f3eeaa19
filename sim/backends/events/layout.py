"""A spec flattened into a few arrays that the compiled kernels can walk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from neuro.base.arrays import Array, Bools, Int8, Int16, Int32, Int64, Integers
from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.parity import skips_silence
from neuro.spec.projection import Projection
from neuro.spec.schedule import CONSTANT
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.events.maps import DENSE, TRANSPOSED, kind_of, map_fields, wide_weights
from sim.backends.primitives import LANES

END_POINT, EVENT, STATE_DIFFERENCE = 0, 1, 2
RULE_CODES = {"end-point": END_POINT, "event": EVENT, "y3": STATE_DIFFERENCE}


class Weights(NamedTuple):
    """What spikes are multiplied by."""

    dense: Int8  # every block of the plan: matrices, and kernels as they are learned
    wide: Int16  # widened kernels, see `sim.backends.events.maps`


class Plan(NamedTuple):
    """Populations are ranges of one long neuron index; projections are blocks of one flat weight buffer.

    Ranges and rows of weights are padded to a multiple of LANES with neurons that receive and send nothing, so that
    loops over them are whole vector instructions. Transposes have a block of their own, kept equal to the original, so
    that every spike reads a contiguous row. Shared kernels are not padded; spikes read them widened (`maps`).
    """

    start: Int64  # [P + 1] first neuron of each population
    size: Int64  # [P] neurons without padding
    static: Bools  # [P] sends at the presentation only
    parity: Int64  # [P] of the steps at which it updates, -1: every step
    constant: Int32  # [N] payload of constant sources, 0 elsewhere
    multiplier: Int32  # [P] step size
    shift: Int32  # [P]
    lower: Int32  # [P] box
    upper: Int32  # [P]
    send_shift: Int32  # [P]
    threshold: Int32  # [P] sparsity threshold, 0 for none
    hard: Bools  # [P] whether it is a hard one
    source: Int64  # [R] population index
    target: Int64  # [R]
    block: Int64  # [R + 1] first weight of each projection
    stride: Int64  # [R] weights per row, padding included
    weight_scale: Int32  # [R] sign and power of two that multiply payload * weight
    kind: Int64  # [R] DENSE, CONVOLVED or TRANSPOSED; the fields to near_channel: shared kernels, `.maps`
    channels: Int64  # [R]
    features: Int64  # [R]
    lines: Int64  # [R] extent of the small kernel along the first axis
    columns: Int64  # [R] and along the second
    stride_lines: Int64  # [R] stride before pooling
    stride_columns: Int64  # [R]
    pool_lines: Int64  # [R]
    pool_columns: Int64  # [R]
    apart_lines: Int64  # [R] distance of taps
    apart_columns: Int64  # [R]
    wide_taps: Int64  # [R] taps of the widened kernel, 0 if DENSE
    wide_start: Int64  # [R + 1] first number of each widened kernel in the buffer of them
    wide_row: Int64  # per wide tap: its row in the forward order
    wide_row_start: Int64  # [R] where the projection's part of wide_row begins
    near: Int64  # [R] where the runs of its spikes begin in near_start: per pixel (CONVOLVED) or position (TRANSPOSED)
    near_back: Int64  # [R] where the runs of a CONVOLVED projection's positions begin: what its learning reads
    near_start: Int64  # range of the four below
    near_target: Int64  # first target neuron of a run
    near_weight: Int64  # first weight within the widened kernel, of channel 0
    near_length: Int64  # numbers in the run
    near_channel: Int64  # weights from one channel to the next
    outgoing: Int64  # [R] projections ordered by source population
    outgoing_start: Int64  # [P + 1] range of `outgoing` per population
    window: int  # last step at which the input sends, 0: at the presentation only
    input: int  # population indices
    output: int
    nudge_multiplier: np.int32
    nudge_shift: np.int32
    holds: bool  # the force of the nudge is that of the end of the free phase
    skips: bool  # nothing changes any more once two steps in a row were silent
    nudge: Int32  # [1 + steps] sign of the output force per step
    phase: Int64  # [1 + steps] column of the spike counts: 0 presentation, 1.. phases
    ends: Int64  # [phases] last step of each phase
    plastic: Int64  # [L] projection index of each learning projection
    commit_order: Int64  # [L] order in which they are updated, for speed: it changes no result
    rule: Int64  # [L] code of its rule
    shadow: Int64  # [L] shadow bits
    limit: Int64  # [L] largest |weight|
    full_start: Int64  # [L + 1] first entry in the full-resolution buffer
    keeps_state: Bools  # [P] a rule reads its unquantised state
    mirror: Int64  # transposes to keep equal, as projection indices, ordered by plastic projection
    mirror_start: Int64  # [L + 1] range of `mirror` per plastic projection


def make_plan(spec: NetworkSpec) -> Plan:
    """Flatten `spec`."""
    padded = [-(-population.size // LANES) * LANES for population in spec.populations]
    index = spec.population_index
    strides = [_stride(spec, p, padded[index[p.target]]) for p in spec.projections]
    blocks = [stride * _n_rows(spec, p) for p, stride in zip(spec.projections, strides, strict=True)]
    return Plan(
        **_populations(spec, padded),
        **_projections(spec, padded, blocks, strides),
        **map_fields(spec),
        **_steps(spec),
        **_learners(spec, blocks),
    )


def _stride(spec: NetworkSpec, projection: Projection, padded_target: int) -> int:
    """Weights per row of the block: those of a source neuron (padded), or of a tap."""
    if kind_of(spec, projection) == DENSE:
        return padded_target
    return spec.population(spec.original_of(projection).target).shape[-1]


def _n_rows(spec: NetworkSpec, projection: Projection) -> int:
    """Rows of the block; a transposed kernel has none of its own."""
    kind = kind_of(spec, projection)
    if kind == DENSE:
        return spec.population(projection.source).size
    if kind == TRANSPOSED or projection.weights is None:
        return 0
    return projection.weights.size // projection.weights.shape[-1]


def _populations(spec: NetworkSpec, padded: list[int]) -> dict[str, Any]:
    """Fields of the plan about neurons."""
    sizes = [population.size for population in spec.populations]
    units = [p.neuron if isinstance(p.neuron, SigmaDelta) else SigmaDelta() for p in spec.populations]
    constants = [p.neuron.constant or 0 if isinstance(p.neuron, Source) else 0 for p in spec.populations]
    return {
        "start": _offsets(padded),
        "size": np.array(sizes, dtype=np.int64),
        "parity": np.array([spec.parity[population.name] for population in spec.populations], dtype=np.int64),
        "static": np.array([isinstance(p.neuron, Source) for p in spec.populations]),
        "constant": _padded_constants(constants, sizes, padded),
        "multiplier": _int32(u.step_multiplier for u in units),
        "shift": _int32(u.step_shift for u in units),
        "lower": _int32(u.lower for u in units),
        "upper": _int32(u.upper for u in units),
        "send_shift": _int32(u.send_shift for u in units),
        "threshold": _int32(u.threshold for u in units),
        "hard": np.array([u.hard for u in units]),
        "window": spec.window,
        "input": spec.population_index[spec.input],
        "output": spec.population_index[spec.output],
        "keeps_state": np.array([_keeps_state(spec, population.name) for population in spec.populations]),
    }


def _projections(spec: NetworkSpec, padded: list[int], blocks: list[int], strides: list[int]) -> dict[str, Any]:
    """Fields of the plan about synapses."""
    index = spec.population_index
    source = np.array([index[p.source] for p in spec.projections], dtype=np.int64)
    target = np.array([index[p.target] for p in spec.projections], dtype=np.int64)
    return {
        "source": source,
        "target": target,
        "block": _offsets(blocks),
        "stride": np.array(strides, dtype=np.int64),
        "weight_scale": _int32(p.sign << spec.shift_of(p) for p in spec.projections),
        "outgoing": np.argsort(source, kind="stable").astype(np.int64),
        "outgoing_start": _offsets([int(np.count_nonzero(source == i)) for i in range(len(padded))]),
    }


def _steps(spec: NetworkSpec) -> dict[str, Any]:
    """Fields of the plan about the schedule."""
    schedule = spec.schedule
    steps = schedule.phase_of_step()
    return {
        "nudge_multiplier": np.int32(schedule.nudge_multiplier),
        "nudge_shift": np.int32(schedule.nudge_shift),
        "holds": schedule.force == CONSTANT,
        "skips": schedule.force == CONSTANT and skips_silence(spec, spec.parity),
        "nudge": _int32(0 if phase < 0 else schedule.phases[phase].nudge for phase in steps),
        "phase": np.array(steps, dtype=np.int64) + 1,
        "ends": np.array(schedule.ends, dtype=np.int64),
    }


def _learners(spec: NetworkSpec, blocks: list[int]) -> dict[str, Any]:
    """Fields of the plan about projections that learn."""
    plastic = [spec.projection_index[p.name] for p in spec.plastic]
    rules = [p.rule for p in spec.plastic if p.rule]
    mirrors = [
        [i for i, p in enumerate(spec.projections) if p.transpose_of == original.name] for original in spec.plastic
    ]
    return {
        "plastic": np.array(plastic, dtype=np.int64),
        "commit_order": _commit_order(spec),
        "rule": np.array([RULE_CODES[rule.name] for rule in rules], dtype=np.int64),
        "shadow": np.array([rule.shadow_bits for rule in rules], dtype=np.int64),
        "limit": np.array([p.limit for p in spec.plastic], dtype=np.int64),
        "full_start": _offsets([blocks[i] for i in plastic]),
        "mirror": np.array([i for group in mirrors for i in group], dtype=np.int64),
        "mirror_start": _offsets([len(group) for group in mirrors]),
    }


def _commit_order(spec: NetworkSpec) -> Int64:
    """Moving sources first, while their state is in cache; then static sources, those with the same target together."""
    static = [isinstance(spec.population(p.source).neuron, Source) for p in spec.plastic]
    keys = [(s, spec.population_index[p.target]) for s, p in zip(static, spec.plastic, strict=True)]
    return np.array(sorted(range(len(keys)), key=lambda learner: keys[learner]), dtype=np.int64)


def _keeps_state(spec: NetworkSpec, name: str) -> bool:
    return any(p.rule is not None and p.rule.uses_state_difference and p.target == name for p in spec.plastic)


def _padded_constants(constants: list[int], sizes: list[int], padded: list[int]) -> Int32:
    parts = [np.pad(np.full(n, c), (0, m - n)) for c, n, m in zip(constants, sizes, padded, strict=True)]
    constant: Int32 = np.concatenate(parts).astype(np.int32)
    return constant


def make_weights(spec: NetworkSpec, plan: Plan) -> Weights:
    """The weights of `spec` as `plan` lays them out."""
    return Weights(flat_weights(spec), wide_weights(spec, plan._asdict()))


def flat_weights(spec: NetworkSpec) -> Int8:
    """All weight blocks one after the other, row by row, rows padded with zeros."""
    return np.concatenate([_block(spec, projection) for projection in spec.projections]).astype(np.int8)


def _block(spec: NetworkSpec, projection: Projection) -> Array:
    """Weights as the plan lays them out: matrices row by row, rows padded; kernels [taps, features]."""
    kind = kind_of(spec, projection)
    if kind == DENSE:
        return _padded(projection.sign * spec.weights_of(projection))  # the sign is in weight_scale
    if kind == TRANSPOSED or projection.weights is None:
        return np.zeros(0, dtype=np.int8)
    return projection.weights.ravel()


def full_weights(spec: NetworkSpec) -> Int16:
    """The weights of plastic projections with their shadow bits, flat, rows of matrices padded with zeros."""
    parts = [_block(spec, p).astype(np.int16) << p.rule.shadow_bits for p in spec.plastic if p.rule]
    flat: Int16 = np.concatenate([np.zeros(0), *parts]).astype(np.int16)
    return flat


def flatten_full(full: Iterable[Integers]) -> Int16:
    """Full-resolution weights as one flat buffer: matrices [N_source, N_target] with padded rows, kernels."""
    parts = (_padded(w) if w.ndim == 2 else w.ravel() for w in full)
    flat: Int16 = np.concatenate([np.zeros(0), *parts]).astype(np.int16)
    return flat


def unpad(flat: Array, shape: tuple[int, int]) -> Array:
    """A copy of one block as an array of shape [N_source, N_target]."""
    return flat.reshape(shape[0], -1)[:, : shape[1]].copy()


def _padded(weights: Array) -> Array:
    return np.pad(weights, ((0, 0), (0, -weights.shape[1] % LANES))).ravel()


def _offsets(sizes: list[int]) -> Int64:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _int32(values: Iterable[int]) -> Int32:
    return np.array(list(values), dtype=np.int32)
