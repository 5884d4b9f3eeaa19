"""The control of a sparse coder's row: its dictionary, its threshold and its sparsity, but atoms that do not compete.

    code = max(0, x D - threshold), threshold such that as many atoms are active as in the coder's own codes, on average

A perceptron learns from these codes by backpropagation. If it withstands as much as the network behind the coder, it is
thresholds that help, not competition.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from neuro.artifact.run_folder import load_artifact
from neuro.data.sets import Dataset, split_validation
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend
from sim.robustness.defences.baselines import fit, perceptron, real_images
from sim.twins.make import make_twin

MEASURED = 2000  # training images on which the threshold is set
CHUNK = 1000


class ThresholdedAtoms(nn.Module):
    """The drive of the atoms of a coder, less a threshold: what the coder computes before its atoms compete."""

    def __init__(self, coder: NetworkSpec, threshold: float = 0.0) -> None:
        super().__init__()
        self.twin = make_twin(coder, forward="relaxed")
        self.threshold = threshold

    def forward(self, images: Tensor) -> Tensor:
        """Codes of shape [B, K], real units, for images of shape [B, *shape] in 0..1."""
        output = self.twin.spec.output
        drive = self.twin.graph.drive(self.twin.payloads(images))[output] / self.twin.unit
        codes: Tensor = (drive.float() - self.threshold).clamp(min=0.0)
        return codes


def active_share(coder: NetworkSpec, dataset: Dataset) -> float:
    """The share of atoms that are active in the codes of the first MEASURED training images."""
    with get_backend("events").open(coder, threads=1) as session:
        states = session.run(coder.encoder.encode(dataset.x_train[:MEASURED])).output_states
    return float((states > coder.unit(coder.output).threshold).mean())


def train_without_competition(coder_run: Path, dataset: Dataset, hidden: tuple[int, ...], seed: int) -> nn.Module:
    """The trained network, from images to scores. coder_run: a finished run of a dense coder."""
    coder = cast("NetworkSpec", load_artifact(coder_run).spec)
    images, labels = real_images(dataset.x_train), torch.tensor(dataset.y_train, dtype=torch.int64)
    atoms = ThresholdedAtoms(coder)
    with torch.no_grad():
        share = active_share(coder, dataset)
        atoms.threshold = float(np.quantile(atoms(images[:MEASURED]).numpy(), 1.0 - share))
        codes = torch.cat([atoms(part) for part in images.split(CHUNK)])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = perceptron((codes.shape[1],), hidden, dataset.n_classes)
    split = split_validation(dataset.y_train, seed)
    kept, held_out = torch.tensor(split.train), torch.tensor(split.validation)
    fit(head, (codes[kept], labels[kept]), (codes[held_out], labels[held_out]), seed)
    return nn.Sequential(atoms, head).eval()
