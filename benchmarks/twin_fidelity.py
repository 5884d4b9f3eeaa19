"""Is the twin the network? Predictions and output states of integer and relaxed twins against the deployed integers.

    python -m benchmarks.twin_fidelity

Trains a network of every family (digits; MNIST sigma-delta, a few epochs), attacks its integer twin with 10 steps of
PGD on the margin of the pre-activations, and compares twin and `events` or `chip` on the first test images, clean and
attacked: label agreement, mean error of output states, entries that differ. Also the time of one forward and backward
pass of 100 images on one core, and the peak memory of one with the atan surrogate, with and without checkpointing
(Linux; straight-through keeps a bit per neuron and step, and has no use for checkpoints).
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.tools.results_file import parser, save
from neuro.artifact.run_folder import load_artifact
from neuro.data.sets import Dataset, load_dataset
from neuro.spec.network import Network
from sim.backends.protocol import get_backend
from sim.robustness.bridge.fidelity import deployed_record, fidelity, inference_states
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep
from sim.twins.base import Twin, margin_direction
from sim.twins.make import make_twin
from sim.twins.surrogates import Surrogate

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "sigma-delta digits 256": ("digits", {}),
    "sigma-delta mnist 256": ("mnist", {"epochs": 3}),
    "stock graded digits 256": ("digits", {"family": "stock", "rule": "graded"}),
    "stock R5 (LIF) digits 64": ("digits", {"family": "stock", "rule": "R5", "hidden": (64,), "epochs": 4}),
}
ATTACK_STEPS, TIMED, REPEATS = 10, 100, 5
MEMORY = 20_000  # images x steps of an inference whose memory is measured


class Quiet:
    """Shows nothing of a training."""

    def __getattr__(self, name: str) -> Any:
        """A function that does nothing, whatever its arguments."""
        return lambda *told: None


def trained(dataset: Dataset, seed: int, choices: dict[str, Any]) -> Network:
    """A network trained by its local rule."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        train_ep(dataset, TrainConfig(seed=seed, threads=1, **choices), run, Quiet())
        return load_artifact(run).spec


def margin_gradient(twin: Twin, images: Tensor, labels: Tensor) -> Tensor:
    """The gradient of the summed margin a_rival - a_label, of the shape of the images."""
    pixels = images.clone().requires_grad_(True)
    scores = twin(pixels)
    (gradient,) = torch.autograd.grad((scores * margin_direction(scores.detach(), labels)).sum(), pixels)
    return gradient


def attacked(twin: Twin, images: Tensor, labels: Tensor, eps: float) -> Tensor:
    """The images after PGD within eps (Linf)."""
    adversarial = images
    for _ in range(ATTACK_STEPS):
        step = 2.5 * eps / ATTACK_STEPS * margin_gradient(twin, adversarial, labels).sign()
        adversarial = torch.clamp(torch.clamp(adversarial + step, images - eps, images + eps), 0.0, 1.0)
    return adversarial


def agreement(spec: Network, images: Tensor, labels: Tensor) -> dict[str, Any]:
    """A comparison of integer and relaxed twins with the deployed network on some images."""
    exact, relaxed = make_twin(spec), make_twin(spec, forward="relaxed")
    backend: Any = get_backend(spec.native_backend)
    with backend.open(spec, threads=1) as session:
        record = deployed_record(exact, session, images)
    states = inference_states(exact, images) * exact.unit
    return {
        "accuracy": float((record.predictions == labels.numpy()).mean()),
        "integer": asdict(fidelity(exact, record, images)),
        "integer states that differ": int((states != record.output_states).sum()),
        "integer labels that differ": int((states.argmax(axis=1) != record.predictions).sum()),
        "relaxed": asdict(fidelity(relaxed, record, images)),
    }


def cost(spec: Network, images: Tensor, labels: Tensor) -> dict[str, float]:
    """The shortest of some forward and backward passes, seconds."""
    seconds = {}
    for mode in ("integer", "relaxed"):
        twin, times = make_twin(spec, forward=mode), []
        for _ in range(REPEATS):
            start = time.perf_counter()
            margin_gradient(twin, images[:TIMED], labels[:TIMED])
            times.append(time.perf_counter() - start)
        seconds[mode] = min(times)
    return seconds


def peak_mib(spec: Network, images: Tensor, labels: Tensor, every: int) -> float:
    """The memory that one pass of MEMORY / steps images, repeated, adds to a fresh process, MiB."""
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"  # glibc then returns what is freed; else its heap is measured
    chosen = torch.arange(MEMORY // make_twin(spec).inference_steps) % len(images)
    images, labels = images[chosen], labels[chosen]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return float(pool.apply(_peak, (spec, images.numpy(), labels.numpy(), every)))


def _peak(spec: Network, images: np.ndarray, labels: np.ndarray, every: int) -> float:
    torch.set_num_threads(1)
    twin = make_twin(spec, Surrogate("atan"), checkpoint_steps=every, steps=4 * make_twin(spec).inference_steps)
    pixels, classes = torch.tensor(images), torch.tensor(labels)
    margin_gradient(twin, pixels[:1], classes[:1])
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew (man 5 proc)
    before = _status("VmRSS")
    margin_gradient(twin, pixels, classes)
    return (_status("VmHWM") - before) / 1024


def _status(key: str) -> int:
    """The figure `key` of this process, KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


def measure(name: str, seed: int, count: int, eps: float) -> dict[str, Any]:
    """All figures of one network."""
    data, choices = NETWORKS[name]
    dataset = load_dataset(data, seed)
    spec = trained(dataset, seed, choices)
    images = torch.tensor(dataset.x_test[:count].astype(np.float32))
    images = images / 255.0 if dataset.x_test.dtype == np.uint8 else images
    labels = torch.tensor(dataset.y_test[:count].astype(np.int64))
    adversarial = torch.cat([attacked(make_twin(spec), x, y, eps) for x, y in _parts(images, labels)])
    every = round(make_twin(spec).inference_steps ** 0.5) * 2
    return {
        "network": name,
        "n": len(images),
        "clean": agreement(spec, images, labels),
        "attacked": agreement(spec, adversarial, labels),
        f"forward and backward of {TIMED} images, s": cost(spec, images, labels),
        "peak memory, atan, 4 times the steps, MiB": {
            "whole": peak_mib(spec, images, labels, 0),
            f"checkpoint every {every}": peak_mib(spec, images, labels, every),
        },
    }


def _parts(images: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    return list(zip(torch.split(images, TIMED), torch.split(labels, TIMED), strict=True))


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "twin_fidelity", seed=0)
    arguments.add_argument("--networks", default=",".join(NETWORKS))
    arguments.add_argument("--images", type=int, default=1000, help="test images, or all if there are fewer")
    arguments.add_argument("--eps", type=float, default=0.1)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in options.networks.split(","):
        rows.append(measure(name, options.seed, options.images, options.eps))
        print(rows[-1])
    question = {"kind": "measured", "eps": options.eps, "seed": options.seed, "attack steps": ATTACK_STEPS}
    save(options.out, {**question, "rows": rows})


if __name__ == "__main__":
    main()
