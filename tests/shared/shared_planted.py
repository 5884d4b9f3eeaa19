"""More models that mislead an attacker, each with a smooth stand-in that an attack written for it may climb."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Model = Callable[[Tensor], Tensor]


def straight(exact: Tensor, smooth: Tensor) -> Tensor:
    """The values of `exact` with the gradient of `smooth`."""
    return smooth + (exact - smooth).detach()


class Hidden(nn.Module):
    """A perceptron of one hidden layer with another activation; smooth: with that of the stand-in."""

    def __init__(self, plain: nn.Sequential, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        _, self.first, _, self.second = plain
        self.activation = activation

    def forward(self, images: Tensor) -> Tensor:
        return self.second(self.activation(self.first(images.flatten(1))))


def winners(hidden: Tensor, n: int = 5) -> Tensor:
    """The n largest, the rest 0 (Xiao et al. 2020)."""
    least = hidden.topk(n, dim=1).values[:, -1:]
    return torch.relu(hidden) * (hidden >= least)


def soft_winners(hidden: Tensor, n: int = 5, width: float = 0.3) -> Tensor:
    least = hidden.topk(n, dim=1).values[:, -1:]
    return torch.relu(hidden) * torch.sigmoid((hidden - least) / width)


def dead(hidden: Tensor, zone: float = 1.0) -> Tensor:
    """A soft threshold: nothing below `zone`."""
    return torch.relu(hidden - zone)


def hard(hidden: Tensor, zone: float = 1.0) -> Tensor:
    """A hard threshold, which jumps."""
    return hidden * (hidden > zone)


def soft_hard(hidden: Tensor, zone: float = 1.0) -> Tensor:
    return hidden * torch.sigmoid(4.0 * (hidden - zone))


def one_bit(hidden: Tensor, half: float = 0.7) -> Tensor:
    """Hidden payloads of one bit, passed straight within the box."""
    return straight((hidden > half).float(), hidden.clamp(0.0, 2 * half) / (2 * half)) * 2 * half


class Proxy(nn.Module):
    """Labels of one network, scores that are those of another, and a step at the label."""

    def __init__(self, labels: nn.Module, scores: nn.Module, gain: float = 100.0) -> None:
        super().__init__()
        self.labels, self.scores, self.gain = labels, scores, gain

    def forward(self, images: Tensor) -> Tensor:
        found = self.labels(images).argmax(1)
        return self.scores(images) + self.gain * nn.functional.one_hot(found, 10)


class Foreign(nn.Module):
    """Values of one network, gradient of another."""

    def __init__(self, values: nn.Module, gradient: nn.Module) -> None:
        super().__init__()
        self.values, self.gradient = values, gradient

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            exact = self.values(images)
        return straight(exact, self.gradient(images))


def ripple(images: Tensor) -> Tensor:
    """A fast sine on every pixel: about a quarter of the slopes has the wrong sign."""
    return images + 0.004 * torch.sin(400.0 * images)


def hashed_noise(images: Tensor, size: float = 0.1) -> Tensor:
    """Noise that is a function of the image: equal calls are equal, and neighbours are not."""
    flat = images.detach().flatten(1).double()
    phase = (flat * torch.arange(1, flat.shape[1] + 1).double().sqrt() * 1e4).sum(1, keepdim=True)
    noise = torch.sin(phase * torch.arange(1, flat.shape[1] + 1).double() * 12.9898) * 43758.5453
    return images + size * (2 * (noise - noise.floor()) - 1).reshape(images.shape).to(images)


def one_bit_input(images: Tensor) -> Tensor:
    """Pixels of one bit, passed straight."""
    return straight((images > 0.5).float(), images)


class Purified(nn.Module):
    """Rounded coordinates of a few principal components before the network."""

    def __init__(self, plain: nn.Module, images: Tensor, rank: int = 12, step: float = 0.5) -> None:
        super().__init__()
        self.plain, self.step = plain, step
        flat = images.flatten(1)
        self.mean = flat.mean(0)
        self.basis = torch.linalg.svd(flat - self.mean, full_matrices=False).Vh[:rank]

    def forward(self, images: Tensor) -> Tensor:
        return self.plain(self._project(images, lambda x: torch.round(x / self.step) * self.step))

    def smooth(self, images: Tensor) -> Tensor:
        return self.plain(self._project(images, lambda x: x))

    def _project(self, images: Tensor, code: Callable[[Tensor], Tensor]) -> Tensor:
        inner = code((images.flatten(1) - self.mean) @ self.basis.T)
        return (inner @ self.basis + self.mean).reshape(images.shape)


def counts(plain: Model, levels: int = 15) -> Model:
    """Scores as counts of spikes: few levels, ties to the lowest class; gradients pass straight."""

    def scores(images: Tensor) -> Tensor:
        shares = torch.softmax(plain(images), dim=1) * levels
        return straight(shares.round(), shares)

    return scores


def squashed(plain: Model, gain: float = 3.0) -> Model:
    """Scores that saturate."""
    return lambda images: torch.tanh(gain * plain(images))


def before(plain: Model, step: Callable[[Tensor], Tensor]) -> Model:
    return lambda images: plain(step(images))
