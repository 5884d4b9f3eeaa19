"""The perceptron of the same shape as a finished run: what it is compared with, and what attacks are transferred from.

Trained once for a run, with its seed, on its training images; kept in its folder as plain arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from neuro.artifact.run_folder import Artifact
from neuro.base.files import array_bytes, parse_arrays, read_bytes, write_atomically
from neuro.data.sets import Dataset
from neuro.spec.layers import parse_layers
from sim.robustness.defences.baselines import build_baseline, train_baseline

PERCEPTRON = "perceptron"
KEPT = Path("attacks") / f"{PERCEPTRON}.npz"  # within the folder of a run


def perceptron_of(run: Path, artifact: Artifact, dataset: Dataset) -> torch.nn.Module:
    """The perceptron, ready to be asked; images [B, *shape] in 0..1 -> scores [B, K]."""
    path, hidden = run / KEPT, sizes_of(artifact.manifest["config"])
    if path.is_file():
        model = build_baseline(PERCEPTRON, dataset.image_shape, hidden, dataset.n_classes)
        arrays = parse_arrays(read_bytes(path), path)
        model.load_state_dict({name: torch.tensor(values) for name, values in arrays.items()})
        return model.eval()
    trained = train_baseline(PERCEPTRON, dataset, hidden, artifact.manifest["seed"]).model.eval()
    write_atomically(path, array_bytes({name: values.numpy() for name, values in trained.state_dict().items()}))
    return trained


def sizes_of(config: Mapping[str, Any]) -> tuple[int, ...]:
    """The hidden sizes of the perceptron; of maps, the number of features."""
    if not config.get("layers"):
        return tuple(config["hidden"])
    return tuple(layer if isinstance(layer, int) else layer.features for layer in parse_layers(config["layers"]))
