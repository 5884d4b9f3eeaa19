"""Do recordings that guide a hidden layer make a network more like them, and more robust? Against controls, paired.

    python -m benchmarks.guidance --part choices     weights of the guide, on validation images of four other seeds
    python -m benchmarks.guidance [--seeds 10]       the rows, each attacked with the suite "quick"

Recordings are made up: the 40 hidden units of a perceptron that was trained on its own PGD-10 images (linf ADVERSARY),
on the training images, with Gaussian noise of half their deviation. Rows: no guide; these recordings, by alignment; the
same shuffled among images; white noise; and those of a perceptron trained on images as they are. All else is equal:
weights at the start, order, rates, batches. Alignment: debiased, of the hidden layer's free states with the units of
the perceptron that is robust, without noise, on the test images, which nothing learned from. Robust: share of the first
IMAGES test images that no attack of the suite changed, scored on the deployed integers.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from scipy import stats

from benchmarks.tools.results_file import earlier, merge, parser
from neuro.artifact.run_folder import Artifact
from neuro.base.arrays import Array, Reals
from neuro.data.sets import Dataset, load_dataset, split_validation
from sim.backends.protocol import get_backend
from sim.brain.similarity import debiased_cka
from sim.face.run import Run
from sim.robustness.attacks.threats import Threat
from sim.robustness.defences.baselines import Recipe, adversarial_recipe, real_images, train_baseline
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep

ADVERSARY, UNITS, TEACHER_EPOCHS, NOISE = 0.1, 40, 20, 0.5
EPS, IMAGES, SUITE = (0.1,), 100, "quick"
BATCH, EPOCHS, RATE, SHARE = 32, 12, 0.7, 0.125
FIRST_OF_CHOICES = 100  # seeds of the choices begin here
TRIED = (0.1, 0.3, 1.0, 3.0)
WEIGHTS = {"none": (0.0,), "cka": TRIED, "readout": TRIED, "pairs": TRIED}
CHOSEN = {"cka": 0.3, "readout": 1.0, "pairs": 3.0}  # the largest that costs at most half a point there
ROWS: dict[str, tuple[str, dict[str, Any]]] = {  # whose recordings, and how they guide
    "none": ("robust", {"guide_control": "none"}),
    "cka": ("robust", {}),
    "cka, shuffled": ("robust", {"guide_control": "shuffled"}),
    "cka, random": ("robust", {"guide_control": "random"}),
    "cka, not robust": ("plain", {}),
}


class Teacher:
    """A perceptron, and what its hidden units answer. kind: "robust" or "plain"."""

    def __init__(self, kind: str, dataset: Dataset, seed: int, folder: Path) -> None:
        base = Recipe(epochs=TEACHER_EPOCHS)
        recipe = adversarial_recipe(Threat("linf", ADVERSARY), 10, base) if kind == "robust" else base
        self.model = train_baseline("perceptron", dataset, (UNITS,), seed, recipe).model
        self.path = folder / f"{kind}-{seed}.npz"
        clean = self.units(dataset.x_train)
        noise = np.random.default_rng([seed, 0x7EAC]).standard_normal(clean.shape) * clean.std(axis=0) * NOISE
        np.savez(self.path, responses=clean + noise, stimuli=dataset.x_train)

    def units(self, images: Array) -> Reals:
        """Its hidden units for images, of shape [n, UNITS], without noise."""
        assert isinstance(self.model, torch.nn.Sequential)
        with torch.no_grad():
            hidden: Reals = self.model[:3](real_images(images)).numpy().astype(np.float64)
        return hidden


def config_of(path: Path, hidden: tuple[int, ...], seed: int, **more: Any) -> TrainConfig:
    """A training by these recordings; what is not given is the same for all rows."""
    config = TrainConfig(
        hidden=hidden, seed=seed, batch_size=BATCH, epochs=EPOCHS, learning_rate=RATE, output_share=SHARE, refit=False,
        threads=1, guide=str(path), **more,
    )  # fmt: skip
    return replace(config, guide_weight=more.get("guide_weight", CHOSEN[str(config.guide_loss)]))


def aligned(artifact: Artifact, images: Array, wanted: Reals) -> float:
    """Debiased alignment of the hidden layer's free states with `wanted`."""
    spec = artifact.spec
    with get_backend("events").open(spec, threads=1) as session:
        states = session.run(spec.encoder.encode(images), keep_states=True).states
    assert states is not None
    return debiased_cka(states["hidden1"][:, 0].astype(np.float64), wanted)


def attacked(artifact: Artifact, dataset: Dataset) -> dict[str, Any]:
    """What the suite leaves."""
    told = Run(artifact, None, dataset).attack(SUITE, eps=EPS, images=IMAGES, workers=1, progress=False).to_json()
    return {key: told[key] for key in ("clean", "robust", "verdict")}


def row_of(dataset: Dataset, teacher: Teacher, truth: Teacher, config: TrainConfig) -> dict[str, Any]:
    """Train, and measure. truth: with whom alignment is measured."""
    artifact = train_ep(dataset, config, None).artifact
    return {
        "test": artifact.manifest["results"]["test"],
        "spikes_per_inference": artifact.manifest["results"]["spikes_per_inference"],
        "cka": aligned(artifact, dataset.x_test, truth.units(dataset.x_test)),
        "cka_own": aligned(artifact, dataset.x_test, teacher.units(dataset.x_test)),
        **attacked(artifact, dataset),
    }


def choices(data: str, hidden: tuple[int, ...], seeds: int, losses: list[str]) -> dict[str, Any]:
    """Validation accuracy and alignment by cost and weight, means over seeds that no row uses."""
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for seed in range(FIRST_OF_CHOICES, FIRST_OF_CHOICES + seeds):
        dataset = load_dataset(data, seed)
        held_out = dataset.x_train[split_validation(dataset.y_train, seed).validation]
        with tempfile.TemporaryDirectory() as name:
            teacher = Teacher("robust", dataset, seed, Path(name))
            for loss, weight in [(each, weight) for each in losses for weight in WEIGHTS[each]]:
                more = {"guide_loss": "cka" if loss == "none" else loss, "guide_weight": weight}
                artifact = train_ep(dataset, config_of(teacher.path, hidden, seed, **more), None).artifact
                val = artifact.manifest["results"]["val"]
                pair = (val["n_correct"] / val["n"], aligned(artifact, held_out, teacher.units(held_out)))
                found.setdefault(loss, {}).setdefault(f"{weight:g}", []).append(pair)
                print(f"seed {seed}, {loss} {weight:g}: {pair[0]:.3f}, alignment {pair[1]:.3f}", flush=True)
    return {loss: {weight: _means(pairs) for weight, pairs in each.items()} for loss, each in found.items()}


def _means(pairs: list[tuple[float, float]]) -> dict[str, float]:
    val_accuracy, cka = np.mean(pairs, axis=0)
    return {"val_accuracy": float(val_accuracy), "cka": float(cka)}


def paired(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By row and measure: the mean difference to the row "none" of the same seed, and 95 % of Student's t."""
    found: dict[str, dict[str, Any]] = {}
    for name in [name for name in rows if name != "none"]:
        seeds = [seed for seed in rows[name] if seed in rows["none"]]
        measured = [[_measured(rows[row][seed]) for seed in seeds] for row in (name, "none")]
        for measure in measured[0][0] if len(seeds) > 1 else ():
            gaps = [own[measure] - other[measure] for own, other in zip(*measured, strict=True)]
            reach = float(stats.t.ppf(0.975, len(gaps) - 1)) * stdev(gaps) / math.sqrt(len(gaps))
            middle = mean(gaps)
            found.setdefault(name, {})[measure] = {
                "mean": middle, "low": middle - reach, "high": middle + reach, "seeds": len(gaps)
            }  # fmt: skip
    return found


def _measured(row: dict[str, Any]) -> dict[str, float]:
    robust = {f"robust {eps}": float(value) for eps, value in row["robust"].items()}
    return {"accuracy": row["test"]["n_correct"] / row["test"]["n"], "cka": row["cka"], **robust}


def rows(data: str, hidden: tuple[int, ...], seeds: int, out: Path, question: dict[str, Any]) -> None:
    """Fill in what is missing of every seed and row."""
    found: dict[str, dict[str, Any]] = earlier(out, question, "rows")
    for seed in range(seeds):
        missing = [name for name in ROWS if str(seed) not in found.get(name, {})]
        if not missing:
            continue
        dataset = load_dataset(data, seed)
        with tempfile.TemporaryDirectory() as name:
            kinds = {"robust"} | {ROWS[row][0] for row in missing}
            teachers = {kind: Teacher(kind, dataset, seed, Path(name)) for kind in sorted(kinds)}
            for row in missing:
                kind, more = ROWS[row]
                config = config_of(teachers[kind].path, hidden, seed, **more)
                answer = row_of(dataset, teachers[kind], teachers["robust"], config)
                found.setdefault(row, {})[str(seed)] = answer
                print(f"seed {seed}, {row}: alignment {answer['cka']:.3f}, robust {answer['robust']}", flush=True)
                merge(out, {**question, "rows": found, "paired": paired(found)})


def main() -> None:
    """Command line."""
    arguments: argparse.ArgumentParser = parser(__doc__ or "", "guidance", data="digits", seeds=10, width=64)
    arguments.add_argument("--part", choices=("rows", "choices"), default="rows")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    question = {
        "data": options.data, "hidden": [options.width], "epochs": EPOCHS, "batch_size": BATCH, "weights": CHOSEN,
        "eps": list(EPS), "images": IMAGES, "suite": SUITE, "units": UNITS, "noise": NOISE, "adversary": ADVERSARY,
    }  # fmt: skip
    if options.part == "choices":
        there = earlier(options.out, {"data": options.data}, "choices")
        missing = [loss for loss in WEIGHTS if loss not in there]
        made = choices(options.data, (options.width,), options.seeds, missing)
        merge(options.out, {"data": options.data, "choices": {**there, **made}})
    else:
        rows(options.data, (options.width,), options.seeds, options.out, question)


if __name__ == "__main__":
    main()
