"""A feed-forward network of another tool as a run: read from NIR, put on integers, proved before it is written.

Weights become even integers of 8 bits, layer by layer: as they are where they lie on such a grid, else rounded.
Thresholds and decays become integers, too; a power of two before weights and threshold makes the states of the chip as
fine as they may be, for decays round there. What that changes is measured on test images, against the equations of the
file in 64-bit floats (`neuro.artifact.nir_import`), which get the same spike trains: pixels as regular trains, and the
bias of the first layer as a unit that always spikes. A share of LEAST_AGREEMENT of the predictions must be equal.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hardware.export.import_config import ImportConfig
from hardware.export.run import IMAGES, LEAST_AGREEMENT
from neuro.artifact.nir_graph import read_nir
from neuro.artifact.nir_import import NirLayer, layers_of
from neuro.artifact.run_folder import Artifact, installed_versions, save_artifact
from neuro.base.arrays import Int16, Reals, Trains
from neuro.base.errors import UserError
from neuro.base.files import read_bytes, sha256, shown
from neuro.base.metrics import accuracy
from neuro.base.shown import Lines, Shown
from neuro.data.sets import Dataset, load_dataset
from neuro.front_ends.pixels import PixelEncoder
from neuro.stock.family import INPUT, OUTPUT
from neuro.stock.feed_forward import FeedForwardNetwork
from neuro.stock.processes import DECAY_UNITY, LIF, SpikeInput, StockPopulation, StockProjection, StockSpec
from sim.backends.stock.emulator import emulate
from sim.training.equilibrium import infer
from sim.training.identity import settings
from sim.training.results import describe_data

RULE, KIND = "imported", "imported"
GRID, ON_GRID = 127, 1e-4  # steps of 2 within a weight's 8 bits; how near to a whole number counts as one
LARGEST_THRESHOLD, LARGEST_EXPONENT = 2**17 - 1, 6


@dataclass(frozen=True, repr=False)
class Imported(Shown):
    """What became of a file. exact: nothing of it was rounded; equal, of n: predictions that its floats share."""

    run: str
    file: str
    sizes: tuple[int, ...]
    exact: bool
    rounded: tuple[str, ...]
    n: int
    equal: int
    spikes: int
    differing: int
    test_accuracy: float
    n_test: int

    def lines(self) -> Lines:
        """See `Shown`."""
        integers = "as they are" if self.exact else f"rounded: {', '.join(self.rounded)}"
        return [
            ("run", self.run),
            ("layers", "-".join(map(str, self.sizes))),
            ("integers", integers),
            ("equal predictions", f"{self.equal} of {self.n} by the file's own numbers, measured"),
            ("output spikes", f"{self.differing} of {self.spikes:,} differ"),
            ("test accuracy", f"{self.test_accuracy:.4f} of {self.n_test}"),
        ]

    def to_json(self) -> dict[str, Any]:
        """The object that `settle import --json` prints."""
        return asdict(self)


def import_nir(path: Path, data: str, folder: Path, config: ImportConfig) -> Imported:
    """Read a NIR file, prove its network on the chip's integers, and write it as a run.

    Raises: UserError naming node, limit and remedy if it cannot be held, or too few predictions agree; then nothing is
            written.
    """
    content, dataset = read_bytes(path), load_dataset(data, config.seed)
    try:
        layers = layers_of(read_nir(content, str(path)), config.dt)
        network, rounded = _network(layers, dataset, config)
    except UserError as error:
        text = str(error)
        raise UserError(text if text.startswith(str(path)) else f"{shown(path)}: {text}") from error
    count = min(IMAGES, len(dataset.y_test))
    inputs = network.free_inputs(network.encoder.encode(dataset.x_test[:count]))
    ours, floats = emulate(network.inference, inputs).spikes[OUTPUT], in_floats(layers, inputs)
    equal = int((network.scores({OUTPUT: ours}).argmax(axis=1) == floats.sum(axis=1).argmax(axis=1)).sum())
    if equal < LEAST_AGREEMENT * count:
        raise UserError(f"{shown(path)}: on the chip's integers {equal} of {count} predictions agree, less than "
                        f"{LEAST_AGREEMENT:.0%}: its rounding matters ({', '.join(rounded) or 'decays'}); train with "
                        "weights on a grid of 8 bits, or more --steps; nothing was written")  # fmt: skip
    record = infer(network, dataset.x_test)
    test = accuracy(record.predictions, dataset.y_test)
    manifest = {
        "kind": KIND,
        "seed": config.seed,
        "config": {**settings(config), "hidden": [population.size for population in network.populations[1:-1]]},
        "data": describe_data(dataset, 0),
        "versions": installed_versions(),
        "chosen": {"file": path.name, "sha256": sha256(content), "rounded": list(rounded)},
        "results": {
            "test": asdict(test),
            "spikes_per_inference": record.spikes_per_inference(network),
        },
        "history": [],
        "best_epoch": 0,
    }
    save_artifact(folder, Artifact(network, manifest))
    sizes = tuple(population.size for population in network.populations)
    return Imported(
        str(folder), str(path), (sizes[0] - 1, *sizes[1:]), not rounded, rounded, count, equal, int(ours.sum()),
        int(np.count_nonzero(ours != floats)), test.value, test.n,
    )  # fmt: skip


def _network(
    layers: list[NirLayer], dataset: Dataset, config: ImportConfig
) -> tuple[FeedForwardNetwork, tuple[str, ...]]:
    """The layers on the chip's integers, and what had to be rounded."""
    pixels = dataset.x_test.shape[1:]
    n_pixels, n_inputs = int(np.prod(pixels)), len(layers[0].weights)
    n_outputs = len(layers[-1].bias)
    if n_inputs != n_pixels or n_outputs != dataset.n_classes:
        raise UserError(f"it takes {n_inputs} inputs and has {n_outputs} outputs, {dataset.name} has {n_pixels} pixels "
                        f"and {dataset.n_classes} classes; give --data that it was trained on")  # fmt: skip
    names = [INPUT, *(f"hidden{k + 1}" if len(layers) > 2 else "hidden" for k in range(len(layers) - 1)), OUTPUT]
    populations = [StockPopulation(INPUT, (n_inputs + 1,), SpikeInput())]
    projections, rounded = [], []
    for k, (layer, source, target) in enumerate(zip(layers, names, names[1:], strict=False)):
        if k and layer.bias.any():
            raise UserError(f"node {layer.name!r}: synapses before it have a bias, on the chip only the first layer "
                            "has a unit for it; train later layers without bias")  # fmt: skip
        weights = np.vstack([layer.weights, layer.bias]) if k == 0 else layer.weights
        integers, neuron, exponent, told = _integers(layer, weights, config.steps)
        rounded += told
        populations.append(StockPopulation(target, (integers.shape[1],), neuron))
        projections.append(StockProjection(f"{source}->{target}", source, target, integers, exponent))
    graph = StockSpec(tuple(populations), tuple(projections))
    return FeedForwardNetwork(graph, config.steps, PixelEncoder(), RULE, config.spacing, pixels), tuple(rounded)


def _integers(layer: NirLayer, weights: Reals, steps: int) -> tuple[Int16, LIF, int, list[str]]:
    """Weights in steps of 2 within -254..254, the neuron beside them, their exponent, and what was rounded."""
    largest, told = float(np.abs(weights).max()), []
    units = 2 * np.arange(1, GRID + 1)
    on_grid = [n for n in units if np.abs(weights * (n / largest) / 2 - np.rint(weights * (n / largest) / 2)).max()
               < ON_GRID]  # fmt: skip
    whole = [n for n in on_grid if _is_whole(layer.threshold * n / largest)]
    scale = [*whole[:1], *reversed(on_grid), units[-1]][0] / largest
    if not on_grid:
        told.append(f"weights of {layer.name}")
    threshold, current, voltage = (
        layer.threshold * scale, DECAY_UNITY * layer.forgets_current - 1, DECAY_UNITY * layer.forgets_voltage,
    )  # fmt: skip
    if threshold > LARGEST_THRESHOLD:
        raise UserError(f"node {layer.name!r}: its threshold is {threshold:.3g} times its weights' smallest step, the "
                        f"chip holds {LARGEST_THRESHOLD}; lower it, or prune large weights")  # fmt: skip
    for value, what in ((threshold, "threshold"), (current, "current decay"), (voltage, "voltage decay")):
        if not _is_whole(value):
            told.append(f"{what} of {layer.name}")
    integers = (2 * np.rint(weights * scale / 2)).astype(np.int16)
    exponent = _exponent(layer, integers, threshold, steps)
    neuron = LIF(max(round(current), 0), round(voltage), round(threshold) << exponent)
    return integers, neuron, exponent, told


def _exponent(layer: NirLayer, integers: Int16, threshold: float, steps: int) -> int:
    """The largest power of two before weights and threshold with which no state can leave its 24 bits."""
    arriving = float(np.abs(integers.astype(np.int64)).sum(axis=0).max())
    current = arriving * min(1 / layer.forgets_current, steps)
    voltage = current * min(1 / max(layer.forgets_voltage, 1e-9), steps)
    room = LARGEST_THRESHOLD / max(voltage, threshold)
    return int(np.clip(np.floor(np.log2(room)), 0, LARGEST_EXPONENT)) if room >= 1 else 0


def _is_whole(value: float) -> bool:
    return abs(value - round(value)) <= ON_GRID * max(abs(value), 1.0)


def in_floats(layers: list[NirLayer], inputs: Trains) -> Reals:
    """The output spikes [B, T, K] of the file's own numbers, each layer a step behind the one before it."""
    sent = np.asarray(inputs, dtype=np.float64)
    for k, layer in enumerate(layers):
        weights = np.vstack([layer.weights, layer.bias]) if k == 0 else layer.weights
        arriving = sent @ weights
        current, voltage, spikes = np.zeros_like(arriving[:, 0]), np.zeros_like(arriving[:, 0]), np.zeros_like(arriving)
        for step in range(1, arriving.shape[1]):
            current = (1 - layer.forgets_current) * current + arriving[:, step - 1]
            voltage = (1 - layer.forgets_voltage) * voltage + current
            spikes[:, step] = voltage > layer.threshold
            voltage = np.where(spikes[:, step] > 0, 0.0, voltage)
        sent = spikes
    return sent
