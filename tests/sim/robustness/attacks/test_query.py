"""Noise and Square: what they draw, and Square against that of its authors."""

from __future__ import annotations

import pytest
import torch

from neuro.base.errors import UserError
from sim.robustness.attacks.libraries import load
from sim.robustness.attacks.losses import margin
from sim.robustness.attacks.query import Noise, Square, bump, window_share
from sim.robustness.attacks.threats import Threat


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.1), ("l2", 0.8)])
def test_square_is_as_strong_as_that_of_its_authors(norm, eps, digits):
    """With the same queries and schedule (on small images stronger: theirs never reaches the last row and column)."""
    threat, images, labels = Threat(norm, eps), digits.images[:100], digits.labels[:100]
    with torch.random.fork_rng():
        reference = load("pyautoattack.square").SquareAttack(
            digits.perceptron, norm={"linf": "Linf", "l2": "L2"}[norm], n_queries=600, eps=eps, p_init=0.8, seed=0,
            device="cpu", resc_schedule=True,
        )  # fmt: skip
        theirs = digits.perceptron(reference.perturb(images[:, None], labels)).argmax(1) == labels
    ours = Square(600)(digits.perceptron, images, labels, threat, 0).margin <= 0
    clean = digits.perceptron(images).argmax(1) == labels
    assert float(ours.float().mean()) <= float(theirs.float().mean()) + 0.02
    assert float(ours.float().mean()) < float(clean.float().mean()) - 0.2


@pytest.mark.parametrize("shape", [(12,), (6, 7), (5, 6, 3)])
@pytest.mark.parametrize("norm_eps", [("linf", 0.1), ("l2", 0.5)])
def test_square_climbs_on_images_of_any_shape(shape, norm_eps):
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(6, *shape, generator=generator)
    weights = torch.randn(images[0].numel(), 4, generator=generator)
    labels = (images.flatten(1) @ weights).argmax(1)
    few, many = (
        Square(n, stop_when_fooled=False)(lambda x: x.flatten(1) @ weights, images, labels, Threat(*norm_eps), 0)
        for n in (5, 200)
    )
    assert (
        float(many.margin.mean()) > float(few.margin.mean()) > float(margin(images.flatten(1) @ weights, labels).mean())
    )


def test_square_asks_no_more_once_all_are_fooled():
    calls = []

    def model(images):
        calls.append(len(images))
        return torch.stack([images.sum(1), 100.0 - images.sum(1)], 1)

    Square(100)(model, torch.full((3, 4), 0.5), torch.tensor([0, 0, 0]), Threat("linf", 0.1), 0)
    assert len(calls) < 10


def test_share_of_the_window_is_halved_on_the_schedule():
    assert [window_share(q, 10_000) for q in (0, 10, 11, 51, 201, 8001)] == [0.8, 0.8, 0.4, 0.2, 0.1, 0.8 / 2**9]
    assert window_share(6, 5_000) == 0.4  # the schedule is that of the queries there are


@pytest.mark.parametrize("size", [(3, 3), (5, 5), (1, 4), (4, 7), (1, 1)])
def test_windows_of_the_l2_search_have_length_one_and_two_signs(size):
    window = bump(*size, torch.zeros(1))
    assert window.shape == size
    assert float(window.norm()) == pytest.approx(1.0)
    assert size == (1, 1) or (float(window.max()) > 0 > float(window.min()))


def test_more_draws_of_noise_find_more(digits):
    margins = [
        Noise(n)(digits.perceptron, digits.images, digits.labels, Threat("linf", 0.1), 0).margin for n in (1, 3, 12)
    ]
    assert bool((margins[0] <= margins[1]).all())
    assert bool((margins[1] <= margins[2]).all())
    assert float(margins[2].mean()) > float(margins[0].mean())


def test_square_refuses_what_it_cannot_search(digits):
    with pytest.raises(UserError, match="queries"):
        Square(0)
    with pytest.raises(UserError, match="shape"):
        Square(5)(lambda x: x.flatten(1), torch.zeros(1, 2, 2, 2, 2), torch.zeros(1), Threat("linf", 0.1), 0)
