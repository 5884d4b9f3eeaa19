"""Does the local spiking update point along the true gradient?

    python -m benchmarks.gradient_alignment

Trains digits, 64 hidden, on 200 images (about three quarters right by then), then compares, per layer, the integer
update summed over the first 512 training images with autograd through the unrolled free phase of the float twin; and
the float contrastive update with the same autograd for smaller and smaller nudges.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.tools.results_file import parser, save
from neuro.base.arrays import Integers
from neuro.base.metrics import Accuracy, accuracy, cosine
from neuro.data.sets import load_dataset, split_validation
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend, one_hot_targets
from sim.contract.alignment import gradient_cosines
from sim.oracles.equilibrium import RateNetwork
from sim.training.config import TrainConfig
from sim.training.rates import projection_rates, squared_length
from sim.training.recipe import build_network
from sim.training.trainer import Choices

NUDGES = (1.0, 0.5, 0.1, 0.01, 0.001)
LEARNED = 200  # images learned before the comparison
COMPARED = 512


def half_trained(seed: int) -> tuple[NetworkSpec, Integers, Integers, Accuracy]:
    """A spec after a few updates, payloads and labels to compare on, and its training accuracy."""
    data = load_dataset("digits", seed)
    split = split_validation(data.y_train, seed)
    spec = build_network(data, TrainConfig(seed=seed, hidden=(64,)), Choices(centred=True, exponent_offset=1), split)
    payloads, labels = spec.encoder.encode(data.x_train), data.y_train
    rates = projection_rates(spec, 1.4 / squared_length(spec.encoder, payloads), 0.125)
    with get_backend("events").open(spec, threads=1) as session:
        session.learn(payloads[:LEARNED], one_hot_targets(spec, labels[:LEARNED]), rates, seed=seed, first_image=0)
        spec = spec.with_weights(session.weights())
        reached = accuracy(session.run(payloads).predictions, labels)
    return spec, payloads[:COMPARED], labels[:COMPARED], reached


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "gradient_alignment", seeds=3)
    options = arguments.parse_args()
    rows, float_rows = [], []
    for seed in range(options.seeds):
        spec, payloads, labels, train_accuracy = half_trained(seed)
        for rule in ("event", "y3"):
            cosines = gradient_cosines(spec, payloads, labels, seed, rule)
            rows.append({"seed": seed, "rule": rule, "train_accuracy": train_accuracy.value, "cosine": cosines})
            print(f"seed {seed}, {rule:5s}, training accuracy {train_accuracy.value:.3f}: "
                  + ", ".join(f"{name} {value:.3f}" for name, value in cosines.items()), flush=True)  # fmt: skip
        network = RateNetwork(spec)
        x = torch.tensor(payloads.astype(np.int64))
        goal = torch.nn.functional.one_hot(torch.tensor(labels, dtype=torch.int64), spec.n_classes)
        truth = network.autograd_update(x, goal, steps=200)
        for nudge in NUDGES:
            update = network.contrastive_update(x, goal, nudge, free_steps=200, nudged_steps=200)
            cosines = {name: cosine(update[name].numpy(), truth[name].numpy()) for name in truth}
            float_rows.append({"seed": seed, "nudge": nudge, "cosine": cosines})
            print(f"seed {seed}, float, nudge {nudge:g}: "
                  + ", ".join(f"{name} {value:.6f}" for name, value in cosines.items()), flush=True)  # fmt: skip
    save(options.out, {"kind": "measured", "integer": rows, "float": float_rows})


if __name__ == "__main__":
    main()
