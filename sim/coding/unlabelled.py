"""Sparse coders of samples that have no labels and no test set."""

from __future__ import annotations

from typing import Any

import numpy as np

from neuro.base.arrays import Int16
from neuro.data.sets import Dataset, Split
from neuro.spec.network import Network
from sim.coding.config import LcaConfig
from sim.coding.training import CoderLearner


class UnlabelledLearner(CoderLearner):
    """A sparse coder that learns from all samples; they also say how large its codes may become."""

    def __init__(self, dataset: Dataset, config: LcaConfig) -> None:
        super().__init__(dataset, config)
        everything = np.arange(len(dataset.y_train))
        self.split = Split(everything, everything)

    def _measure(self, coder: Network, deployed: Network, held: Int16) -> dict[str, Any]:
        """Time alone: there is nothing that it has not learned from."""
        progress = self.trainer.progress
        return {
            "train_cpu_s": progress.cpu_s,
            "images_per_s": self.trainer.n_images * progress.epoch / max(progress.learn_s, 1e-9),
        }
