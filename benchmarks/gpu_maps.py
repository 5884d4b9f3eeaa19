"""Networks of maps on a CUDA device: equal to the torch path, and how fast they learn and infer.

Shapes of CIFAR-10, in even-odd order: a phase ends when its batch is silent. The torch path is held to the reference by
the tests; here the kernels are held to it, on shapes that are too large for the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from benchmarks.gpu_resident import Kernels, seconds_a_batch
from neuro.data.sets import Dataset
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.spec.layers import parse_layers
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.batched.backend import TorchSession
from sim.backends.protocol import one_hot_targets
from sim.training.rates import projection_rates, squared_length

SHAPES = (
    "conv:32x5,pool:2,conv:64x5,pool:2",
    "conv:32x5,rect,pool:2,conv:64x5,rect,pool:2",
    "conv:128x3,pool:2,conv:256x3,pool:2,conv:512x3,pool:2,conv:512x3:valid,pool:2",
)
BATCH, IMAGES = 256, 2048
COMPARED, COMPARED_BATCH = 64, 32
RATE, OUTPUT_SHARE = 0.5, 0.25
Opened = Callable[[NetworkSpec, bool, int], TorchSession]  # a network, on Triton or not, in batches of so many


class Work:
    """A network, encoded images, and rates to learn with."""

    def __init__(self, data: Dataset, layers: str) -> None:
        design = design_for(data.image_shape, data.n_classes, parse_layers(layers), order="even-odd")
        self.spec = build_equilibrium(design, 0)
        self.payloads = self.spec.encoder.encode(data.x_train[:IMAGES])
        self.targets = one_hot_targets(self.spec, data.y_train[:IMAGES])
        self.rates = projection_rates(self.spec, RATE / squared_length(self.spec.encoder, self.payloads), OUTPUT_SHARE)

    def learn(self, session: TorchSession, count: int) -> Any:
        """Learn the first `count` images."""
        return session.learn(self.payloads[:count], self.targets[:count], self.rates, seed=7, first_image=3)


def different(work: Work, opened: Opened) -> tuple[int, int]:
    """How many integers of a run and of a learning differ between Triton and torch, and how many were compared."""
    found: list[list[Any]] = []
    for triton in (True, False):
        with opened(work.spec, triton, COMPARED_BATCH) as session:
            record = session.run(work.payloads[:COMPARED], work.targets[:COMPARED], seed=7, first_image=3)
            outcome = work.learn(session, COMPARED)
            assert outcome.settling is not None  # it settles
            ran = [record.output_states, record.last_spike, *record.spike_counts.values()]
            learned = [outcome.settling.nudged, *outcome.spike_counts.values(), *session.full_weights().values()]
            found.append([*ran, *learned])
    pairs = list(zip(*found, strict=True))
    return sum(int(np.sum(a != b)) for a, b in pairs), sum(np.size(a) for a, _ in pairs)


def of_maps(data: Dataset, opened: Opened, device: torch.device, seconds: float) -> Iterator[dict[str, Any]]:
    """Yield a row for each shape."""
    for layers in SHAPES:
        work = Work(data, layers)
        differing, compared = different(work, opened)
        with opened(work.spec, True, BATCH) as session:
            for _ in range(2):
                outcome = work.learn(session, IMAGES)
            kernels = Kernels(session, IMAGES)
            learning_s = seconds_a_batch(kernels, kernels.learn(BATCH), BATCH, device, seconds)
            inference_s = seconds_a_batch(kernels, kernels.infer(BATCH), BATCH, device, seconds)
        row = {
            "layers": layers, "batch": BATCH, "steps": list(work.spec.schedule.ends),
            "neurons": sum(population.size for population in work.spec.populations),
            "weights": sum(p.weights.size for p in work.spec.projections if p.weights is not None),
            "differences": differing, "compared": compared,
            "learning_images_per_s": BATCH / learning_s, "inference_images_per_s": BATCH / inference_s,
            "half_steps": float(outcome.settling.last_spike.mean()),
        }  # fmt: skip
        print(f"{layers}: {differing} of {compared} integers differ; learning {row['learning_images_per_s']:,.0f}, "
              f"inference {row['inference_images_per_s']:,.0f} images/s", flush=True)  # fmt: skip
        yield row
