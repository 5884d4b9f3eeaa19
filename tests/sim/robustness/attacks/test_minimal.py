"""Smallest changes: no larger than those of foolbox, in four norms, and counted where the deployed label turns."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.errors import UserError
from sim.robustness.attacks.libraries import Planar, load
from sim.robustness.attacks.minimal import (
    SIZES,
    Smallest,
    decoupled_direction_norm,
    fast_minimum_norm,
    size_of,
    within,
)

N, STEPS = 40, 60
THEIRS = {"linf": "LInfFMNAttack", "l2": "L2FMNAttack", "l1": "L1FMNAttack", "l0": "L0FMNAttack"}


def turned_by(model, labels):
    def turned(images):
        with torch.no_grad():
            return model(images).argmax(1) != labels

    return turned


def walked(digits, norm, method=fast_minimum_norm, twin=None, steps=STEPS, n=N):
    images, labels = digits.images[:n], digits.labels[:n]
    turned = turned_by(digits.perceptron, labels)
    smallest = Smallest.start(images, turned, norm)
    method(twin or digits.perceptron, images, labels, smallest, turned, steps)
    smallest.draw_nearer(turned)
    return smallest


def by_foolbox(digits, name, norm):
    foolbox = load("foolbox")
    planar = Planar(digits.perceptron, digits.images.shape[1:]).eval()
    network = foolbox.PyTorchModel(planar, bounds=(0, 1))
    criterion = foolbox.criteria.Misclassification(digits.labels[:N])
    attack = getattr(foolbox.attacks, name)(steps=STEPS)
    images = planar.to_images(attack.run(network, planar.to_planes(digits.images[:N]), criterion))
    sizes = size_of(images - digits.images[:N], norm)
    fooled = turned_by(digits.perceptron, digits.labels[:N])(images)
    return sizes.masked_fill(~fooled, torch.inf)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("norm", SIZES)
def test_nothing_smaller_is_found_by_foolbox(norm, digits):
    own, theirs = walked(digits, norm).sizes, by_foolbox(digits, THEIRS[norm], norm)
    assert float((own > 1.05 * theirs + 1e-4).float().mean()) <= (0.1 if norm == "l0" else 0.03)
    assert float(own.median()) <= 1.01 * float(theirs.median()) + 1e-4
    assert bool(torch.isfinite(own).all())


@pytest.mark.filterwarnings("ignore")
def test_the_decoupled_walk_finds_what_foolbox_finds(digits):
    own = walked(digits, "l2", decoupled_direction_norm).sizes
    theirs = by_foolbox(digits, "DDNAttack", "l2")
    assert float((own > 1.05 * theirs + 1e-4).float().mean()) <= 0.05
    torch.testing.assert_close(own.median(), walked(digits, "l2").sizes.median(), atol=0.02, rtol=0.02)


@pytest.mark.parametrize("norm", SIZES)
def test_what_counts_is_the_deployed_label(norm, digits):
    """The gradient is that of another network: what is kept turns the label of the one that is asked."""
    found = walked(digits, norm, twin=digits.other)
    there = torch.isfinite(found.sizes)
    turned = turned_by(digits.perceptron, digits.labels[:N])(found.images)
    assert float(there.float().mean()) > 0.5
    assert torch.equal(turned, there)
    torch.testing.assert_close(size_of(found.images - found.clean, norm)[there], found.sizes[there])
    assert 0.0 <= float(found.images.min()) <= float(found.images.max()) <= 1.0


def test_images_that_are_wrong_already_need_nothing(digits):
    found = walked(digits, "linf", steps=1, n=200)
    wrong = turned_by(digits.perceptron, digits.labels)(digits.images)
    assert bool(wrong.any())
    assert torch.equal(found.sizes == 0, wrong)
    assert torch.equal(found.images[wrong], digits.images[wrong])


def test_without_a_gradient_nothing_is_found_and_nothing_breaks(digits):
    flat = lambda images: torch.zeros(len(images), 10)  # noqa: E731
    found = walked(digits, "l2", twin=flat, steps=5)
    assert bool(torch.isinf(found.sizes[found.sizes > 0]).all())


@given(st.sampled_from(list(SIZES)), st.integers(0, 2**31), st.floats(0.5, 6.0))
@settings(max_examples=40, deadline=None)
def test_changes_are_cut_to_size_and_small_ones_stay(norm, seed, eps):
    changes = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(seed))
    limit = torch.full((3,), float(int(eps) + 1 if norm == "l0" else eps))
    cut = within(changes, norm, limit)
    assert bool((size_of(cut, norm) <= limit * (1 + 1e-5)).all())
    torch.testing.assert_close(within(cut, norm, limit), cut, atol=1e-5, rtol=1e-4)
    assert torch.equal(within(changes, norm, torch.full((3,), 1e6)), changes)
    assert bool((cut * changes >= 0).all())


def test_bad_input_is_named(digits):
    smallest = Smallest.start(digits.images, turned_by(digits.perceptron, digits.labels), "l1")
    with pytest.raises(UserError, match="steps 0"):
        walked(digits, "l2", steps=0)
    with pytest.raises(UserError, match="norm"):
        decoupled_direction_norm(digits.perceptron, digits.images, digits.labels, smallest, lambda x: x > 0)
