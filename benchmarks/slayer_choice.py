"""Which loss, learning rate and number of epochs suit SLAYER? Chosen on validation images, for `benchmarks.slayer`.

    python -m benchmarks.slayer_choice

On images that are in the test set of none of the seeds of that table (digits draws a test set for every seed), a fifth
of them to validate on, drawn anew for each split: every loss of lava-dl with every learning rate, then the number of
epochs with the best of them. Validation accuracy of the best epoch, as a training keeps it. The best mean wins; of
numbers of epochs the smallest within a standard error of the best. Kept as `choice` in the file of the table.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.tools.results_file import merge, parser
from hardware.slayer.config import SlayerConfig
from hardware.slayer.learning import train_slayer
from neuro.base.errors import UserError
from neuro.data.sets import Dataset, load_dataset, split_validation

VALIDATION = 0.2
LOSSES: dict[str, dict[str, Any]] = {
    "spike rates 0.4 and 0.02": {"loss": "rate", "true_rate": 0.4, "false_rate": 0.02},
    "spike rates 0.2 and 0.03, of lava-dl's examples": {"loss": "rate", "true_rate": 0.2, "false_rate": 0.03},
    "spike max, shares": {"loss": "max"},
    "spike max, softmax": {"loss": "softmax"},
}
RATES, EPOCHS, TRIED = (0.003, 0.001, 0.01), 30, (8, 15, 60)


def never_tested(name: str, seeds: int) -> Dataset:
    """A data set without the training images that are a test image of any seed; its own test images are none."""
    first = load_dataset(name, 0)
    tested = {image.tobytes() for seed in range(seeds) for image in load_dataset(name, seed).x_test}
    untested = [index for index, image in enumerate(first.x_train) if image.tobytes() not in tested]
    return replace(
        first,
        x_train=first.x_train[untested],
        y_train=first.y_train[untested],
        x_test=first.x_test[:0],
        y_test=first.y_test[:0],
    )


def reached(dataset: Dataset, config: SlayerConfig) -> dict[str, Any]:
    """Train on one split and return the validation accuracy of the best epoch; none if the loss leaves all bounds."""
    split = split_validation(dataset.y_train, config.seed, VALIDATION)
    row = {"seed": config.seed, "n": len(split.validation)}
    try:
        trainer = train_slayer(dataset, config, split)
    except UserError as error:
        return {**row, "val_accuracy": 0.0, "failed": str(error)}
    val_accuracy, progress = trainer.val_accuracy.value, trainer.progress
    return {**row, "val_accuracy": val_accuracy, "best_epoch": progress.best_epoch, "cpu_s": progress.cpu_s}


def compare(
    dataset: Dataset, hidden: tuple[int, ...], splits: int, epochs: int = EPOCHS, tried: tuple[int, ...] = TRIED
) -> dict[str, Any]:
    """The accuracies of all settings on every split, and the chosen setting."""
    rows: list[dict[str, Any]] = []

    def attempt(words: str, rate: float, epochs: int) -> None:
        configs = [SlayerConfig(seed=seed, hidden=hidden, epochs=epochs, learning_rate=rate, **LOSSES[words])
                   for seed in range(splits)]  # fmt: skip
        found = [reached(dataset, config) for config in configs]
        value = float(np.mean([row["val_accuracy"] for row in found]))
        rows.append({"loss": words, "learning_rate": rate, "epochs": epochs, "val_accuracy": value, "splits": found})
        print(f"{words}, rate {rate:g}, {epochs} epochs: validation {value:.4f}", flush=True)

    for words in LOSSES:
        for rate in RATES:
            attempt(words, rate, epochs)
    best = max(rows, key=lambda row: float(row["val_accuracy"]))
    for number in tried:
        attempt(best["loss"], best["learning_rate"], number)
    return {"n": len(dataset.y_train), "settings": rows, "chosen": fewest_epochs(rows, best)}


def fewest_epochs(rows: list[dict[str, Any]], best: dict[str, Any]) -> dict[str, Any]:
    """The setting with fewest epochs, else as `best`, that is within a standard error of the best of them."""
    like = [row for row in rows if all(row[key] == best[key] for key in ("loss", "learning_rate"))]
    top = max(like, key=lambda row: float(row["val_accuracy"]))
    share, n = top["val_accuracy"], sum(split["n"] for split in top["splits"])
    error = math.sqrt(share * (1 - share) / n)
    chosen = min((row for row in like if row["val_accuracy"] >= share - error), key=lambda row: int(row["epochs"]))
    return {key: chosen[key] for key in ("loss", "learning_rate", "epochs", "val_accuracy")}


def main() -> None:
    """Answer, print, save."""
    arguments = parser(__doc__.splitlines()[0], "slayer", data="digits", width=64, epochs=EPOCHS)
    arguments.add_argument("--seeds", type=int, default=3, help="of the table, whose test images are left alone")
    arguments.add_argument("--splits", type=int, default=3)
    options = arguments.parse_args()
    dataset = never_tested(options.data, options.seeds)
    comparison = compare(dataset, (options.width,), options.splits, options.epochs)
    print(f"chosen: {comparison['chosen']}")
    asked = {"data": options.data, "hidden": options.width, "tested seeds left out": options.seeds}
    merge(options.out, {"choice": {"kind": "measured on validation images", **asked, **comparison}})


if __name__ == "__main__":
    main()
