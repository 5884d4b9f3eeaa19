"""The convolutional network of Laborieux et al. 2021 on CIFAR-10: does it run and learn here, and at what cost?

    python -m benchmarks.large_network

Kernels of 3 x 3, 128, 256, 512 and 512 features, padded but for the last, pooled by 2 after each, 10 outputs; average
in place of maximum pooling, which spiking EP cannot learn through (source of the shape: the command lines in the
README of github.com/Laborieux-Axel/Equilibrium-Propagation).

Per backend: CPU seconds of one thread to open the network, per image to classify (free phase) and to learn. Between
backends: spikes, states, predictions and learned weights that differ. And whether a learning step does what it should:
the cost of an image before and after the network has learned it once. Nothing is trained to the end.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from benchmarks.results_file import parser, save
from neuro.data import Dataset, load_dataset
from neuro.equilibrium import build_equilibrium, design_for
from neuro.layers import parse_layers
from neuro.plasticity import Rate
from neuro.spec import NetworkSpec
from sim.backends.base import IntArray, Record, compare, get_backend, one_hot_targets
from sim.trainer import projection_rates, squared_length

LAYERS = "conv:128x3,pool:2,conv:256x3,pool:2,conv:512x3,pool:2,conv:512x3:valid,pool:2"
LEARNING_RATE, OUTPUT_SHARE = 0.5, 0.4
BACKENDS = ("events", "torch")


def cost(spec: NetworkSpec, record: Record, targets: IntArray) -> float:
    """Return the mean over images of half the squared distance between output and target, in real units."""
    distance = (record.output_states - targets) / float(spec.unit(spec.output).one)
    return float(0.5 * np.square(distance).sum(axis=1).mean())


def rates_of(spec: NetworkSpec, payloads: IntArray) -> dict[str, Rate]:
    """Return moderate learning rates."""
    return projection_rates(spec, LEARNING_RATE / squared_length(spec.encoder, payloads), OUTPUT_SHARE)


def measure(
    name: str, spec: NetworkSpec, payloads: IntArray, labels: IntArray
) -> tuple[dict[str, Any], Record, dict[str, Any]]:
    """Return the row of a backend, a record of all phases, and the weights it learned."""
    targets, rates, n = one_hot_targets(spec, labels), rates_of(spec, payloads), len(payloads)
    start = time.process_time()
    session = get_backend(name).open(spec, threads=1)
    row: dict[str, Any] = {"backend": name, "open_cpu_s": time.process_time() - start}
    with session:
        session.run(payloads[:1])  # compiles, once
        start = time.process_time()
        before = session.run(payloads)
        row["inference_cpu_s_per_image"] = (time.process_time() - start) / n
        row["spikes_per_inference"] = before.spikes_per_inference(spec)
        record = session.run(payloads, targets, keep_states=True, keep_spikes=True)
        fresh = session.full_weights()
        session.learn(payloads[:1], targets[:1], rates, seed=0, first_image=0)
        session.restore(fresh)
        start = time.process_time()
        session.learn(payloads, targets, rates, seed=0, first_image=0)
        row["learning_cpu_s_per_image"] = (time.process_time() - start) / n
        learned = session.full_weights()
        row["cost_before"], row["cost_after"] = (
            cost(spec, found, targets) for found in (before, session.run(payloads))
        )
    return row, record, dict(learned)


def compared(data: Dataset, layers: str, n_images: int) -> dict[str, Any]:
    """Return what was measured on the first training images, and what differs between the backends."""
    start = time.process_time()
    spec = build_equilibrium(design_for(data.image_shape, data.n_classes, parse_layers(layers)), 0)
    build_cpu_s = time.process_time() - start
    payloads = spec.encoder.encode(data.x_train[:n_images])
    found = {name: measure(name, spec, payloads, data.y_train[:n_images]) for name in BACKENDS}
    first, second = (found[name] for name in BACKENDS)
    differences = compare(first[1], second[1])
    n_weights = sum(weights.size for weights in first[2].values())
    return {
        "data": data.name,
        "layers": layers,
        "n_images": n_images,
        "neurons": sum(population.size for population in spec.moving),
        "weights": n_weights,
        "build_cpu_s": build_cpu_s,
        "rows": [row for row, _, _ in found.values()],
        "differences": {
            "spikes": differences.spikes,
            "of spikes": differences.n_spikes,
            "states": differences.states,
            "predictions": differences.predictions,
            "learned weights": int(sum(np.count_nonzero(first[2][key] != second[2][key]) for key in first[2])),
        },
    }


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "large_network")
    arguments.add_argument("--data", default="cifar10")
    arguments.add_argument("--layers", default=LAYERS)
    arguments.add_argument("--images", type=int, default=2)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    content = compared(load_dataset(options.data), options.layers, options.images)
    for row in content["rows"]:
        print(", ".join(f"{key} {value:.4g}" if isinstance(value, float) else str(value) for key, value in row.items()))
    print(f"differences: {content['differences']}")
    save(options.out, {"kind": "measured", **content})


if __name__ == "__main__":
    main()
