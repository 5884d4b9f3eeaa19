"""Competitor: a multilayer perceptron of the same shape, trained by backpropagation in torch, 32-bit floats.

ReLU hidden layers, softmax cross-entropy, Adam, cosine decay; learning rate and epoch are chosen on the
validation split. Same images, same validation split, same number of epochs as the network it is compared with.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor, nn

from neuro.base.arrays import Array, Int64
from neuro.base.metrics import Accuracy, accuracy
from neuro.data.sets import Dataset, split_validation

LEARNING_RATES = (3e-4, 1e-3, 3e-3, 1e-2)
BATCH, SMALL_BATCH, SMALL = 100, 20, 10_000  # images a step; on training sets smaller than SMALL


def real(images: Array) -> Tensor:
    """Images [n, ...] as rows of floats in 0..1."""
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    return torch.tensor(images.reshape(len(images), -1), dtype=torch.float32) / scale


def perceptron(sizes: tuple[int, ...]) -> nn.Sequential:
    """Linear layers of these sizes with ReLU between them."""
    layers: list[nn.Module] = []
    for pre, post in itertools.pairwise(sizes):
        layers += [nn.Linear(pre, post), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _predictions(model: nn.Module, images: Tensor) -> Int64:
    with torch.no_grad():
        return np.asarray(model(images).argmax(1).numpy())


def backprop_accuracy(dataset: Dataset, hidden: tuple[int, ...], epochs: int, seed: int) -> tuple[Accuracy, Accuracy]:
    """Validation and test accuracy of the best learning rate and epoch."""
    split = split_validation(dataset.y_train, seed)
    images, images_test = real(dataset.x_train), real(dataset.x_test)
    labels = torch.tensor(dataset.y_train, dtype=torch.int64)
    train, held_out = torch.tensor(split.train), torch.tensor(split.validation)
    sizes = (images.shape[1], *hidden, dataset.n_classes)
    best, test = Accuracy(0, 1), Accuracy(0, 1)
    for rate in LEARNING_RATES:
        torch.manual_seed(seed)
        model = perceptron(sizes)
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
        for _ in range(epochs):
            for batch in train[torch.randperm(len(train))].split(SMALL_BATCH if len(train) < SMALL else BATCH):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
                optimizer.step()
            schedule.step()
            val_accuracy = accuracy(_predictions(model, images[held_out]), dataset.y_train[split.validation])
            if val_accuracy.value > best.value:
                best = val_accuracy
                test = accuracy(_predictions(model, images_test), dataset.y_test)
    return best, test
