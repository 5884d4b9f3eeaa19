"""The convolutional network of Laborieux et al. 2021 on CIFAR-10: does it run and learn here, and at what cost?

    python -m benchmarks.large_network

Kernels of 3 x 3, 128, 256, 512 and 512 features, padded but for the last, pooled by 2 after each, 10 outputs; average
in place of maximum pooling, which spiking EP cannot learn through (source of the shape: the command lines in the
README of github.com/Laborieux-Axel/Equilibrium-Propagation).

Per backend: CPU seconds of one thread to open the network, per image to classify (free phase) and to learn. Between
backends: spikes, states, predictions and learned weights that differ. And whether learning does what it should: the
cost of a few images as the network learns them again and again, and the share of every layer's weights that moved.
Nothing is trained to the end.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from benchmarks.tools.results_file import parser, save
from neuro.data.sets import Dataset, load_dataset
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.spec.layers import parse_layers
from sim.backends.protocol import get_backend, one_hot_targets
from sim.backends.record import Record, compare
from sim.backends.session import AnySession
from sim.training.rates import projection_rates, squared_length
from sim.training.trainer import Weights

LAYERS = "conv:128x3,pool:2,conv:256x3,pool:2,conv:512x3,pool:2,conv:512x3:valid,pool:2"
LEARNING_RATE, OUTPUT_SHARE, PASSES = 2.0, 0.4, 8
BACKENDS = ("events", "torch")


class Work:
    """A network, encoded images and rates to learn with."""

    def __init__(self, data: Dataset, layers: str, n_images: int) -> None:
        self.spec = build_equilibrium(design_for(data.image_shape, data.n_classes, parse_layers(layers)), 0)
        self.payloads = self.spec.encoder.encode(data.x_train[:n_images])
        self.targets = one_hot_targets(self.spec, data.y_train[:n_images])
        scale = squared_length(self.spec.encoder, self.payloads)
        self.rates = projection_rates(self.spec, LEARNING_RATE / scale, OUTPUT_SHARE)

    def learn(self, session: AnySession, count: int, passes: int = 0) -> None:
        """Learn the first `count` images, all having been learned `passes` times before."""
        first_image = passes * len(self.payloads)
        session.learn(self.payloads[:count], self.targets[:count], self.rates, seed=0, first_image=first_image)

    def cost(self, record: Record) -> float:
        """The mean over images of half the squared distance between output and target, in real units."""
        distance = (record.output_states - self.targets) / float(self.spec.unit(self.spec.output).one)
        return float(0.5 * np.square(distance).sum(axis=1).mean())


def measure(name: str, work: Work) -> tuple[dict[str, Any], Record, Weights]:
    """The row of a backend, a record of all phases, and the weights with shadows that it learned."""
    spec, n = work.spec, len(work.payloads)
    start = time.process_time()
    session = get_backend(name).open(spec, threads=1)
    row: dict[str, Any] = {"backend": name, "open_cpu_s": time.process_time() - start}
    with session:
        session.run(work.payloads[:1])  # compiles, once
        start = time.process_time()
        found = session.run(work.payloads)
        row["inference_cpu_s_per_image"] = (time.process_time() - start) / n
        row["spikes_per_inference"] = found.spikes_per_inference(spec)
        record = session.run(work.payloads, work.targets, keep_states=True, keep_spikes=True)
        fresh = session.full_weights()
        work.learn(session, 1)
        session.restore(fresh)
        start = time.process_time()
        work.learn(session, n)
        row["learning_cpu_s_per_image"] = (time.process_time() - start) / n
        return row, record, dict(session.full_weights())


def learning(work: Work) -> dict[str, Any]:
    """The cost before and after every pass over the images, and the share of weights that the passes moved."""
    with get_backend("events").open(work.spec, threads=1) as session:
        fresh = session.full_weights()
        costs = [work.cost(session.run(work.payloads))]
        for passes in range(PASSES):
            work.learn(session, len(work.payloads), passes)
            costs.append(work.cost(session.run(work.payloads)))
        moved = {name: float(np.mean(values != fresh[name])) for name, values in session.full_weights().items()}
    return {"costs": costs, "weights that moved": moved}


def compared(data: Dataset, layers: str, n_images: int) -> dict[str, Any]:
    """The measurements on the first training images, and the differences between the backends."""
    start = time.process_time()
    work = Work(data, layers, n_images)
    build_cpu_s = time.process_time() - start
    rows, records, weights = zip(*(measure(name, work) for name in BACKENDS), strict=True)
    comparison = compare(*records)
    differ = {key: int(np.count_nonzero(values != weights[1][key])) for key, values in weights[0].items()}
    return {
        "data": data.name,
        "layers": layers,
        "n_images": n_images,
        "neurons": sum(population.size for population in work.spec.moving),
        "weights": sum(values.size for values in weights[0].values()),
        "build_cpu_s": build_cpu_s,
        "rows": rows,
        "differences": {"spikes": comparison.spikes, "states": comparison.states, "predictions": comparison.predictions,
                        "learned weights": sum(differ.values())},
        "spikes compared": comparison.n_spikes,
        "learning": learning(work),
    }  # fmt: skip


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "large_network", data="cifar10")
    arguments.add_argument("--layers", default=LAYERS)
    arguments.add_argument("--images", type=int, default=2)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    content = compared(load_dataset(options.data), options.layers, options.images)
    for row in content["rows"]:
        print(", ".join(f"{key} {value:.4g}" if isinstance(value, float) else str(value) for key, value in row.items()))
    print(f"differences: {content['differences']}, learning: {content['learning']}")
    save(options.out, {"kind": "measured", **content})


if __name__ == "__main__":
    main()
