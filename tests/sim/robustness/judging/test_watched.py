"""What is seen of the way of an attack: margins, iterates, and what the deployed model says of them."""

from __future__ import annotations

import numpy as np
import torch

from sim.robustness.attacks.gradient import ProjectedGradient
from sim.robustness.attacks.libraries import DeepFool
from sim.robustness.attacks.threats import Threat, Threats
from sim.robustness.judging.watched import FEWEST, Watched, conflicts, jumps, rises

THREAT = Threat("linf", 0.1)


def watched_attack(digits, keep, steps=30):
    watched = Watched(digits.perceptron, digits.images, digits.labels, keep)
    found = ProjectedGradient(steps)(watched, digits.images, digits.labels, THREAT, 0)
    return watched, found


def test_what_is_kept_lies_within_the_threat_and_is_spread_over_the_way(digits):
    watched, _ = watched_attack(digits, 4)
    seen = []

    def right(images):
        seen.append(images)
        return np.ones(len(images), bool)

    path = watched.path(THREAT, right)
    assert path.correct.all()
    kept = seen[0].reshape(-1, *digits.images.shape)
    assert 4 <= len(kept) <= 8
    assert float((kept - digits.images).abs().max()) <= 0.1 + 1e-6
    assert len({float(images.sum()) for images in kept}) == len(kept)


def test_an_iterate_that_fools_the_deployed_model_counts(digits):
    """The deployed model falls for one pattern alone, which is not the iterate of the largest margin."""
    watched, _ = watched_attack(digits, 4)
    first = {}

    def right(images):
        first.setdefault("images", images)
        flags = np.ones(len(images), bool)
        flags[3] = False
        return flags

    path = watched.path(THREAT, right)
    assert np.flatnonzero(~path.correct).tolist() == [3]


def test_without_iterates_nothing_is_scored(digits):
    watched, _ = watched_attack(digits, 0)
    path = watched.path(THREAT, lambda images: 1 / 0)
    assert path.correct.all()
    assert np.isnan(path.conflict).all()
    assert np.nanmean(path.rose) > 0.9


def test_an_honest_score_falls_to_the_boundary_and_a_step_leaps(digits):
    watched, _ = watched_attack(digits, 0)
    assert np.nanmedian(watched.path(THREAT, lambda images: images).jump) < 0.3
    leaping = np.linspace(-10, -9, 10)[:, None].repeat(3, 1).astype(np.float32)
    leaping[-1] = 5.0
    np.testing.assert_allclose(jumps(leaping), leaping[-2] / leaping[0])


def test_conflicts_are_counted_where_some_were_on_either_side():
    score = np.array([[True, True, True], [False, True, True], [False, False, True], [False, False, True]])
    label = np.array([[True, True, True], [False, True, True], [False, True, True], [False, False, True]])
    np.testing.assert_array_equal(conflicts(score, label), np.array([0.0, 0.25, np.nan], np.float32))


def test_a_loss_rises_or_does_not_or_was_too_short_to_say():
    ways = np.stack([np.arange(12.0), -np.arange(12.0), np.zeros(12)], 1).astype(np.float32)
    assert rises(ways).tolist() == [1.0, 0.0, 0.0]
    assert np.isnan(rises(ways[: FEWEST - 1])).all()


def test_calls_of_a_part_of_the_batch_are_not_seen(digits):
    watched = Watched(digits.perceptron, digits.images, digits.labels, 2)
    with torch.no_grad():
        watched(digits.images)
        watched(digits.images[:7])
    assert len(watched.margins) == 1


def test_an_attack_that_serves_all_sizes_is_seen_by_all(digits):
    """One run without a size: its iterates are cut to each; those of a part of the batch are not taken for it."""
    threats = [Threat("linf", eps) for eps in (0.02, 0.3)]
    joined = Threats.of(threats, len(digits.images), digits.images.device)
    images, labels = digits.images.repeat(2, 1, 1), digits.labels.repeat(2)
    seen = []

    def right(kept):
        seen.append(kept)
        return digits.perceptron(kept).argmax(1).eq(labels.repeat(len(kept) // len(labels))).numpy()

    for once in (True, False):
        watched = Watched(digits.perceptron, images, labels, 3, 2, once)
        DeepFool(steps=10)(watched, images, labels, joined, 0)
        small, large = watched.paths(joined, right)
        if once:
            assert small.correct.mean() > large.correct.mean() + 0.3
            assert float((seen[0][: len(digits.images)] - digits.images).abs().max()) <= 0.02 + 1e-6
        else:
            assert len(watched.margins) < 6  # clean, and what was found at the end
