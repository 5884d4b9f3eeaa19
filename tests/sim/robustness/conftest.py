from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from neuro.data.sets import Dataset, load_dataset
from sim.robustness.defences.baselines import Recipe, real_images, train_baseline


@dataclass(frozen=True, eq=False)
class Digits:
    """Digits, a perceptron trained on them, another one to attack it from; 200 test images."""

    dataset: Dataset
    perceptron: nn.Module
    other: nn.Module
    images: Tensor
    labels: Tensor


@pytest.fixture(scope="session")
def digits() -> Digits:
    dataset = load_dataset("digits")
    recipe = Recipe(epochs=15)
    models = [train_baseline("perceptron", dataset, (32,), seed, recipe).model for seed in (0, 1)]
    labels = torch.tensor(dataset.y_test[:200], dtype=torch.int64)
    return Digits(dataset, *models, real_images(dataset.x_test)[:200], labels)
