"""How many images of MNIST's size a checkout learns in the chip's engine per second of CPU time.

    python benchmarks/tools/learning_pace.py RULE HIDDEN IMAGES [steps]

Prints one JSON object. Run by its path with PYTHONPATH at any checkout: `benchmarks.stock_learning_speed` does so.
"steps": step by step, also what could be learned faster.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from neuro.data.sets import Dataset, load_dataset, split_validation
from sim.backends.protocol import get_backend, one_hot_targets
from sim.training.config import TrainConfig
from sim.training.stock_recipe import build_stock

REPEATS = 3


def images_per_cpu_s(dataset: Dataset, rule: str, hidden: int, count: int, *, stepwise: bool = False) -> list[float]:
    """The pace of learning `count` images, encoded before, several times over; what is compiled is ready."""
    if stepwise:
        import sim.backends.stock.backend as chip

        chip.why_not = lambda network: "asked for step by step"
    config = TrainConfig(hidden=(hidden,), family="stock", rule=rule, threads=1)
    network = build_stock(dataset, config, split_validation(dataset.y_train, 0))
    rules = {projection.name: projection.rule for projection in network.plastic}
    payloads = network.encoder.encode(dataset.x_train[:count])
    targets = one_hot_targets(network, dataset.y_train[:count])
    paces = []
    with get_backend("chip").open(network, threads=1) as session:
        session.learn(payloads[:2], targets[:2], rules, seed=0, first_image=0)
        for repeat in range(REPEATS):
            start = time.process_time()
            session.learn(payloads, targets, rules, seed=0, first_image=2 + repeat * count)
            paces.append(count / (time.process_time() - start))
    return paces


def main() -> None:
    """Entry point."""
    rule, hidden, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    paces = images_per_cpu_s(load_dataset("mnist"), rule, hidden, count, stepwise="steps" in sys.argv[4:])
    print(json.dumps({"rule": rule, "hidden": hidden, "images": count, "images_per_cpu_s": paces,
                      "median": float(np.median(paces))}))  # fmt: skip


if __name__ == "__main__":
    main()
