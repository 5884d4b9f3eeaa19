"""Planted models: each NOT TRUSTED, or within 2 points of an attack that was written for it and knows the plant."""

from __future__ import annotations

import pytest
import shared_planted as plants
import torch

from benchmarks.tools.adaptive import withstood
from sim.robustness.attacks.suites import build_attacks
from sim.robustness.attacks.threats import Threat
from sim.robustness.defences.baselines import Recipe, real_images, train_baseline
from sim.robustness.judging.scoring import evaluate_robustness
from sim.robustness.judging.verdict import judge

THREATS = (Threat("linf", 0.1), Threat("linf", 0.5))
WITHIN = 0.02


@pytest.fixture(scope="module")
def wide(digits):
    """A perceptron with enough hidden neurons to choose among."""
    return train_baseline("perceptron", digits.dataset, (64,), 3, Recipe(epochs=12)).model.eval()


def labels_of(model):
    def scorer(images):
        with torch.no_grad():
            return model(torch.from_numpy(images)).argmax(1).numpy()

    return scorer


def adaptive(model, smooth, digits, threat, restarts=2):
    """Accuracy left by ascents on the stand-in that are scored on the labels."""

    def right(images):
        with torch.no_grad():
            return model(images).argmax(1) == digits.labels

    ascents = (withstood(smooth, right, digits.images, digits.labels, threat, 100 + r) for r in range(restarts))
    return float(torch.stack(list(ascents)).all(0).float().mean())


def make(name, digits, wide):
    """The planted model and its stand-in."""
    plain, soft = digits.perceptron, torch.nn.functional.softplus
    purified = plants.Purified(plain, real_images(digits.dataset.x_train))
    coarse = plants.Hidden(wide, plants.one_bit)
    return {
        "winner takes all": (plants.Hidden(wide, plants.winners), plants.Hidden(wide, plants.soft_winners)),
        "scores of another network": (plants.Proxy(plain, digits.other), plain),
        "a quarter of the gradient shattered": (plants.before(plain, plants.ripple), plain),
        "noise seeded by the image": (plants.before(plain, plants.hashed_noise), plain),
        "low rank, rounded": (purified, purified.smooth),
        "hidden payloads of one bit": (coarse, coarse),
        "input of one bit": (plants.before(plain, plants.one_bit_input), plain),
        "dead zone": (plants.Hidden(wide, plants.dead), plants.Hidden(wide, lambda h: soft(h - 1.0))),
        "hard threshold": (plants.Hidden(wide, plants.hard), plants.Hidden(wide, plants.soft_hard)),
        "counts as scores": (plants.counts(plain), plain),
        "gradient of another network": (plants.Foreign(plain, digits.other), plain),
        "scores that saturate": (plants.squashed(plain), plain),
    }[name]  # fmt: skip


FAST = ("scores of another network", "a quarter of the gradient shattered", "hard threshold")
SLOW = (
    "winner takes all", "noise seeded by the image", "low rank, rounded", "hidden payloads of one bit",
    "input of one bit", "dead zone", "counts as scores", "gradient of another network", "scores that saturate",
)  # fmt: skip
NAMES = [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


@pytest.mark.parametrize("name", NAMES)
def test_a_planted_model_is_not_trusted_or_its_figure_is_right(name, digits, wide):
    model, smooth = make(name, digits, wide)
    attacks = build_attacks("quick", {"other": digits.other})
    table = evaluate_robustness({"twin": model}, labels_of(model), attacks, digits.images, digits.labels, THREATS)
    verdict = judge(table)
    told, written_for_it = table.robust(THREATS[0]).value, adaptive(model, smooth, digits, THREATS[0])
    assert table.clean.mean() > 0.6  # it works
    assert not verdict.trusted or told <= written_for_it + WITHIN
