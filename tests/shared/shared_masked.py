"""Models that hide their gradient, made from a plain one: what the verdict has to see through."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ClippedState(nn.Module):
    """The state of an output that settled under competition: cut to 0..1, flat for nearly every image."""

    def __init__(self, plain: nn.Module, gain: float = 20.0) -> None:
        super().__init__()
        self.plain, self.gain = plain, gain

    def forward(self, images: Tensor) -> Tensor:
        scores = self.plain(images)
        middle = scores.topk(2, dim=1).values.mean(1, keepdim=True)
        return (0.5 + self.gain * (scores - middle)).clamp(0.0, 1.0)


class Scaled(nn.Module):
    """Scores so large that the softmax rounds to 0 and 1."""

    def __init__(self, plain: nn.Module, gain: float) -> None:
        super().__init__()
        self.plain, self.gain = plain, gain

    def forward(self, images: Tensor) -> Tensor:
        return self.gain * self.plain(images)


class Before(nn.Module):
    """A step before the model: `quantise`, `thermometer` (no gradient), `shatter` (a useless one), `noise` (random)."""

    def __init__(self, plain: nn.Module, step: str) -> None:
        super().__init__()
        self.plain, self.step = plain, getattr(self, step)

    def forward(self, images: Tensor) -> Tensor:
        return self.plain(self.step(images))

    @staticmethod
    def quantise(images: Tensor) -> Tensor:
        return torch.round(images * 8) / 8

    @staticmethod
    def thermometer(images: Tensor) -> Tensor:
        return torch.stack([(images > level / 8).float() for level in range(8)]).sum(0) / 8

    @staticmethod
    def shatter(images: Tensor) -> Tensor:
        return images + 0.01 * torch.sin(5000.0 * images)

    @staticmethod
    def noise(images: Tensor) -> Tensor:
        return images + 0.1 * torch.randn(images.shape)


class SaturatedSigmoid(nn.Module):
    """Random features pushed to 0 or 1 by a steep sigmoid, read out linearly by least squares."""

    def __init__(self, images: Tensor, labels: Tensor, n_features: int = 400, slope: float = 2000.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        flat = images.flatten(1)
        self.project = torch.randn(flat.shape[1], n_features, generator=generator) / flat.shape[1] ** 0.5
        self.offset, self.slope = -(flat @ self.project).mean(0), slope
        targets = nn.functional.one_hot(labels).float()
        hidden = self.features(flat)
        ridge = hidden.T @ hidden + 10.0 * torch.eye(n_features)
        self.readout = torch.linalg.solve(ridge, hidden.T @ targets)

    def features(self, flat: Tensor) -> Tensor:
        return torch.sigmoid(self.slope * (flat @ self.project + self.offset))

    def forward(self, images: Tensor) -> Tensor:
        return self.features(images.flatten(1)) @ self.readout
