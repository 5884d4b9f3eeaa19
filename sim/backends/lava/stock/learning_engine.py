"""Lava's own learning engine on given spikes: what `sim.backends.stock.learning_engine` must equal. Imports no lava
itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro.base.arrays import Bools, Int64, Integers
from neuro.base.files import array_bytes, json_bytes, parse_arrays, read_bytes, write_atomically
from neuro.base.scratch import scratch
from neuro.stock.learning_engine import EngineRule
from sim.backends.lava.worker.watch import STALL_S, check_installed, run_worker

WORKER = "sim.backends.lava.stock.engine_worker"
CASES, ARRAYS = "cases.json", "arrays.npz"
RESULTS = ("weights", "tags", "x", "y")


@dataclass(frozen=True, eq=False)
class EngineCase:
    """One connection and the spikes that drive it; fields as in `sim.backends.stock.learning_engine.EmulatedEngine`."""

    rule: EngineRule
    weights: Integers  # [N, M]
    tags: Integers  # [N, M]
    pre: Bools  # [T, N]
    post: Bools  # [T, M]
    sign_mode: str = "mixed"
    seed: int = 1


def learn_in_lava(cases: Sequence[EngineCase], stall_s: float = STALL_S) -> list[dict[str, Int64]]:
    """Run every case as a LearningDense between two RingBuffers, one after the other, in one watched worker.

    Returns: per case weights and tags of shape [N, M], traces x of shape [2, N] and y of shape [2, M], after T steps.
    Raises:  UserError if Lava is missing, fails, or finishes no case for `stall_s` seconds.
    """
    check_installed()
    with scratch("lava") as folder:
        arrays = {
            f"{index}.{key}": np.asarray(getattr(case, key))
            for index, case in enumerate(cases)
            for key in ("weights", "tags", "pre", "post")
        }
        write_atomically(folder / CASES, json_bytes({"cases": [_case_to_json(case) for case in cases]}))
        write_atomically(folder / ARRAYS, array_bytes(arrays))
        run_worker(WORKER, folder, len(cases), "case", stall_s, lambda done: None)
        results = []
        for index in range(len(cases)):
            path = folder / f"result-{index}.npz"
            results.append({key: value.astype(np.int64) for key, value in parse_arrays(read_bytes(path), path).items()})
        return results


def _case_to_json(case: EngineCase) -> dict[str, Any]:
    return {"rule": rule_to_json(case.rule, case.seed), "sign_mode": case.sign_mode}


def rule_to_json(rule: EngineRule, seed: int) -> dict[str, Any]:
    """The arguments of Lava's Loihi2FLearningRule."""
    traces = {name: getattr(rule, name) for name in ("x1", "x2", "y1", "y2")}
    parameters: dict[str, Any] = {**rule.render(), "t_epoch": rule.t_epoch, "rng_seed": seed}
    for name, trace in traces.items():
        parameters.update({f"{name}_impulse": trace.impulse, f"{name}_tau": trace.tau})
    return parameters
