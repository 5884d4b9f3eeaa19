"""What the gradient of the fixed point saves, and what it misses: beside the unrolled twin, behind a sparse coder.

    python -m benchmarks.fixed_point [--data mnist] [--images 100] [--runs FOLDER]

The network is that of the row "lca+ep" of `benchmarks.robustness`. CPU time of one gradient of all images, the shortest
of REPEATS; cosine between the two gradients of an image; accuracy on the deployed integers after PGD along each.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.robustness import Makers, Subject
from benchmarks.tools.results_file import of_data, parser, save
from neuro.artifact.run_folder import load_artifact
from neuro.base.metrics import Accuracy
from neuro.data.sets import load_dataset
from sim.robustness.attacks.losses import margin
from sim.robustness.attacks.search import Model
from sim.robustness.attacks.suites import build_attacks
from sim.robustness.attacks.threats import Threat
from sim.robustness.bridge.fixed_point_twin import FixedPointTwin
from sim.robustness.defences.baselines import real_images
from sim.twins.make import make_twin

HIDDEN, SEED, REPEATS, EPS, ATTACK = 256, 0, 3, 0.1, "pgd-20"


def gradient_of(model: Model, images: Tensor, labels: Tensor) -> tuple[Tensor, float]:
    """The gradient of the margin, of the shape of the images, and the CPU seconds it took at best."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        pixels = images.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(margin(model(pixels), labels).sum(), pixels)
        times.append(time.process_time() - start)
    return gradient, min(times)


def compare(twins: dict[str, Model], subject: Subject, images: Tensor, labels: Tensor) -> dict[str, Any]:
    """Cost and strength of every twin, and the cosines between the first two."""
    answer: dict[str, Any] = {}
    gradients = []
    for name, twin in twins.items():
        gradient, cpu_s = gradient_of(twin, images, labels)
        found = build_attacks(ATTACK)[ATTACK](twin, images, labels, Threat("linf", EPS), SEED)
        kept = Accuracy(int((subject.score(found.images.numpy()) == labels.numpy()).sum()), len(labels))
        answer[name] = {"gradient_cpu_s": cpu_s, "accuracy": kept.value, "interval": list(kept.interval)}
        gradients.append(gradient.flatten(1))
        print(name, answer[name], flush=True)
    cosines = torch.cosine_similarity(*gradients).numpy()
    answer["cosine, 5 / 50 / 95 %"] = [float(q) for q in np.quantile(cosines, (0.05, 0.5, 0.95))]
    return answer


def main() -> None:
    """Train the network, unless a folder holds it, and compare."""
    arguments = parser(__doc__ or "", "fixed_point", data="mnist")
    arguments.add_argument("--images", type=int, default=100)
    arguments.add_argument("--runs", type=Path, help="folder of `benchmarks.robustness --runs`")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    dataset = load_dataset(options.data, SEED)
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) if options.runs is None else options.runs / f"seed{SEED}"
        subject = Makers(dataset, HIDDEN, SEED, kept).coder()
        spec = load_artifact(kept / "stack").spec
    images, labels = (
        real_images(dataset.x_test[: options.images]),
        torch.tensor(dataset.y_test[: options.images]).long(),
    )
    twins: dict[str, Model] = {"unrolled": make_twin(spec), "fixed point": FixedPointTwin(spec)}
    answer = compare(twins, subject, images, labels)
    content = {"data": options.data, "seed": SEED, "n": len(images), "kind": "measured", "attack": ATTACK, "eps": EPS}
    save(of_data(options.out, "fixed_point", options.data), {**content, **answer})


if __name__ == "__main__":
    main()
