"""The perceptron of the same shape as a finished run: what it is compared with, and what attacks are transferred from.

Trained once for a run, with its seed, on its training images; kept in its folder as plain arrays. What errors are
compared with has the learning rate that is best on validation: a weak baseline would flatter the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from neuro.artifact.run_folder import Artifact
from neuro.base.files import array_bytes, parse_arrays, read_bytes, write_atomically
from neuro.data.sets import Dataset
from neuro.spec.layers import parse_layers
from sim.robustness.defences.baselines import SMALL, Recipe, Trained, build_baseline, train_baseline

PERCEPTRON = "perceptron"
KEPT, KEPT_TUNED = (Path(folder) / f"{PERCEPTRON}.npz" for folder in ("attacks", "perturbations"))  # within a run
RATES, RATES_IF_LARGE = (1e-3, 2e-3, 5e-3, 1e-2), (2e-3,)  # tried; a large training set takes too long for several


def perceptron_of(run: Path, artifact: Artifact, dataset: Dataset, tuned: bool = False) -> torch.nn.Module:
    """The perceptron, ready to be asked; images [B, *shape] in 0..1 -> scores [B, K].

    tuned: by `train_tuned`, for a comparison of errors.
    """
    path, hidden = run / (KEPT_TUNED if tuned else KEPT), sizes_of(artifact.manifest["config"])
    if path.is_file():
        model = build_baseline(PERCEPTRON, dataset.image_shape, hidden, dataset.n_classes)
        arrays = parse_arrays(read_bytes(path), path)
        model.load_state_dict({name: torch.tensor(values) for name, values in arrays.items()})
        return model.eval()
    train = train_tuned if tuned else partial(train_baseline, PERCEPTRON)
    trained = train(dataset, hidden, artifact.manifest["seed"]).model.eval()
    write_atomically(path, array_bytes({name: values.numpy() for name, values in trained.state_dict().items()}))
    return trained


def train_tuned(dataset: Dataset, hidden: tuple[int, ...], seed: int) -> Trained:
    """A trained perceptron of the learning rate, of RATES, and the epoch that are best on validation."""
    rates = RATES if len(dataset.y_train) < SMALL else RATES_IF_LARGE
    tried = [train_baseline(PERCEPTRON, dataset, hidden, seed, Recipe(learning_rate=rate)) for rate in rates]
    return max(tried, key=lambda trained: trained.val_accuracy.n_correct)


def sizes_of(config: Mapping[str, Any]) -> tuple[int, ...]:
    """The hidden sizes of the perceptron; of maps, the number of features."""
    if not config.get("layers"):
        return tuple(config["hidden"])
    return tuple(layer if isinstance(layer, int) else layer.features for layer in parse_layers(config["layers"]))
