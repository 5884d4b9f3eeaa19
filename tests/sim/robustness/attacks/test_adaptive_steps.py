"""SA-PGD: the formula of its source, and what it finds where the size of a gradient leaps."""

from __future__ import annotations

import pytest
import torch

from neuro.base.errors import UserError
from sim.robustness.attacks.adaptive_steps import StableAdaptive, over_mean
from sim.robustness.attacks.gradient import ProjectedGradient, fast_gradient
from sim.robustness.attacks.losses import margin
from sim.robustness.attacks.search import generator_of
from sim.robustness.attacks.threats import Threat

THREAT = Threat("linf", 0.1)


def gradient_of(model, images, labels):
    leaf = images.clone().requires_grad_(True)
    return torch.autograd.grad(margin(model(leaf), labels).sum(), leaf)[0]


def test_steps_are_those_of_the_source(digits):
    images, labels = digits.images[:20], digits.labels[:20]
    seen = []

    def watched(moved):
        seen.append(moved.detach().clone())
        return digits.perceptron(moved)

    StableAdaptive(10)(watched, images, labels, THREAT, 7)
    expected, size = THREAT.random_start(images, generator_of(7, 0)), 0.1
    steady = squares = torch.zeros_like(images)
    for step in range(1, 6):
        torch.testing.assert_close(seen[step], expected)
        g = gradient_of(digits.perceptron, expected, labels)
        steady = 0.5 * steady + g / g.abs().mean((1, 2), keepdim=True)
        squares = 0.8 * squares + g**2 / (g**2).mean((1, 2), keepdim=True)
        moved = expected + size * (steady / squares.sqrt()).clamp(-1, 1).nan_to_num()
        expected = torch.min(torch.max(moved, images - 0.1), images + 0.1).clamp(0, 1)
        size = size / 2 if step in (3, 5) else size  # 22 % of the steps, then 19 % more


@pytest.mark.parametrize("norm_eps", [("linf", 0.08), ("l2", 0.8)])
def test_it_is_as_strong_as_its_kin(norm_eps, digits):
    threat = Threat(*norm_eps)
    found, kin, single = (
        float((attack(digits.perceptron, digits.images, digits.labels, threat, 0).margin > 0).float().mean())
        for attack in (StableAdaptive(40), ProjectedGradient(40), fast_gradient())
    )
    assert found >= kin - 0.02
    assert found >= single


def test_images_whose_gradient_is_zero_stay_where_they_are():
    values = torch.tensor([[3.0, -1.0], [0.0, 0.0]])
    assert over_mean(values).tolist() == [[1.5, -0.5], [0.0, 0.0]]
    images = torch.full((2, 3), 0.5)
    flat = lambda x: torch.zeros(len(x), 2)  # noqa: E731
    found = StableAdaptive(5)(flat, images, torch.tensor([0, 1]), THREAT, 0)
    assert found.returned_clean.all()


def test_bad_input_is_named():
    with pytest.raises(UserError, match="steps 0"):
        StableAdaptive(0)
    with pytest.raises(UserError, match="loss"):
        StableAdaptive(loss="joy")
