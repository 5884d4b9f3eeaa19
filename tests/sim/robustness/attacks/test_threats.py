"""Several sizes of one norm in one batch: every image is attacked as it would be alone."""

from __future__ import annotations

import pytest
import torch

from sim.robustness.attacks.auto_gradient import AutoGradient
from sim.robustness.attacks.gradient import averaged_gradient, fast_gradient, momentum_gradient
from sim.robustness.attacks.libraries import AutoAttack, DeepFool, FastAdaptiveBoundary
from sim.robustness.attacks.query import Noise, Square
from sim.robustness.attacks.search import Search
from sim.robustness.attacks.threats import TOLERANCE, Threat, Threats, norm_of
from sim.robustness.attacks.transfer import Transfer

SIZES = {"linf": (0.02, 0.05, 0.5), "l2": (0.3, 1.0, 4.0)}
TOGETHER = {
    "noise": Noise(6), "fgsm": fast_gradient(), "mi-fgsm": momentum_gradient(5), "averaged": averaged_gradient(4, 2),
    "apgd": AutoGradient(12, loss="dlr"), "square": Square(60), "fab": FastAdaptiveBoundary(5), "deepfool": DeepFool(5),
}  # fmt: skip
N = 12


def together(attack, model, digits, threats, seed=3):
    images, labels = digits.images[:N], digits.labels[:N]
    joined = Threats.of(threats, N, images.device)
    found = attack(model, images.repeat(len(threats), 1, 1), labels.repeat(len(threats)), joined, seed)
    return found.by_size(len(threats))


@pytest.mark.parametrize("norm", SIZES)
@pytest.mark.parametrize("name", TOGETHER)
def test_sizes_that_are_attacked_at_once_are_attacked_as_alone(name, norm, digits):
    attack, threats = TOGETHER[name], [Threat(norm, eps) for eps in SIZES[norm]]
    assert attack.several_sizes
    for threat, found in zip(threats, together(attack, digits.perceptron, digits, threats), strict=True):
        alone = attack(digits.perceptron, digits.images[:N], digits.labels[:N], threat, 3)
        assert float(norm_of(found.images - digits.images[:N], norm).max()) <= threat.eps + TOLERANCE
        torch.testing.assert_close(found.margin, alone.margin, atol=2e-2, rtol=1e-2)
        assert torch.equal(found.margin > 0, alone.margin > 0)
        assert (found.zero_gradient is None) == (alone.zero_gradient is None)
        if alone.zero_gradient:
            assert found.zero_gradient.clean_entries == pytest.approx(alone.zero_gradient.clean_entries)


def test_a_transfer_takes_the_sizes_that_its_attack_takes(digits):
    attack = Transfer(digits.other)
    assert attack.several_sizes
    threats = [Threat("linf", eps) for eps in SIZES["linf"]]
    small, _, large = together(attack, digits.perceptron, digits, threats)
    assert float((small.images - digits.images[:N]).abs().max()) <= 0.02 + TOLERANCE
    assert float(large.margin.mean()) > float(small.margin.mean())
    assert not Transfer(digits.other, attack=AutoAttack()).several_sizes


def test_zero_gradients_are_counted_by_size():
    """A box of the model: at the large size one image is fooled, and counts no more."""
    images, labels = torch.tensor([[0.4], [0.4]]), torch.tensor([0, 0])
    search = Search(lambda x: torch.cat([0 * x, x - 0.5], 1), images, labels, Threats.of(
        [Threat("linf", 0.05), Threat("linf", 0.2)], 1, images.device))  # fmt: skip
    search.gradient(torch.tensor([[0.45], [0.6]]))
    assert (search.best_margin > 0).tolist() == [False, True]
    first, second = search.result().zero_gradients
    assert first == second  # the second one has no iterate that counts: that of the clean image


def test_parts_and_shares_keep_the_size_of_every_image():
    images = torch.full((4, 2), 0.5)
    joined = Threats.of([Threat("linf", 0.1), Threat("linf", 0.3)], 2, images.device)
    moved = images + 1.0
    torch.testing.assert_close(joined.project(moved, images)[:, 0], torch.tensor([0.6, 0.6, 0.8, 0.8]))
    chosen = torch.tensor([1, 2])
    torch.testing.assert_close(
        joined.among(chosen).project(moved[chosen], images[chosen])[:, 0], torch.tensor([0.6, 0.8])
    )
    torch.testing.assert_close(joined.scaled(0.5).sizes(images)[:, 0], torch.tensor([0.05, 0.05, 0.15, 0.15]))
    start = joined.random_start(images, torch.Generator().manual_seed(0)) - images
    torch.testing.assert_close(start[2:], 3 * start[:2])
