"""A training that really happens inside Lava's learning engine, and its proof: the chip's integers are the same.

Seconds per sample, so for tens of samples. The noise is Lava's, shared by all synapses; weights step by 1.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from neuro.artifact.run_folder import MANIFEST, Artifact, installed_versions, save_artifact
from neuro.base.checks import Range
from neuro.base.errors import UserError
from neuro.base.metrics import Accuracy, accuracy
from neuro.base.shown import Lines, Shown
from neuro.data.sets import Dataset, Split, split_validation
from neuro.stock.network import StockNetwork
from sim.backends.lava.stock.learning import learn_stock_in_lava
from sim.backends.stock.learning import learn_in_emulator
from sim.backends.stock.segments import Segment, count_learning_differences
from sim.backends.stock.session import commit_pairs
from sim.training.config import TrainConfig, learns_on_chip
from sim.training.equilibrium import infer
from sim.training.recipe import build_network
from sim.training.results import describe_data
from sim.training.stock_recipe import stock_choices

COMPARED = ("weights", "tags", "traces")  # what learning leaves


@dataclass(frozen=True, repr=False)
class LavaTraining(Shown):
    """What a training inside Lava did. differences: entries that differ from the chip's, by kind; all 0 if equal.

    val_accuracy: before and after, on the validation images, measured on the chip backend.
    """

    folder: Path
    n_images: int
    differences: dict[str, int]
    n_compared: int
    val_before: Accuracy
    val_accuracy: Accuracy
    lava_s: float
    chip_s: float

    def lines(self) -> Lines:
        """See `Shown`."""
        verdict = "equal" if sum(self.differences.values()) == 0 else "DIFFERENT"
        counted = ", ".join(f"{count} {kind}" for kind, count in self.differences.items())
        return [
            ("run", str(self.folder)),
            ("learned", f"{self.n_images} images inside Lava's learning engine"),
            ("lava = chip?", f"{verdict}: {self.n_compared:,} weights; {counted} differ"),
            ("validation accuracy before", self.val_before.describe()),
            ("validation accuracy after", self.val_accuracy.describe()),
            ("time, measured",
             f"{self.lava_s:.0f} s in Lava, {self.chip_s:.1f} s on the chip backend, compiling included"),
        ]  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return the object that `settle train ep --backend lava --json` prints."""
        return {
            "run": str(self.folder),
            "backend": "lava",
            "images": self.n_images,
            "differences": self.differences,
            "val_accuracy": self.val_accuracy.value,
            "lava_s": self.lava_s,
            "chip_s": self.chip_s,
        }


def train_in_lava(
    dataset: Dataset, config: TrainConfig, folder: Path, n_images: int, stall_s: float, on_image: Callable[[int], None]
) -> LavaTraining:
    """Learn `n_images` training images, in the order of the seed, in Lava and on the chip, and leave a run in `folder`.

    Raises: UserError if the network is not of the stock family, Lava is missing or hangs, or `folder` holds a run.
    """
    config = replace(config, noise="shared", weight_lsb=1)
    if not learns_on_chip(config):
        raise UserError(
            "backend lava: sigma-delta and graded units do not learn inside Lava; give --family stock --rule R1..R5 "
            "or deferred"
        )
    if (folder / MANIFEST).is_file():
        raise UserError(f"run {folder}: already finished; give another --out")
    split = split_validation(dataset.y_train, config.seed)
    Range(1, len(split.train)).require(remedy=f"{dataset.name} has {len(split.train)} to train on", images=n_images)
    network = build_network(dataset, config, stock_choices(config), split)
    assert isinstance(network, StockNetwork)  # the family
    chosen = np.random.default_rng([config.seed, 0xE90C]).permutation(split.train)[:n_images]
    inputs = network.learning_inputs(network.encoder.encode(dataset.x_train[chosen]), dataset.y_train[chosen])
    stream, segments = inputs.reshape(-1, inputs.shape[2]), image_segments(network, n_images)
    start = time.perf_counter()
    learned = learn_stock_in_lava(network.graph, stream, segments, stall_s, on_image).record
    lava_s, start = time.perf_counter() - start, time.perf_counter()
    expected = learn_in_emulator(network.graph, stream, segments)
    chip_s = time.perf_counter() - start
    found = count_learning_differences(learned, expected)
    after = network.with_weights(learned.weights)
    result = LavaTraining(
        folder, n_images, {kind: found[kind] for kind in COMPARED},
        sum(values.size for values in learned.weights.values()),
        _validate(network, dataset, split), _validate(after, dataset, split), lava_s, chip_s,
    )  # fmt: skip
    save_artifact(folder, Artifact(after, _manifest(dataset, config, split, result, after)))
    return result


def image_segments(network: StockNetwork, n_images: int) -> list[Segment]:
    """Return one segment per image; where the rule needs a host, it commits every `commit_every` and at the end."""
    pairs, every = tuple(commit_pairs(network)), network.commit_every
    return [
        Segment(network.schedule.steps, {}, pairs if every and (k % every == 0 or k == n_images) else ())
        for k in range(1, n_images + 1)
    ]


def _validate(network: StockNetwork, dataset: Dataset, split: Split) -> Accuracy:
    record = infer(network, dataset.x_train[split.validation])
    return accuracy(record.predictions, dataset.y_train[split.validation])


def _manifest(
    dataset: Dataset, config: TrainConfig, split: Split, result: LavaTraining, network: StockNetwork
) -> dict[str, Any]:
    return {
        "kind": "ep in lava",
        "seed": config.seed,
        "config": {**asdict(config), "hidden": list(config.hidden)},
        "chosen": {**asdict(stock_choices(config)), "gain_bits": network.encoder.gain_bits, "images": result.n_images},
        "data": describe_data(dataset, len(split.validation)),
        "versions": installed_versions(),
        "results": {
            "val": asdict(result.val_accuracy),
            "val_before": asdict(result.val_before),
            "differences": result.differences,
            "lava_s": result.lava_s,
        },
        "history": [],
        "best_epoch": 0,
    }
