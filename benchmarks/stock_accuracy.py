"""How accurate are networks that learn in the chip's learning engine, rule by rule?

    python -m benchmarks.stock_accuracy --data digits --hidden 128
    python -m benchmarks.stock_accuracy --data mnist --hidden 128 --rules R7
    python -m benchmarks.stock_accuracy --data mnist --hidden 128 --epochs 2 --seeds 1 --rules R1,R2 --images 10000

Every training in the engine's integers, in the order of its own updates, with per-synapse noise; the epoch and all
hyper-parameters are chosen on a validation split of the training set, the test set is read once a training. Digits:
every seed draws its own test split. All rules but "deferred", which needs a host, run on the chip alone. Rules and
seeds that are not asked for stay in the file as they were found. --images: train on the first so many only; every row
says on how many, and for how many epochs.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks.tools.results_file import earlier, of_data, parser, save
from neuro.data.sets import load_dataset
from neuro.stock.rules import RULES
from sim.screens.training import TrainScreen
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep


def train_once(
    data: str, hidden: tuple[int, ...], rule: str, epochs: int | None, weight_lsb: int, seed: int, images: int | None
) -> dict[str, Any]:
    """Train one network, on the first `images` only if given, and return its figures."""
    dataset = load_dataset(data, seed)
    dataset = replace(dataset, x_train=dataset.x_train[:images], y_train=dataset.y_train[:images])
    config = TrainConfig(
        seed=seed, hidden=hidden, rule=rule, epochs=epochs, threads=1, family="stock", weight_lsb=weight_lsb
    )
    with tempfile.TemporaryDirectory() as folder, TrainScreen() as screen:
        result = train_ep(dataset, config, Path(folder) / "run", screen)
    return {
        "seed": seed,
        "n_train": len(dataset.y_train),
        "epochs": len(result.artifact.manifest["history"]),
        "val_accuracy": result.val_accuracy.value,
        "test_accuracy": result.test_accuracy.value,
        "n_test": result.test_accuracy.n,
        "train_cpu_s": result.train_cpu_s,
        "images_per_s": result.images_per_s,
        "spikes_per_inference": result.spikes_per_inference,
    }


def main() -> None:
    """Entry point."""
    arguments = parser(
        __doc__ or "", "stock_accuracy", data="digits", hidden=(128,), epochs=None, seeds=3, weight_lsb=1
    )
    arguments.add_argument("--rules", default=",".join(RULES))
    arguments.add_argument("--first-seed", type=int, default=0, help="go on from this seed")
    arguments.add_argument("--images", type=int, default=None, help="training images, default all")
    options = arguments.parse_args()
    hidden = options.hidden
    name = f"{Path(options.data).stem} {','.join(map(str, hidden))}"
    content: dict[str, Any] = {
        "data": options.data, "hidden": list(hidden), "weight_lsb": options.weight_lsb, "kind": "measured",
    }  # fmt: skip
    path = of_data(options.out, "stock_accuracy", options.data)
    content["rules"] = earlier(path, content, "rules")
    for rule in options.rules.split(","):
        known = {row["seed"]: row for row in content["rules"].get(rule, [])}
        for seed in range(options.first_seed, options.seeds):
            known[seed] = train_once(
                options.data, hidden, rule, options.epochs, options.weight_lsb, seed, options.images
            )
            content["rules"][rule] = rows = [known[seed] for seed in sorted(known)]
            save(path, content)
        tests = [row["test_accuracy"] for row in rows]
        spread = f" +- {stdev(tests):.4f}" if len(tests) > 1 else ""
        validation, cpu_s = mean(row["val_accuracy"] for row in rows), mean(row["train_cpu_s"] for row in rows)
        print(
            f"{name}, {rule}: test {mean(tests):.4f}{spread}, validation {validation:.4f}, {len(rows)} seeds, "
            f"{cpu_s:.0f} CPU s",
            flush=True,
        )


if __name__ == "__main__":
    main()
