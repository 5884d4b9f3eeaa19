"""What a training learns from: encoded images, their labels, and how they are changed when they are presented."""

from __future__ import annotations

from dataclasses import dataclass

from neuro.base.arrays import Int16, Int32
from neuro.data.sets import Split
from neuro.spec.network import Network
from sim.training.noise import TrainingNoise
from sim.training.rates import squared_length
from sim.training.shift import Shift


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Encoded images of shape [n, N], labels of shape [n], and the split into training and validation.

    shift, noise: how training images are moved, or made noisy, when they are learned; None: not at all. Payloads of
                  noisy trainings are of images made noisy once: they are for validation and for measuring.
    """

    payloads: Int16
    labels: Int32
    split: Split
    shift: Shift | None = None
    noise: TrainingNoise | None = None

    def squared_length(self, spec: Network) -> float:
        """The `squared_length` of about 4096 training images."""
        return squared_length(spec.encoder, self.payloads[self.split.train[:: max(1, len(self.split.train) // 4096)]])
