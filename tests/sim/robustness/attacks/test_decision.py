"""An attack that sees labels alone: within the threat, from what others found, no fooled image lost."""

from __future__ import annotations

import torch

from sim.robustness.attacks.decision import HopSkipJump, by_labels
from sim.robustness.attacks.gradient import fast_gradient
from sim.robustness.attacks.threats import Threat, norm_of


def labels_of(model):
    def scorer(images):
        with torch.no_grad():
            return model(images).argmax(1)

    return scorer


def test_labels_alone_find_more_than_the_start(digits):
    images, labels, threat = digits.images[:60], digits.labels[:60], Threat("l2", 0.6)
    model = by_labels(labels_of(digits.perceptron), 10)
    start = fast_gradient()(digits.other, images, labels, threat, 0).images  # a weak one, for another network
    state = torch.random.get_rng_state()
    found = HopSkipJump(lambda threat: [start], steps=4)(model, images, labels, threat, 0)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert float(norm_of(found.images - images, "l2").max()) <= 0.6 + 1e-4
    assert float(found.images.min()) >= 0.0
    before, after = (labels_of(digits.perceptron)(x) != labels for x in (start, found.images))
    assert bool(after[before].all())
    assert int(after.sum()) > int(before.sum())
    assert torch.equal(found.margin > 0, after)
    again = HopSkipJump(lambda threat: [start], steps=4)(model, images, labels, threat, 0)
    assert torch.equal(again.images, found.images)


def test_without_a_start_other_images_of_the_batch_are_one(digits):
    images, labels = digits.images[:20], digits.labels[:20]
    model = by_labels(labels_of(digits.perceptron), 10)
    found = HopSkipJump(lambda threat: [], steps=3)(model, images, labels, Threat("l2", 2.0), 0)
    assert float((found.margin > 0).float().mean()) > 0.3
    assert float(norm_of(found.images - images, "l2").max()) <= 2.0 + 1e-4


def test_a_network_that_always_says_the_label_stands(digits):
    images, labels = digits.images[:10], torch.zeros(10, dtype=torch.int64)
    model = by_labels(lambda x: torch.zeros(len(x), dtype=torch.int64), 10)
    found = HopSkipJump(lambda threat: [images], steps=2)(model, images, labels, Threat("linf", 0.3), 0)
    assert torch.equal(found.images, images)
    assert bool(found.returned_clean.all())
