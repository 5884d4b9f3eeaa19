"""A sequence that a learning network sees in segments, between which a host switches rules and copies weights.

Before the steps of a segment, rules of plastic projections are switched: products only, traces, epoch and the period of
`u` stay. After them the weights of plastic projections are copied into projections that do not learn. Weights, tags,
traces, states and messages under way go on from segment to segment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from neuro.base.arrays import Int32, Integers
from neuro.base.checks import Range, require_integers
from neuro.base.errors import UserError
from neuro.stock.learning_engine import EngineRule
from neuro.stock.processes import StockProjection, StockSpec

TRACES = ("x1", "x2", "y1", "y2")


@dataclass(frozen=True)
class Commit:
    """Copy the weights of the plastic projection `source` into `target`, which does not learn; transposed or not.

    What arrives is what the target transmits: see `neuro.stock.processes.committed`.
    """

    source: str
    target: str
    transposed: bool = False


@dataclass(frozen=True)
class Segment:
    """steps: at least 1.  rules: by plastic projection, in force from here on.   commits: after the steps, in turn."""

    steps: int
    rules: Mapping[str, EngineRule] = field(default_factory=dict)
    commits: tuple[Commit, ...] = ()

    def __post_init__(self) -> None:
        require_integers("segment", steps=self.steps)
        Range(1).require("segment", steps=self.steps)


@dataclass(frozen=True, eq=False)
class LearningRecord:
    """What is there after the last segment.

    weights: [N_source, N_target] of plastic projections and of those committed into.   tags: of plastic ones.
    traces:  by plastic projection x1, x2 of shape [N_source] and y1, y2 of shape [N_target].
    u, v:    [N] by population, zero where there is none.   spikes: [T, N] by population; empty if not kept.
    """

    weights: Mapping[str, Integers]
    tags: Mapping[str, Int32]
    traces: Mapping[str, Mapping[str, Int32]]
    u: Mapping[str, Int32]
    v: Mapping[str, Int32]
    spikes: Mapping[str, Int32]


def commit_targets(segments: Sequence[Segment]) -> list[str]:
    """The projections that some segment commits into, each once."""
    return list(dict.fromkeys(commit.target for segment in segments for commit in segment.commits))


def check_segments(spec: StockSpec, steps: int, segments: Sequence[Segment]) -> None:
    """Raise UserError unless the segments span `steps` and switch and copy only what can be."""
    total = sum(segment.steps for segment in segments)
    if total != steps or not segments:
        raise UserError(f"segments: they span {total} steps, the inputs {steps}; make them equal")
    by_name = {projection.name: projection for projection in spec.projections}
    for index, segment in enumerate(segments):
        for name, rule in segment.rules.items():
            _check_rule(f"segment {index}: rule of {name}", _plastic(by_name, name, index), rule)
        for commit in segment.commits:
            _check_commit(f"segment {index}: {commit.source} into {commit.target}", by_name, commit, index)


def _plastic(by_name: Mapping[str, StockProjection], name: str, index: int) -> StockProjection:
    if name not in by_name or by_name[name].rule is None:
        raise UserError(f"segment {index}: {name!r} is no projection that learns")
    return by_name[name]


def _check_rule(owner: str, projection: StockProjection, rule: EngineRule) -> None:
    first = projection.rule
    assert first is not None  # plastic
    for name in (*TRACES, "t_epoch"):
        if getattr(rule, name) != getattr(first, name):
            raise UserError(f"{owner}: {name} cannot change from {getattr(first, name)}; only products can")
    if rule.k not in (None, first.k):
        raise UserError(f"{owner}: k cannot change from {first.k} to {rule.k}; only products can")


def _check_commit(owner: str, by_name: Mapping[str, StockProjection], commit: Commit, index: int) -> None:
    source, target = _plastic(by_name, commit.source, index), by_name.get(commit.target)
    if target is None or target.rule is not None:
        raise UserError(f"{owner}: the target must be a projection that does not learn")
    shape = source.weights.shape[::-1] if commit.transposed else source.weights.shape
    if shape != target.weights.shape:
        raise UserError(f"{owner}: {shape} weights do not fit {target.weights.shape}; transposed must say which way")
    if source.sign_mode != target.sign_mode:
        raise UserError(f"{owner}: {source.sign_mode} weights do not fit {target.sign_mode} ones; make them equal")


def count_learning_differences(first: LearningRecord, second: LearningRecord) -> dict[str, int]:
    """Count the integers that differ between two records, by kind."""
    counts: dict[str, int] = {}
    for key in ("weights", "tags", "u", "v", "spikes"):
        mine, other = getattr(first, key), getattr(second, key)
        assert mine.keys() == other.keys()
        counts[key] = sum(int(np.count_nonzero(mine[name] != other[name])) for name in mine)
    counts["traces"] = sum(
        int(np.count_nonzero(values != second.traces[name][trace]))
        for name, traces in first.traces.items()
        for trace, values in traces.items()
    )
    return counts
