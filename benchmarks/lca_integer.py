"""Sparse coders as they are deployed: integers that learn, settle and feed a classifier. MNIST.

    python -m benchmarks.lca_integer [--seeds 1] [--tasks digits,patches]

Whole digits (256 atoms) and 8 x 8 kernels with stride 4 (64 atoms), learned by `settle train lca` with its defaults.
Reports the gap of the objective to scikit-learn's Lasso on the deployed integer dictionary (200 validation images,
kernels 40), the overlap of the active units, spikes per image, learning speed in CPU seconds, a linear readout
(multinomial logistic regression, its penalty chosen on validation images, the test set read once) and the test accuracy
of an EP network with 256 hidden neurons behind the coder, both deployed as one network.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lca_quality import readout
from benchmarks.tools.results_file import parser, save
from neuro.artifact.run_folder import load_artifact
from neuro.base.convolution import square
from neuro.coding.dictionary import patches_of
from neuro.data.sets import Dataset, load_dataset, split_validation
from sim.coding.config import LcaConfig
from sim.coding.learner import deployed_design
from sim.coding.measure import measure_quality
from sim.coding.recipe import design_coder, make_learner
from sim.coding.trainer import LcaTrainer
from sim.coding.training import train_lca
from sim.screens.training import CoderScreen, TrainScreen
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep
from sim.training.front_end import load_front_end

TASKS: dict[str, dict[str, Any]] = {"digits": {}, "patches": {"patch": 8, "stride": 4}}
SINGLE, BLANK = 200, 765  # patches compared; darker ones are blank
COMPARED = {"digits": 200, "patches": 40}


def measure(task: str, seed: int, folder: Path) -> dict[str, Any]:
    """Learn a coder and what stands behind it; return all figures."""
    dataset = load_dataset("mnist", seed)
    with CoderScreen() as screen:
        result = train_lca(dataset, LcaConfig(seed=seed, threads=1, **TASKS[task]), folder / "coder", screen)
    artifact, front = load_artifact(folder / "coder"), load_front_end(folder / "coder", dataset)
    spec = front.spec
    split = split_validation(dataset.y_train, seed)
    held = spec.encoder.encode(dataset.x_train[split.validation[: COMPARED[task]]])
    quality = measure_quality(spec, held)
    start = time.process_time()
    codes = front.codes(dataset, 1)
    coding_s = time.process_time() - start
    flat = [part.reshape(len(part), -1) for part in (codes.x_train, codes.x_test)]
    scale = np.float32(1 << front.encoder.activation_bits)
    test, validation, best = readout(flat[0] * scale, flat[1] * scale, dataset, split)
    with TrainScreen() as screen:
        stacked = train_ep(dataset, TrainConfig(seed=seed, threads=1), folder / "stack", screen, front)
    manifest = artifact.manifest["results"]
    return {
        "seed": seed,
        "sparsity_threshold": result.sparsity_threshold,
        "median_gap": quality.gap,
        "median_overlap": quality.support_overlap,
        "n_lasso": quality.n,
        "active": result.active,
        "spikes_per_image": result.spikes_per_image,
        "converged": result.converged,
        "images_learned_per_cpu_s": len(split.train) * len(artifact.manifest["history"]) / manifest["train_cpu_s"],
        "images_coded_per_cpu_s": (len(codes.x_train) + len(codes.x_test)) / coding_s,
        "readout": {"test": test.value, "interval": test.interval, "n_test": test.n, "validation": validation,
                    "inverse_penalty": best},
        "ep_256_behind_it": {"test": stacked.test_accuracy.value, "interval": stacked.test_accuracy.interval,
                             "validation": stacked.val_accuracy.value, "n_test": stacked.test_accuracy.n},
    }  # fmt: skip


def measure_single_patches(seed: int) -> dict[str, Any]:
    """Learn 64 atoms on single 8 x 8 patches of training images; compare 200 patches of others with the Lasso."""
    images = load_dataset("mnist", seed).x_train[:3000]
    windows = patches_of(images, square(images.shape[1:], 8, 4, same=False), images.shape[1:]).reshape(-1, 64)
    windows = windows[windows.sum(axis=1) > BLANK]
    order = np.random.default_rng([seed, 4]).permutation(len(windows))
    train_windows, test_windows = windows[order[SINGLE:]], windows[order[:SINGLE]]
    labels = np.zeros(len(train_windows), dtype=np.int32)
    patches = Dataset("8 x 8 patches", train_windows, labels, test_windows, labels[:SINGLE])
    design = design_coder(patches, LcaConfig(seed=seed, epochs=1), np.arange(len(train_windows)), None)
    learner = make_learner(design, LcaConfig(seed=seed, atoms=64))
    payloads = design.encoder.encode(train_windows)
    LcaTrainer(learner, payloads, 1, True, 1).run()
    codes_seen, _ = learner.observe(payloads[:1000])
    learner.design = deployed_design(design, learner.leak, float(codes_seen.codes.max()))
    return {"seed": seed, **asdict(measure_quality(learner.spec(), design.encoder.encode(test_windows)))}


def main() -> None:
    """Measure and save."""
    arguments = parser(__doc__ or "", "lca_integer", seeds=1)
    arguments.add_argument("--tasks", default="digits,patches,single patches")
    options = arguments.parse_args()
    rows: dict[str, list[dict[str, Any]]] = {}
    for task in options.tasks.split(","):
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory() as folder:
                single = task == "single patches"
                row = measure_single_patches(seed) if single else measure(task, seed, Path(folder))
            rows.setdefault(task, []).append(row)
            print(task, row, flush=True)
            save(options.out, {"tasks": rows})


if __name__ == "__main__":
    main()
