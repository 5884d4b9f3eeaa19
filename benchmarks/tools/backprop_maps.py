"""Competitor: layers of kernels of the same shape in float32, trained by backpropagation in torch.

Convolution, average pool, clip to 0..1 (the states of an EP network; the clip first where the shape says so), squared
error on one-hot targets; Adam, cosine schedule. Learning rate and epoch are chosen on the validation split; training
images are shifted and mirrored as those of the EP network, and seen twice as often.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neuro.data.sets import Dataset, load_dataset, split_validation
from neuro.spec.layers import ConvolutionalLayer, parse_layers
from sim.training.config import TrainConfig
from sim.training.recipe import n_epochs

LEARNING_RATES, TRIED_IMAGES, BATCH = (1e-3, 2e-3, 4e-3), 10_000, 50
LONGER = 2  # times the epochs of the EP network


class Clip(nn.Module):
    """States in 0..1."""

    def forward(self, values: Tensor) -> Tensor:
        """The values, clipped."""
        return values.clamp(0.0, 1.0)


def _model(dataset: Dataset, shape: str) -> nn.Sequential:
    channels = dataset.image_shape[2] if len(dataset.image_shape) > 2 else 1
    parts: list[nn.Module] = []
    for layer in parse_layers(shape):
        if isinstance(layer, ConvolutionalLayer):
            padding = (layer.extent - 1) // 2 if layer.same else 0
            parts.append(nn.Conv2d(channels, layer.features, layer.extent, layer.stride, padding))
            parts += [nn.AvgPool2d(layer.pool)] if layer.pool > 1 else []
            channels = layer.features
        else:
            parts += [nn.Flatten(), nn.LazyLinear(layer)]
        parts.append(Clip())
        parts += [nn.AvgPool2d(layer.averaged)] if isinstance(layer, ConvolutionalLayer) and layer.averaged > 1 else []
    return nn.Sequential(*parts, nn.Flatten(), nn.LazyLinear(dataset.n_classes))


def _real(images: Any, mean: Tensor | None = None) -> Tensor:
    values = torch.tensor(np.asarray(images), dtype=torch.float32) / (255.0 if images.dtype == np.uint8 else 1.0)
    values = values[:, None] if values.ndim == 3 else values.permute(0, 3, 1, 2)
    return values if mean is None else values - mean


def _presented(images: Tensor, reach: int, flip: bool, generator: torch.Generator) -> Tensor:
    if flip:
        mirrored = torch.rand(len(images), generator=generator) < 0.5
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    if not reach:
        return images
    down, right = torch.randint(-reach, reach + 1, (2,), generator=generator).tolist()
    return torch.roll(nn.functional.pad(images, (reach,) * 4), (down, right), (2, 3))[:, :, reach:-reach, reach:-reach]


def _train(
    dataset: Dataset, shape: str, seed: int, rate: float, epochs: int, n_images: int | None, flip: bool
) -> tuple[list[float], float]:
    """Validation accuracy after every epoch, and test accuracy of the best."""
    torch.manual_seed(seed)
    split, generator = split_validation(dataset.y_train, seed), torch.Generator().manual_seed(seed)
    reach = TrainConfig(hidden=(), layers=shape).pixels_shifted(dataset.image_shape)
    mean = _real(dataset.x_train[split.train]).mean(dim=0)
    images, labels = _real(dataset.x_train), torch.tensor(dataset.y_train, dtype=torch.int64)
    model = _model(dataset, shape)
    model(images[:2])  # gives the lazy layers their size
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    train, held_out = torch.tensor(split.train)[:n_images], torch.tensor(split.validation)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * -(-len(train) // BATCH))
    goals, history, test = torch.eye(dataset.n_classes), list[float](), 0.0

    def right(values: Tensor, classes: Tensor) -> float:
        with torch.no_grad():
            found = torch.cat([model(part).argmax(1) for part in values.split(1000)])
        return float((found == classes).double().mean())

    for _ in range(epochs):
        for batch in train[torch.randperm(len(train), generator=generator)].split(BATCH):
            optimizer.zero_grad()
            shown = _presented(images[batch], reach, flip, generator) - mean
            (model(shown) - goals[labels[batch]]).square().sum(1).mean().backward()
            optimizer.step()
            cosine.step()
        history.append(right(images[held_out] - mean, labels[held_out]))
        if history[-1] == max(history):
            test = right(_real(dataset.x_test, mean), torch.tensor(dataset.y_test, dtype=torch.int64))
    return history, test


def backprop_of_shape(data: str, shape: str, seed: int, epochs: int | None, flip: bool) -> dict[str, Any]:
    """Train the shape; the rate is the best of three after one epoch of a part of the images."""
    dataset = load_dataset(data, seed)
    longest = epochs or LONGER * n_epochs(TrainConfig(hidden=(), layers=shape), len(dataset.y_train))
    tried = {rate: max(_train(dataset, shape, seed, rate, 1, TRIED_IMAGES, flip)[0]) for rate in LEARNING_RATES}
    rate = max(tried, key=lambda key: tried[key])
    history, test = _train(dataset, shape, seed, rate, longest, None, flip)
    return {"val_accuracy": max(history), "test_accuracy": test, "rate": rate, "history": history,
            "tried": {str(key): value for key, value in tried.items()}}  # fmt: skip
