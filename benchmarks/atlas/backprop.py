"""Rows of the atlas trained by backpropagation, as carefully as those of equilibrium propagation are.

Adam, cosine decay, softmax cross-entropy, all epochs; the learning rate is chosen on a validation split of images as
they are (with noise on them, where the row is trained with noise); a small training set is then learned again as a
whole, as `settle train ep` does it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from benchmarks.atlas.subject import Training
from neuro.data.sets import split_validation
from sim.robustness.attacks.search import Attack
from sim.robustness.attacks.threats import Threat
from sim.robustness.defences.baselines import SMALL, accuracy_of, real_images

RATES = (2e-3, 5e-3, 1e-2)
FEW, MANY = (40, 50), (12, 100)  # epochs and images of a batch: of small training sets, of others
Build = Callable[[], nn.Module]


class Change(Protocol):
    """What is done to images before they are learned."""

    def __call__(self, model: nn.Module, images: Tensor, labels: Tensor, seed: int) -> Tensor:
        """Images to learn in their place, of the same shape."""
        ...


def noise_of(sigma: float) -> Change:
    """Gaussian noise, fresh each time, clipped to 0..1."""

    def change(model: nn.Module, images: Tensor, labels: Tensor, seed: int) -> Tensor:
        drawn = torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
        return (images + sigma * drawn).clamp(0.0, 1.0)

    return change


def attack_of(attack: Attack, threat: Threat) -> Change:
    """Adversarial images of the network as it is (Madry et al. 2018)."""

    def change(model: nn.Module, images: Tensor, labels: Tensor, seed: int) -> Tensor:
        return attack(model, images, labels, threat, seed).images

    return change


def trained(build: Build, training: Training, change: Change | None = None, tuned: Change | None = None) -> nn.Module:
    """A trained network. change: of all images that are learned; tuned: of those that the rate is chosen on."""
    dataset, seed = training.dataset, training.seed
    images, labels = real_images(dataset.x_train), torch.tensor(dataset.y_train, dtype=torch.int64)
    kept, held_out = (torch.tensor(part) for part in _parts(training))
    judged = images[held_out] if tuned is None else tuned(nn.Identity(), images[held_out], labels[held_out], seed)
    best, model, chosen = -1, build(), RATES[0]
    for rate in RATES:
        candidate = _fitted(build, (images[kept], labels[kept]), rate, seed, tuned)
        n_correct = accuracy_of(candidate, judged, labels[held_out]).n_correct
        if n_correct > best:
            best, model, chosen = n_correct, candidate, rate
    if len(labels) < SMALL:
        model = _fitted(build, (images, labels), chosen, seed, change)
    elif change is not tuned:
        model = _fitted(build, (images[kept], labels[kept]), chosen, seed, change)
    return model.eval()


def _parts(training: Training) -> tuple[object, object]:
    split = split_validation(training.dataset.y_train, training.seed)
    return split.train, split.validation


def _fitted(build: Build, data: tuple[Tensor, Tensor], rate: float, seed: int, change: Change | None) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build()
    images, labels = data
    epochs, batch = FEW if len(labels) < SMALL else MANY
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        for order, chosen in enumerate(torch.randperm(len(labels), generator=generator).split(batch)):
            shown, truth = images[chosen], labels[chosen]
            if change is not None:
                shown = change(model, shown, truth, seed + epoch * len(labels) + order)
            optimizer.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(model(shown), truth))
            optimizer.step()
        schedule.step()
    return model
