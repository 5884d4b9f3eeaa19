"""What helps, and what does not, when a network learns in the chip's learning engine? One change at a time.

    python -m benchmarks.stock_tries
    python -m benchmarks.stock_tries --data mnist --images 6000 --epochs 2 --seeds 1 --rules deferred

128 hidden neurons, rules R5 and deferred, validation images only; accuracy of the last epoch and of the best, mean over
seeds. The first line of each rule is the default; every other line changes one thing. A negative result is kept, and so
are rules in the file that are not asked for. --images: train on so many, validate on a third of that.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import mean
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.tools.results_file import earlier, of_data, parser, save
from neuro.data.sets import Dataset, Split, load_dataset, split_validation
from neuro.equilibrium.lif import StockDesign, build_stock_network
from sim.backends.stock.backend import EmulatorSession
from sim.training.config import TrainConfig
from sim.training.rates import squared_length
from sim.training.recipe import build_network
from sim.training.stock_recipe import StockTrainer, stock_choices
from sim.training.trainer import Choices
from sim.training.training_set import TrainingSet

HIDDEN, VALIDATION = (128,), 0.2
TRIES: dict[str, dict[str, Any]] = {
    "default": {},
    "learning rate x 2": {"learning_rate": 2.0},
    "learning rate / 2": {"learning_rate": 0.5},
    "output share 1": {"share": 1.0},
    "output share 1/8": {"share": 0.125},
    "learning rate / 2, output share 1": {"learning_rate": 0.5, "share": 1.0},
    "rates fall to 1/8": {"final": 1 / 8},
    "weights as they are, no mean": {"mean": False},
    "weights step by 2": {"lsb": 2},
    "256 hidden neurons": {"hidden": (256,)},
    "smaller weights (std 20)": {"weight_std": 20.0},
    "nudge x 2": {"strength": 1.5},
    "nudge / 2": {"strength": 0.375},
    "target rate 0.25": {"target_rate": 0.25},
    "lower thresholds (4)": {"threshold_per_drive": 4.0},
    "feedback as strong as forward": {"feedback_shift": 0},
    "feedback four times forward": {"feedback_shift": 2},
    "less leak": {"leak": 40},
}


class _Variant(StockTrainer):
    """A training with one change."""

    averages = True

    def deployable(self) -> Any:
        return super().deployable() if self.averages else self.session.weights()


def selected(dataset: Dataset, seed: int, images: int | None) -> tuple[Dataset, Split]:
    """The data set with only the training images in use, and its split."""
    split = split_validation(dataset.y_train, seed, VALIDATION)
    if images is not None:
        split = Split(split.train[:images], split.validation[: max(1, images // 3)])
    used = np.union1d(split.train, split.validation)
    dataset = replace(dataset, x_train=dataset.x_train[used], y_train=dataset.y_train[used])
    return dataset, Split(np.searchsorted(used, split.train), np.searchsorted(used, split.validation))


def attempt(
    data: str, rule: str, change: dict[str, Any], seed: int, epochs: int, images: int | None
) -> tuple[float, float]:
    """Validation accuracy of the last and of the best epoch."""
    change = dict(change)
    factor, final, averages = change.pop("learning_rate", 1.0), change.pop("final", 0.5), change.pop("mean", True)
    config = TrainConfig(
        seed=seed, hidden=HIDDEN, rule=rule, family="stock", threads=1, output_share=change.pop("share", None)
    )
    dataset, split = selected(load_dataset(data, seed), seed, images)
    chosen = stock_choices(config)
    plain = build_network(dataset, config, chosen, split)
    payloads = plain.encoder.encode(dataset.x_train)
    length = squared_length(plain.encoder, payloads[split.train])
    design = StockDesign(
        dataset.image_shape, dataset.n_classes, change.pop("hidden", HIDDEN), rule, length, encoder=plain.encoder
    )
    network = build_stock_network(replace(design, **change), seed)
    choices: Choices = replace(chosen, learning_rate=chosen.learning_rate * factor)
    training_set = TrainingSet(payloads, dataset.y_train, split)
    trainer = _Variant(EmulatorSession(network, 1), training_set, choices, epochs, seed)
    trainer.averages, trainer.final_rate = averages, final
    trainer.run()
    found = [epoch.val_accuracy or 0.0 for epoch in trainer.progress.history]
    return found[-1], max(found)


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "stock_tries", data="digits", epochs=8, seeds=2)
    arguments.add_argument("--images", type=int, default=None, help="training images, default all")
    arguments.add_argument("--rules", default="R5,deferred")
    arguments.add_argument("--tries", default="; ".join(TRIES), help="names of tries, with semicolons between them")
    options = arguments.parse_args()
    question = {"data": options.data, "images": options.images, "epochs": options.epochs, "seeds": options.seeds}
    content = {"kind": "measured on validation images", **question}
    path = of_data(options.out, "stock_tries", options.data)
    rows: dict[str, dict[str, list[tuple[float, float]]]] = earlier(path, content, "tries")
    table = Table("rule", "try", "last epoch", "best epoch", title=f"validation accuracy, {options.seeds} seeds")
    for rule in options.rules.split(","):
        accuracies_by_try = rows.setdefault(rule, {})
        for name in (part.strip() for part in options.tries.split(";")):
            accuracies = [
                attempt(options.data, rule, TRIES[name], seed, options.epochs, options.images)
                for seed in range(options.seeds)
            ]
            accuracies_by_try[name] = accuracies
            last, best = (mean(pair[k] for pair in accuracies) for k in (0, 1))
            table.add_row(rule, name, f"{last:.4f}", f"{best:.4f}")
            print(f"{rule}, {name}: last {last:.4f}, best {best:.4f}", flush=True)
            save(path, {**content, "tries": rows})
    Console().print(table)


if __name__ == "__main__":
    main()
