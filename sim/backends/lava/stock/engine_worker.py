"""The process that runs Lava's learning engine: `python -m sim.backends.lava.stock.engine_worker FOLDER CALLER`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neuro.base.arrays import Arrays
from neuro.base.files import array_bytes, parse_arrays, parse_json, read_bytes, write_atomically
from sim.backends.lava.stock.learning_engine import ARRAYS, CASES
from sim.backends.lava.worker.main import count_done, run_worker_main


def run_case(case: dict[str, Any], arrays: Arrays) -> Arrays:
    """Build the graph of one case, run it, and return its weights, tags and traces; always stop."""
    from lava.magma.core.learning.learning_rule import Loihi2FLearningRule
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.dense.process import LearningDense
    from lava.proc.io.source import RingBuffer
    from lava.utils.weightutils import SignMode

    pre, post = arrays["pre"], arrays["post"]
    dense = LearningDense(
        weights=arrays["weights"].T.astype(np.int32),
        tag_1=arrays["tags"].T.astype(np.int32),
        learning_rule=Loihi2FLearningRule(**case["rule"]),
        sign_mode=SignMode[case["sign_mode"].upper()],
    )
    before, after = RingBuffer(data=pre.T.astype(np.int32)), RingBuffer(data=post.T.astype(np.int32))
    before.s_out.connect(dense.s_in)
    after.s_out.connect(dense.s_in_bap)
    try:
        dense.run(condition=RunSteps(num_steps=len(pre)), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
        return {
            "weights": dense.weights.get().T,
            "tags": dense.tag_1.get().T,
            "x": np.stack([dense.x1.get(), dense.x2.get()]),
            "y": np.stack([dense.y1.get(), dense.y2.get()]),
        }
    finally:
        dense.stop()


def run_cases(folder: Path) -> None:
    """Run every case of the job in `folder`, one after the other."""
    cases = parse_json(read_bytes(folder / CASES), folder / CASES)["cases"]
    arrays = parse_arrays(read_bytes(folder / ARRAYS), folder / ARRAYS)
    for index, case in enumerate(cases):
        mine = {key: arrays[f"{index}.{key}"] for key in ("weights", "tags", "pre", "post")}
        write_atomically(folder / f"result-{index}.npz", array_bytes(run_case(case, mine)))
        count_done(folder, index + 1)


if __name__ == "__main__":
    run_worker_main(run_cases)
