"""A learning network in Lava itself, in segments: what `learn_in_emulator` must equal. Imports no lava itself.

A sequence can go on from a state between two segments, in another graph, with the integers of one that never stopped:
see `sim.backends.lava.stock.learning_worker`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro.base.arrays import Array, Arrays, Int32, Integers
from neuro.base.errors import UserError
from neuro.base.files import array_bytes, write_atomically
from neuro.base.scratch import scratch
from neuro.stock.processes import LIF, StockProjection, StockSpec
from sim.backends.lava.stock.run import read_arrays, read_spikes, result_path, save_network
from sim.backends.lava.worker.watch import STALL_S, check_installed, run_worker
from sim.backends.stock.segments import TRACES, LearningRecord, Segment, check_segments, commit_targets

WORKER = "sim.backends.lava.stock.learning_worker"
START = "start.npz"
SEGMENT_S, STEPS = "segment_s", "steps"  # in the file of a result; all else is state
IDLE = "0*x0"  # a text of no effect: Lava cannot switch to or from none


@dataclass(frozen=True, eq=False)
class LavaState:
    """Where a sequence stands between two segments: the steps done, and what Lava's processes hold, int32 arrays."""

    steps: int
    arrays: Arrays


@dataclass(frozen=True, eq=False)
class LavaLearning:
    """What Lava did, and the seconds each segment took, rules and commits included; building the graph in the first.

    state: where it ended.
    """

    record: LearningRecord
    segment_s: list[float]
    state: LavaState


def learn_stock_in_lava(
    spec: StockSpec,
    inputs: Integers,
    segments: Sequence[Segment],
    stall_s: float = STALL_S,
    on_segment: Callable[[int], None] = lambda done: None,
    *,
    keep_spikes: bool = False,
    start: LavaState | None = None,
    on_state: Callable[[LavaState], None] | None = None,
) -> LavaLearning:
    """Run one sequence, inputs of shape [T, n], in segments (see `sim.backends.stock.segments`): one graph, built once.

    on_segment is told the segments done, on_state where the last of them ended. start: such a state, of an earlier call
    with the same network; inputs and segments are those after it, rules switched before it come with the first.
    Raises: UserError if the segments do not fit, nothing learns, or Lava is missing, fails, or finishes no segment for
            `stall_s` seconds.
    """
    check_installed()
    spec.check_inputs(inputs[None])
    check_segments(spec, len(inputs), segments)
    before = 0 if start is None else start.steps
    plastic = [projection for projection in spec.projections if projection.rule is not None]
    if not plastic:
        raise UserError("backend lava: no projection has a rule; run the network with run_stock_in_lava")
    with scratch("lava") as folder:

        def tell(done: int) -> None:
            if on_state is not None:
                on_state(_state(read_arrays(result_path(folder, 0)), before))
            on_segment(done)

        settings: dict[str, Any] = {"segments": _segments_to_json(plastic, segments), "keep_spikes": keep_spikes}
        lead = 0
        if start is not None:
            lead = (before - 1) % _period(spec) + 1
            settings |= {"lead": lead, "wound": before - lead}
            inputs = np.concatenate([np.zeros((lead, inputs.shape[1]), dtype=np.int32), inputs])
            write_atomically(folder / START, array_bytes(start.arrays))
        save_network(folder, spec, inputs, **settings)
        run_worker(WORKER, folder, len(segments), "segment", stall_s, tell)
        arrays = read_arrays(result_path(folder, 0))
        spikes = {key: values[0][lead:] for key, values in read_spikes(spec, folder, 1).items()} if keep_spikes else {}
    names = [projection.name for projection in plastic]
    record = _record(spec, names, commit_targets(segments), arrays, spikes)
    return LavaLearning(record, arrays[SEGMENT_S].tolist(), _state(arrays, before))


def _state(arrays: Arrays, before: int) -> LavaState:
    held: Arrays = {name: values.astype(np.int32) for name, values in arrays.items() if name not in (SEGMENT_S, STEPS)}
    return LavaState(before + int(arrays[STEPS]), held)


def _period(spec: StockSpec) -> int:
    """Steps after which all that depends on the number of the step comes round again: epochs, `u`, resets."""
    rules = [projection.rule for projection in spec.projections if projection.rule is not None]
    epochs = [rule.t_epoch << (rule.k or 0) for rule in rules]
    resets = [p.neuron.reset_interval for p in spec.populations if isinstance(p.neuron, LIF)]
    return math.lcm(*epochs, *(interval for interval in resets if interval))


def _record(
    spec: StockSpec,
    plastic: Sequence[str],
    committed: Sequence[str],
    arrays: Mapping[str, Array],
    spikes: dict[str, Int32],
) -> LearningRecord:
    def integers(key: str) -> Int32:
        return arrays[key].astype(np.int32)

    populations = [population.name for population in spec.populations]
    return LearningRecord(
        weights={name: integers(f"weights.{name}") for name in (*plastic, *committed)},
        tags={name: integers(f"tags.{name}") for name in plastic},
        traces={name: {trace: integers(f"{trace}.{name}") for trace in TRACES} for name in plastic},
        u={name: integers(f"u.{name}") for name in populations},
        v={name: integers(f"v.{name}") for name in populations},
        spikes=spikes,
    )


def _segments_to_json(plastic: Sequence[StockProjection], segments: Sequence[Segment]) -> list[dict[str, Any]]:
    """The segments, rules as texts; those of the first are complete: Lava takes none before its first step."""
    rules = [{p.name: segments[0].rules.get(p.name, p.rule) for p in plastic}, *(s.rules for s in segments[1:])]
    texts = [{name: rule.render() for name, rule in by_name.items() if rule is not None} for by_name in rules]
    given = {p.name: p.rule.render() for p in plastic if p.rule is not None}  # what the graph is built with
    used = {name: {key for by_name in (given, *texts) for key in by_name.get(name, {})} for name in given}
    return [
        {
            "steps": segment.steps,
            "rules": {name: {key: mine.get(key, IDLE) for key in sorted(used[name])} for name, mine in by_name.items()},
            "commits": [vars(commit) for commit in segment.commits],
        }
        for segment, by_name in zip(segments, texts, strict=True)
    ]
