"""Competitor of networks that are trained for smoothing: a float perceptron trained with the same noise, in torch.

ReLU hidden layers, softmax cross-entropy, Adam, cosine decay; Gaussian noise on every image, fresh each time, clipped
to 0..1 as the encoder of the spiking network does. The epoch is chosen on noisy validation images, drawn once;
rate and number of epochs are given.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.tools.backprop import perceptron, real
from neuro.base.arrays import Array, Int64
from neuro.data.sets import Dataset, split_validation
from neuro.front_ends.noise import noisy_pixels

LEARNING_RATES, BATCH = (1e-3,), 100


def train_noisy(dataset: Dataset, hidden: tuple[int, ...], sigma: float, epochs: int, seed: int) -> nn.Module:
    """The network of the best learning rate and epoch on validation images under noise, drawn once."""
    split, images = split_validation(dataset.y_train, seed), real(dataset.x_train)
    labels, held_out = torch.tensor(dataset.y_train, dtype=torch.int64), torch.tensor(split.validation)
    generator = torch.Generator().manual_seed(seed)
    judged = noisy(images[held_out], sigma, generator)
    best, kept = -1.0, perceptron((images.shape[1], *hidden, dataset.n_classes))
    for rate in LEARNING_RATES:
        torch.manual_seed(seed)
        model = perceptron((images.shape[1], *hidden, dataset.n_classes))
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
        for _ in range(epochs):
            order = torch.tensor(split.train)[torch.randperm(len(split.train), generator=generator)]
            for batch in order.split(BATCH):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(noisy(images[batch], sigma, generator)), labels[batch]).backward()
                optimizer.step()
            schedule.step()
            with torch.no_grad():
                value = float((model(judged).argmax(1) == labels[held_out]).double().mean())
            if value > best:
                best, kept = value, copy.deepcopy(model)
    return kept


def noisy(images: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """Images with noise, clipped to 0..1; sigma 0: as they are."""
    return (images + sigma * torch.randn(images.shape, generator=generator)).clamp(0.0, 1.0) if sigma else images


def votes_of(
    model: nn.Module, image: Array, sigma: float, n_classes: int, *, seed: int, stream: int, first: int, count: int
) -> Int64:
    """The votes of a float model on the very copies that `sim.robustness.certified.votes` shows a network, [K]."""
    votes = np.zeros(n_classes, dtype=np.int64)
    with torch.no_grad():
        for start in range(first, first + count, 512):
            size = min(512, first + count - start)
            pixels = noisy_pixels(image[None], sigma, seed=seed, stream=stream, first=start, count=size)
            predictions = model(torch.tensor(pixels, dtype=torch.float32)).argmax(1).numpy()
            votes += np.bincount(predictions, minlength=n_classes)
    return votes
