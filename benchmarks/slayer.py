"""The usual route to the chip beside ours: feed-forward, backpropagation in lava-dl's SLAYER; against EP, same data.

Accuracy and spikes are measured, on the integers that are deployed (equal to SLAYER's own forward pass and to netx in
Lava: tests/hardware). Energy and latency of an inference are modelled (`hardware.energy.estimate`).

Learning cost is counted, per image that is learned. EP: additions of synapses that spikes reach, in all phases, and
updates of single weights, all of 8-bit integers, on the chip's own cores. SLAYER: multiply-adds of 32-bit floats in
dense products, unrolled over all steps (`benchmarks.tools.learning_cost`), on a conventional processor, which keeps the
states of all steps until the backward pass. Surrogate slopes are nowhere zero, so that no zeros can be skipped
backwards. What its forward pass would cost with spikes is stated, too.

Learning rates and epochs are chosen on the validation split of every seed; SLAYER's loss, first rate and number of
epochs by `benchmarks.slayer_choice`, on images that no seed tests. Test images are read once, at the end.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tools.learning_cost import FLOATS, INTEGERS, LearningCost, dense_backprop
from benchmarks.tools.results_file import merge, parser
from hardware.compile.compiler import compile_run
from hardware.energy.profile import Profile, profile
from hardware.slayer.config import SlayerConfig
from hardware.slayer.training import train_slayer_run
from neuro.artifact.run_folder import Artifact, load_artifact
from neuro.base.metrics import Accuracy
from neuro.base.quantities import Modelled
from neuro.data.sets import load_dataset
from sim.screens.training import TrainScreen
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep
from sim.training.results import TrainResult

IMAGES = 100


@dataclass(frozen=True)
class Row:
    """A network in the table. accuracy: test; all others per inference; spikes: of hidden and output neurons.

    chosen: hyper-parameters, on validation.
    """

    name: str
    seed: int
    accuracy: Accuracy
    spikes: float
    energy: Modelled
    latency: Modelled
    learning: LearningCost
    chosen: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The row, with what is measured and what is modelled."""
        low, high = self.accuracy.interval
        return {
            "name": self.name,
            "seed": self.seed,
            "test_accuracy": {"kind": "measured", "value": self.accuracy.value, "interval": [low, high],
                              "n": self.accuracy.n},
            "spikes_per_inference": {"kind": "measured", "value": self.spikes},
            "energy": self.energy.to_json(),
            "latency": self.latency.to_json(),
            "learning": {"kind": "counted", **self.learning.to_json()},
            "chosen": dict(self.chosen),
        }  # fmt: skip


def slayer_row(
    data: str = "digits", hidden: tuple[int, ...] = (64,), seed: int = 0, epochs: int | None = None,
    n_images: int = IMAGES,
) -> Row:  # fmt: skip
    """Train with SLAYER and return its row; n_images: test images to price.

    Raises: UserError if lava-dl is missing, or the data cannot be had.
    """
    with _folder() as folder:
        config = SlayerConfig(seed=seed, hidden=hidden, epochs=epochs)
        result = train_slayer_run(load_dataset(data, seed), config, folder)
        return slayer_row_of(folder, result, n_images)


def slayer_row_of(folder: Path, result: TrainResult, n_images: int = IMAGES) -> Row:
    """The row of a finished SLAYER run."""
    artifact, chip_profile = _profiled(folder, n_images)
    network = artifact.spec
    steps = network.free_steps
    forward, backward = dense_backprop([projection.weights.size for projection in network.projections], steps)
    manifest = artifact.manifest
    learned = manifest["data"]["n_train"] - manifest["data"]["n_validation"]
    cost = LearningCost(
        operations=FLOATS,
        forward=forward,
        backward=backward,
        updates=0.0,  # once a batch: in the products
        kept=steps * sum(3 * population.size for population in network.moving),  # current, voltage, spike
        images=manifest["chosen"]["epochs"] * learned,
        with_spikes=chip_profile.inference.counts["synaptic"],
        cpu_s=result.train_cpu_s,
    )
    return _row("slayer", artifact, result, chip_profile, cost)


def settling_row(
    family: str, rule: str, data: str = "digits", hidden: tuple[int, ...] = (64,), seed: int = 0,
    epochs: int | None = None, n_images: int = IMAGES,
) -> Row:  # fmt: skip
    """Train an EP network of the same shape and return its row."""
    config = TrainConfig(seed=seed, hidden=hidden, family=family, rule=rule, epochs=epochs, threads=1)
    with _folder() as folder, TrainScreen() as screen:
        result = train_ep(load_dataset(data, seed), config, folder, screen)
        artifact, chip_profile = _profiled(folder, n_images)
    assert chip_profile.learning is not None  # plastic
    counts, manifest = chip_profile.learning.counts, artifact.manifest
    n_train, n_validation = manifest["data"]["n_train"], manifest["data"]["n_validation"]
    fitted = len(manifest["history"]) * (n_train - n_validation)
    refitted = manifest["chosen"]["epochs"] * n_train if manifest["chosen"]["refit"] else 0
    cost = LearningCost(
        operations=INTEGERS,
        forward=counts["synaptic"],
        backward=0.0,
        updates=counts["learning"],
        kept=0,
        images=fitted + refitted,
        with_spikes=counts["synaptic"],
        cpu_s=result.train_cpu_s,
    )
    return _row(f"EP, {family}, {rule}", artifact, result, chip_profile, cost)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name) / "run"


def _profiled(folder: Path, n_images: int) -> tuple[Artifact, Profile]:
    artifact = load_artifact(folder)
    return artifact, profile(artifact, compile_run(folder), n_images)


def _row(name: str, artifact: Artifact, result: TrainResult, found: Profile, cost: LearningCost) -> Row:
    return Row(
        name, artifact.manifest["seed"], result.test_accuracy, result.spikes_per_inference,
        found.inference.energy, found.inference.latency, cost, artifact.manifest["chosen"],
    )  # fmt: skip


def summary(rows: Sequence[Row]) -> list[str]:
    """A line for each network: means over its seeds."""
    lines = []
    for name in dict.fromkeys(row.name for row in rows):
        mine = [row for row in rows if row.name == name]
        accuracies = [row.accuracy.value for row in mine]
        costs = [row.learning for row in mine]
        spikes, operations = np.mean([row.spikes for row in mine]), np.mean([cost.per_image for cost in costs])
        images, cpu_s = np.mean([cost.images for cost in costs]), np.mean([cost.cpu_s for cost in costs])
        lines.append(
            f"{name}: test {np.mean(accuracies):.4f} ± {np.std(accuracies):.4f}, {spikes:.1f} spikes, "
            f"{mine[0].energy}, {mine[0].latency}; a learned image takes {operations:,.0f} {costs[0].operations}; "
            f"{images:,.0f} images, {cpu_s:.1f} s of CPU time"
        )
    return lines


def main() -> None:
    """Answer, print, save."""
    arguments: argparse.ArgumentParser = parser(
        __doc__.splitlines()[0], "slayer", data="digits", width=64, seeds=3, epochs=None
    )
    options = arguments.parse_args()
    shared = {"data": options.data, "hidden": (options.width,), "epochs": options.epochs}
    rows = []
    for seed in range(options.seeds):
        rows.append(slayer_row(**shared, seed=seed))
        for family, rule in (("sigma-delta", "event"), ("stock", "R5")):
            rows.append(settling_row(family, rule, **shared, seed=seed))
    for line in summary(rows):
        print(line)
    merge(options.out, {"kind": "accuracies, spikes, cpu_s measured; energy, latency modelled; learning counted",
                        "data": options.data, "hidden": options.width, "n_priced": IMAGES,
                        "rows": [row.to_json() for row in rows]})  # fmt: skip


if __name__ == "__main__":
    main()
