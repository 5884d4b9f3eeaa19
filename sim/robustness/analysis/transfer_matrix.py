"""Do the adversarial images of one model fool another? Accuracy of every target on the images of every source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neuro.base.arrays import Float32, Integers
from sim.robustness.attacks.gradient import ProjectedGradient
from sim.robustness.attacks.search import Model
from sim.robustness.attacks.threats import Threat
from sim.robustness.judging.table import Scorer

STEPS = 20


@dataclass(frozen=True)
class TransferMatrix:
    """Accuracies over n images. clean: by target; accuracy: by threat, by source, by target."""

    clean: dict[str, float]
    accuracy: dict[str, dict[str, dict[str, float]]]
    n: int

    @property
    def n_columns(self) -> int:
        """Targets under all threats."""
        return len(self.clean) * len(self.accuracy)


def transfer_matrix(
    sources: Mapping[str, Model], targets: Mapping[str, Scorer], images: Tensor, labels: Tensor,
    threats: tuple[Threat, ...], seed: int,
) -> TransferMatrix:  # fmt: skip
    """Attack every source by PGD of 20 steps on the margin, score on every target; images [B, *shape], labels [B]."""
    truth = labels.cpu().numpy()

    def scored(attacked: Tensor) -> dict[str, float]:
        pictures = attacked.cpu().numpy()
        return {name: float((np.asarray(score(pictures)) == truth).mean()) for name, score in targets.items()}

    attack = ProjectedGradient(STEPS)
    correct = {
        str(threat): {
            name: scored(attack(source, images, labels, threat, seed).images) for name, source in sources.items()
        }
        for threat in threats
    }
    return TransferMatrix(scored(images), correct, len(labels))


def scorer_of_model(model: Model, device: str = "cpu") -> Scorer:
    """A model as a function images [B, *shape] -> labels [B]."""

    def score(images: Float32) -> Integers:
        with torch.no_grad():
            return np.asarray(model(torch.as_tensor(images).to(device)).argmax(1).cpu())

    return score
