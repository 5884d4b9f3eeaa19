"""Sparse coders made of stock processes against the exact solution of the Lasso.

    python -m benchmarks.stock_lca

8x8 patches of unit length (digits: the images themselves; MNIST: patches at random places with at least four pixels
above 0.1), 128 atoms of unit length learned on the training images, codes >= 0, threshold 0.1, 100 test patches a seed.
"mnist-centred": the mean of each patch taken off, 64 atoms of both signs, threshold 0.08.
For every coder and number of steps: the gap of the objective to scikit-learn's Lasso (of the same real dictionary, so
that all rounding of weights counts), messages per patch, overlap of the active sets, and the share of codes that the
coder itself proves within 10 % of the least objective. Everything runs on the chip's integers, those of Lava
(`benchmarks.lava_equality`). The designs were chosen on patches of training images held out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.progress import track
from sklearn.linear_model import Lasso

from benchmarks.tools.results_file import parser, save
from neuro.base.arrays import Reals
from neuro.coding.coder import StockCoder
from neuro.coding.dictionary import unit_norm
from neuro.coding.graded_relu import graded_coder
from neuro.coding.lif import SpikingDesign, spiking_coder
from neuro.coding.problem import SparseProblem, support_overlap
from neuro.data.sets import load_dataset
from sim.coding.stock import code

SIDE = 8
N_TRAIN, N_TEST = 10_000, 100
BRIGHT, N_BRIGHT = 0.1, 4  # a patch needs so many pixels above
STEPS = (16, 32, 64, 128, 256, 512, 1024)
DESIGNS = {
    "spiking A4 tau8 (default)": SpikingDesign(),
    "spiking A4 tau8, overshoot not returned": SpikingDesign(overshoot=0.0),
    "spiking A4 tau8, last 3/4 counted": SpikingDesign(skipped_share=0.25),
    "spiking A2 tau8": SpikingDesign(2.0),
    "spiking A4 tau4": SpikingDesign(tau_steps=4),
    "spiking A8 tau8": SpikingDesign(8.0),
    "spiking A8 tau16": SpikingDesign(8.0, 16),
    "spiking A16 tau32": SpikingDesign(16.0, 32),
    "spiking, one mixed Dense": SpikingDesign(lateral="mixed"),
    "spiking, pixels send 7 bits": SpikingDesign(input_bits=7),
    "spiking, pixels send binary spikes": SpikingDesign(input_bits=0),
}
GRADED = {
    "graded, momentum 7/8 (default)": (0.875, 2.0),
    "graded ISTA": (0.0, 1.0),
    "graded ISTA, step 1.9": (0.0, 1.9),
}


@dataclass(frozen=True)
class Task:
    """What is coded: patches of a data set, how many atoms, the sparsity threshold, whether means are taken off."""

    data: str
    n_atoms: int = 128
    threshold: float = 0.1
    centred: bool = False


TASKS = {"digits": Task("digits"), "mnist": Task("mnist"), "mnist-centred": Task("mnist", 64, 0.08, centred=True)}


@dataclass(frozen=True, eq=False)
class Case:
    """A dictionary, test patches of shape [N_TEST, 64], and their exact codes and objectives."""

    problem: SparseProblem
    patches: Reals
    exact: Reals
    least: Reals


def draw_patches(images: Reals, count: int, generator: np.random.Generator) -> Reals:
    """Patches, of shape [count, 64], drawn from images of shape [n, h, w] in 0..1."""
    patches: list[Reals] = []
    while len(patches) < count:
        image = images[generator.integers(len(images))]
        row, column = (generator.integers(length - SIDE + 1) for length in image.shape)
        patch = image[row : row + SIDE, column : column + SIDE].reshape(-1)
        if (patch > BRIGHT).sum() >= N_BRIGHT:
            patches.append(patch)
    return np.stack(patches)


def as_patches(task: Task, images: Any, count: int, generator: np.random.Generator) -> Reals:
    """Patches of unit length; digits are patches as they are."""
    scaled = images.astype(np.float64) / (255 if images.dtype == np.uint8 else 1)
    if task.data == "digits":
        patches = scaled.reshape(len(scaled), -1)[generator.permutation(len(scaled))[:count]]
    else:
        patches = draw_patches(scaled, count, generator)
    if task.centred:
        patches = patches - patches.mean(axis=1, keepdims=True)
    return np.asarray(patches / np.linalg.norm(patches, axis=1, keepdims=True))


def float_codes(problem: SparseProblem, signals: Reals, steps: int) -> Reals:
    """Codes of shape [B, K] after so many steps of accelerated projected gradient in floats."""
    gram, drive = problem.gram, signals @ problem.dictionary - problem.sparsity_threshold
    rate = 1 / np.linalg.norm(gram, 2)
    codes = ahead = np.zeros_like(drive)
    for step in range(steps):
        new = np.maximum(ahead - rate * (ahead @ gram - drive), 0.0)
        codes, ahead = new, new + step / (step + 3) * (new - codes)
    return codes


def learn_dictionary(task: Task, patches: Reals, seed: int, epochs: int = 6, batch: int = 100) -> Reals:
    """Atoms of unit length, of shape [N, n_atoms], by residual x activity; D >= 0 unless patches are centred.

    dD = 1/2 (x - D a) a^T / |a|^2, |a|^2 by atom over a batch, then unit length.
    """
    generator = np.random.default_rng([seed, 0xD1C7])
    chosen = generator.choice(len(patches), task.n_atoms, replace=len(patches) < task.n_atoms)
    atoms = unit_norm(patches[chosen].T + 0.01 * generator.random((patches.shape[1], task.n_atoms)))
    lowest = -np.inf if task.centred else 1e-6
    for _ in range(epochs):
        for part in np.array_split(generator.permutation(len(patches)), max(1, len(patches) // batch)):
            codes = float_codes(SparseProblem(atoms, task.threshold), patches[part], 60)
            residual = patches[part] - codes @ atoms.T
            change = 0.5 * residual.T @ codes / (np.square(codes).sum(axis=0) + 1e-3)
            atoms = unit_norm(np.maximum(atoms + change, lowest))
    return atoms


def make_case(task: Task, seed: int, n_train: int = N_TRAIN, n_test: int = N_TEST) -> Case:
    """Learn a dictionary on training images and solve the Lasso for test patches."""
    dataset, generator = load_dataset(task.data, seed), np.random.default_rng([seed, 0x9A7C])
    dictionary = learn_dictionary(task, as_patches(task, dataset.x_train, n_train, generator), seed)
    patches = as_patches(task, dataset.x_test, n_test, generator)
    problem = SparseProblem(dictionary, task.threshold)
    lasso = Lasso(task.threshold / len(dictionary), positive=True, fit_intercept=False, max_iter=100_000, tol=1e-9)
    exact = np.stack([lasso.fit(dictionary, patch).coef_ for patch in patches])
    return Case(problem, patches, exact, problem.objective(patches, exact))


def make_coders(case: Case) -> dict[str, StockCoder]:
    """All coders that are compared; binary spikes only for patches >= 0."""
    dictionary, threshold = case.problem.dictionary, case.problem.sparsity_threshold
    coders: dict[str, StockCoder] = {
        name: spiking_coder(dictionary, threshold, design)
        for name, design in DESIGNS.items()
        if design.input_bits != 0 or case.patches.min() >= 0
    }
    for name, (momentum, step_scale) in GRADED.items():
        coders[name] = graded_coder(dictionary, threshold, momentum=momentum, step_scale=step_scale)
    return coders


def measure(case: Case, coder: StockCoder, steps: int) -> dict[str, Any]:
    """The figures of one coder after so many steps."""
    start = time.perf_counter()
    record = code(coder, case.patches, steps)
    seconds = time.perf_counter() - start
    gaps = (record.objective - case.least) / case.least
    return {
        "steps": steps,
        "gap_mean": float(gaps.mean()),
        "gap_median": float(np.median(gaps)),
        "gap_max": float(gaps.max()),
        "messages": float(record.n_spikes.mean()),
        "overlap": float(support_overlap(record.codes, case.exact).mean()),
        "converged": float(record.converged.mean()),
        "chip_ms_per_patch": 1000 * seconds / len(case.patches),
    }


def report(name: str, coder: str, rows: list[dict[str, Any]]) -> None:
    """Print one coder: mean gap and messages by steps."""
    cells = " | ".join(f"{row['steps']}: {row['gap_mean']:.2%} {row['messages']:.0f}" for row in rows)
    print(f"{name}, {coder:40s} gap, messages at {cells}", flush=True)


def average(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean over seeds of every figure, the worst of gap_max."""
    figures: dict[str, Any] = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    return {**figures, "steps": rows[0]["steps"], "gap_max": max(row["gap_max"] for row in rows)}


def ask(name: str, seeds: int, steps: tuple[int, ...], n_train: int) -> dict[str, Any]:
    """The figures of all coders on one task, over seeds."""
    task = TASKS[name]
    cases = [make_case(task, seed, n_train) for seed in track(range(seeds), f"{name}: dictionaries and Lasso")]
    coders = [make_coders(case) for case in cases]
    rows = {}
    for coder in coders[0]:
        measure(cases[0], coders[0][coder], steps[0])  # compiled before it is timed
        pairs = list(zip(cases, coders, strict=True))
        rows[coder] = [average([measure(case, mine[coder], n) for case, mine in pairs]) for n in steps]
        report(name, coder, rows[coder])
    gram = [case.problem.gram for case in cases]
    pairs_of_atoms = task.n_atoms * (task.n_atoms - 1)
    return {
        "atoms": task.n_atoms,
        "sparsity_threshold": task.threshold,
        "least objective": float(np.mean([case.least.mean() for case in cases])),
        "active atoms": float(np.mean([(case.exact > 0).sum(axis=1).mean() for case in cases])),
        "norm of D^T D": float(np.mean([np.linalg.norm(g, 2) for g in gram])),
        "mean product of two atoms": float(np.mean([(g.sum() - task.n_atoms) / pairs_of_atoms for g in gram])),
        "coders": rows,
    }


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "stock_lca", seeds=3)
    arguments.add_argument("--data", default=",".join(TASKS), help="of " + ", ".join(TASKS))
    arguments.add_argument("--patches", type=int, default=N_TRAIN, help="training patches")
    arguments.add_argument("--steps", default=",".join(map(str, STEPS)))
    options = arguments.parse_args()
    steps = tuple(int(n) for n in options.steps.split(","))
    content: dict[str, Any] = {
        "kind": "measured",
        "seeds": options.seeds,
        "test patches a seed": N_TEST,
    }
    for name in options.data.split(","):
        content[name] = ask(name, options.seeds, steps, options.patches)
    save(options.out, content)


if __name__ == "__main__":
    main()
