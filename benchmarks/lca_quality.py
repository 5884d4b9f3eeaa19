"""How good are LCA codes of MNIST: near the Lasso solution, sparse, and easy to read out?

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.lca_quality [--seeds 1]

Two coders with dictionaries learned on training images by residual x activity (`sim.coding.float_learner`): whole
digits (256 atoms; the mean training image is subtracted) and 8 x 8 patches with stride 4 (64 atoms; every patch loses
its own mean). Reports the gap of the objective to scikit-learn's non-negative Lasso with the same threshold, on 200
test digits and on 200 test patches that are not blank, for codes that have converged and after the fixed number of
steps that all images get; the overlap (Jaccard) of the active units; active units per image; how fast dictionaries are
learned; and the accuracy of a linear readout (multinomial logistic regression; patches: the raw codes of all 36
positions), whose regularisation is chosen on validation images. The test set is read once.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, LogisticRegression
from torch import Tensor

from benchmarks.tools.results_file import parser, save
from neuro.base.arrays import Array, Float32, Int32
from neuro.base.convolution import Convolution, square
from neuro.base.metrics import Accuracy, accuracy
from neuro.coding.dictionary import check_dictionary, patches_of
from neuro.coding.problem import support_overlap
from neuro.data.sets import Dataset, Split, load_dataset, split_validation
from sim.coding.float_fast import encode_fast
from sim.coding.float_learner import DictionaryConfig, learn_dictionary
from sim.oracles.coding import Dynamics, Solution, encode, objective
from sim.oracles.operators import DenseOperator

SHAPE = (28, 28)
COMPARED = 200  # signals compared with the Lasso
INVERSE_PENALTIES = (0.01, 0.03, 0.1, 0.3)  # of the readout, judged on validation
READOUT_STEPS = 200
CONVERGED = {"tolerance": 1e-3, "max_steps": 5000}


@dataclass(frozen=True)
class Task:
    """A coder. patches: what it reads; whole images without. n_learned: signals its dictionary is learned from."""

    config: DictionaryConfig
    patches: Convolution | None = None
    n_learned: int = 60_000

    def prepare(self, images: Float32, mean: Float32) -> Float32:
        """Signals of shape [n, positions, N] of flat images of shape [n, 784]."""
        if self.patches is None:
            return (images - mean)[:, None]
        patches = patches_of(images, self.patches, SHAPE)
        return np.asarray(patches - patches.mean(axis=-1, keepdims=True))


TASKS = {  # thresholds and rates were chosen on validation images
    "digits": Task(DictionaryConfig(256, Dynamics(0.08, 20.0, max_steps=100, tolerance=None), 5.0, epochs=2)),
    "patches": Task(
        DictionaryConfig(64, Dynamics(0.2, 20.0, max_steps=100, tolerance=None), 5.0, epochs=2),
        square(SHAPE, 8, 4, same=False),
    ),
}


def flat(images: Array) -> Float32:
    """Pixels in 0..1, of shape [n, 784]."""
    return np.asarray(images.reshape(len(images), -1) / np.float32(255), dtype=np.float32)


def not_blank(signals: Float32, task: Task) -> Float32:
    """The signals of [n, N] that are larger than the threshold: others have no code."""
    return signals[np.linalg.norm(signals, axis=1) > task.config.dynamics.sparsity_threshold]


def learn(task: Task, images: Float32, mean: Float32, seed: int) -> tuple[DenseOperator, dict[str, Any]]:
    """The dictionary learned on `images`, and figures."""
    order = np.random.default_rng([seed, 1]).permutation(len(images))[: task.n_learned]
    signals = not_blank(task.prepare(images[order], mean).reshape(-1, task.prepare(images[:1], mean).shape[-1]), task)
    signals = np.random.default_rng([seed, 2]).permutation(signals)[: task.n_learned]
    learn_dictionary(signals[:64], replace(task.config, epochs=1), seed)  # compiles, once
    start = time.process_time()
    learned = learn_dictionary(signals, task.config, seed)
    elapsed = time.process_time() - start
    atoms = check_dictionary(learned.dictionary, task.config.dynamics.tau_steps)
    return DenseOperator(learned.dictionary, torch.float32), {
        "signals_per_cpu_s": task.config.epochs * len(signals) / elapsed,
        "n_signals": len(signals),
        "coherence": atoms.coherence,
        "gram_norm": atoms.gram_norm,
        "n_revived": learned.n_revived,
    }


def lasso_codes(operator: DenseOperator, signals: Tensor, threshold: float) -> Tensor:
    """The non-negative codes of scikit-learn, of shape [B, K]; it divides the error by the number of values."""
    dictionary = operator.dictionary.double().numpy()
    solver = Lasso(threshold / len(dictionary), fit_intercept=False, positive=True, tol=1e-7, max_iter=100_000)
    return torch.tensor(np.stack([solver.fit(dictionary, signal).coef_ for signal in signals.double().numpy()]))


def gap(operator: DenseOperator, signals: Tensor, found: Solution, best: Tensor, dynamics: Dynamics) -> dict[str, Any]:
    """The distances of codes from the best ones."""
    exact = DenseOperator(operator.dictionary)
    energy, least = (objective(exact, signals.double(), codes, dynamics) for codes in (found.codes.double(), best))
    relative = (energy / least - 1).numpy()
    return {
        "median_gap": float(np.median(relative)),
        "largest_gap": float(relative.max()),
        "median_overlap": float(np.median(support_overlap(found.codes.numpy(), best.numpy()))),
        "mean_active": float(found.n_active.double().mean()),
        "lasso_active": float((best != 0).sum(1).double().mean()),
        "mean_steps": float(found.n_steps.double().mean()),
        "residual": float(found.residual.double().mean()),
        "n": len(signals),
    }


def against_lasso(operator: DenseOperator, signals: Float32, dynamics: Dynamics) -> dict[str, Any]:
    """Gaps for codes that have converged, and after the steps that all images get, plain and fast."""
    chosen = torch.from_numpy(signals)
    best = lasso_codes(operator, chosen, dynamics.sparsity_threshold)
    settled = replace(dynamics, **CONVERGED)
    exact = DenseOperator(operator.dictionary)
    return {
        "converged": gap(operator, chosen, encode(exact, chosen.double(), settled), best, dynamics),
        "converged_fast": gap(operator, chosen, encode_fast(operator, chosen, settled), best, dynamics),
        "fixed_steps": gap(operator, chosen, encode_fast(operator, chosen, dynamics), best, dynamics),
    }


def codes_of(task: Task, operator: DenseOperator, images: Float32, mean: Float32) -> tuple[Float32, float]:
    """The codes of all positions, of shape [n, positions * K], and the coder's CPU seconds."""
    codes, start = [], time.process_time()
    for first in range(0, len(images), 1000):
        signals = task.prepare(images[first : first + 1000], mean)
        solution = encode_fast(operator, torch.from_numpy(signals.reshape(-1, signals.shape[-1])), task.config.dynamics)
        codes.append(solution.codes.numpy().reshape(len(signals), -1))
    return np.concatenate(codes), time.process_time() - start


def fitted(codes: Float32, labels: Int32, inverse_penalty: float) -> LogisticRegression:
    """The readout after at most READOUT_STEPS steps (an early end is one more form of regularisation)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=inverse_penalty, max_iter=READOUT_STEPS, tol=1e-4).fit(codes, labels)


def readout(
    codes: Float32, test_codes: Float32, dataset: Dataset, split: Split
) -> tuple[Accuracy, dict[float, float], float]:
    """The test accuracy with the best validated penalty, all validation accuracies, and that penalty."""
    labels, validation, readouts = dataset.y_train, {}, {}
    for penalty in INVERSE_PENALTIES:
        readouts[penalty] = fitted(codes[split.train], labels[split.train], penalty)
        validation[penalty] = float(readouts[penalty].score(codes[split.validation], labels[split.validation]))
    best = max(validation, key=lambda penalty: validation[penalty])
    return accuracy(readouts[best].predict(test_codes), dataset.y_test), validation, best


def measure(name: str, dataset: Dataset, seed: int) -> dict[str, Any]:
    """Learn, code and read out; return all figures."""
    task, split = TASKS[name], split_validation(dataset.y_train, seed)
    images, test_images = flat(dataset.x_train), flat(dataset.x_test)
    mean = images[split.train].mean(axis=0)
    operator, learning = learn(task, images[split.train], mean, seed)
    test_signals = task.prepare(test_images[: 5 * COMPARED], mean)
    candidates = not_blank(test_signals.reshape(-1, test_signals.shape[-1]), task)
    compared = np.random.default_rng([seed, 3]).permutation(candidates)[:COMPARED]
    codes, coding_s = codes_of(task, operator, images, mean)
    test_codes, _ = codes_of(task, operator, test_images, mean)
    test, validation, best = readout(codes, test_codes, dataset, split)
    return {
        "seed": seed,
        "learning": learning,
        "lasso": against_lasso(operator, compared, task.config.dynamics),
        "images_per_cpu_s": len(images) / coding_s,
        "active_per_image": float((test_codes != 0).sum(axis=1).mean()),
        "units_per_image": test_codes.shape[1],
        "readout": {"test": test.value, "interval": test.interval, "n_test": test.n, "validation": validation,
                    "inverse_penalty": best},
    }  # fmt: skip


def report(name: str, row: dict[str, Any]) -> None:
    """Print the figures of one coder."""
    for kind, figures in row["lasso"].items():
        print(f"{name}, seed {row['seed']}, {kind}: median gap {100 * figures['median_gap']:.3f} %, overlap "
              f"{figures['median_overlap']:.3f}, active {figures['mean_active']:.1f} (Lasso "
              f"{figures['lasso_active']:.1f}), {figures['mean_steps']:.0f} steps, {figures['n']} signals")  # fmt: skip
    print(f"{name}: readout {row['readout']['test']:.4f} ({row['readout']['n_test']} test images), "
          f"{row['active_per_image']:.1f} active of {row['units_per_image']}; learns "
          f"{row['learning']['signals_per_cpu_s']:,.0f} signals/s, codes {row['images_per_cpu_s']:,.0f} images/s",
          flush=True)  # fmt: skip


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "lca_quality", data="mnist", seeds=1)
    arguments.add_argument("--tasks", default=",".join(TASKS))
    options = arguments.parse_args()
    torch.set_num_threads(1)
    dataset = load_dataset(options.data)
    content: dict[str, Any] = {"kind": "measured", "data": dataset.name}
    for name in options.tasks.split(","):
        task, rows = TASKS[name], []
        for seed in range(options.seeds):
            rows.append(measure(name, dataset, seed))
            report(name, rows[-1])
        dynamics = task.config.dynamics
        content[name] = {
            "n_atoms": task.config.n_atoms,
            "sparsity_threshold": dynamics.sparsity_threshold,
            "tau_steps": dynamics.tau_steps,
            "n_steps": dynamics.max_steps,
            "rows": rows,
        }
    save(options.out, content)


if __name__ == "__main__":
    main()
