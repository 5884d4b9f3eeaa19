"""What does learning in batches cost in accuracy, against image by image as a chip does?

    python -m benchmarks.batch_size --data digits --hidden 64 --seeds 3
    python -m benchmarks.batch_size --data mnist --hidden 256 --epochs 12 --seeds 1

Batch 1: every image sees the weights that the image before it left; a chip that learns on line can do nothing else.
Batch B: B images settle with the same weights, on as many machines as there are; then every weight takes the B rounded
steps one after the other, each saturated. Steps are added, not averaged: the same number of steps of the same size as
with batch 1, but each computed from weights up to B - 1 images old. Learning rates are chosen anew for every batch
size, on the validation split. The result depends on B alone: not on backend, device, threads or number of workers.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks.accuracy import summary
from benchmarks.tools.results_file import of_data, parser, save
from neuro.artifact.run_folder import load_artifact
from neuro.data.sets import load_dataset
from sim.screens.training import TrainScreen
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep

BATCHES = "1,16,64,256"


def train_once(data: str, config: TrainConfig) -> dict[str, Any]:
    """Train one network and return its figures."""
    with tempfile.TemporaryDirectory() as folder, TrainScreen() as screen:
        result = train_ep(load_dataset(data, config.seed), config, Path(folder) / "run", screen)
        chosen = load_artifact(result.folder).manifest["chosen"]
    return {
        "seed": config.seed,
        "val_accuracy": result.val_accuracy.value,
        "test_accuracy": result.test_accuracy.value,
        "n_test": result.test_accuracy.n,
        "chosen": chosen,
    }


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "batch_size", data="digits", width=64, epochs=None, seeds=3)
    arguments.add_argument("--batches", default=BATCHES)
    options = arguments.parse_args()
    content: dict[str, Any] = {"data": options.data, "hidden": options.width, "kind": "measured", "batches": {}}
    for batch in (int(part) for part in options.batches.split(",")):
        rows = [
            train_once(
                options.data,
                TrainConfig(seed=seed, hidden=(options.width,), epochs=options.epochs, batch_size=batch, threads=1),
            )
            for seed in range(options.seeds)
        ]
        values = [row["test_accuracy"] for row in rows]
        content["batches"][str(batch)] = {
            "rows": rows, "test_accuracy": mean(values), "sd": stdev(values) if len(values) > 1 else None,
        }  # fmt: skip
        rates = sorted({row["chosen"]["learning_rate"] for row in rows})
        print(f"{options.data} {options.width}, batch {batch}: {summary(rows)}; learning rates {rates}", flush=True)
    save(of_data(options.out, "batch_size", options.data), content)


if __name__ == "__main__":
    main()
