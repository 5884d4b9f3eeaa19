"""Gradient attacks against foolbox, AutoAttack and the laws of ascent."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from neuro.base.errors import UserError
from sim.robustness.attacks.auto_gradient import AutoGradient, checkpoints
from sim.robustness.attacks.gradient import ProjectedGradient, fast_gradient, momentum_gradient
from sim.robustness.attacks.libraries import AutoAttack, load, run_foolbox
from sim.robustness.attacks.losses import cross_entropy, margin
from sim.robustness.attacks.search import Search
from sim.robustness.attacks.threats import Threat, norm_of
from sim.robustness.defences.baselines import real_images

POINT = 0.01


def accuracy(model, images, labels):
    return float((model(images).argmax(1) == labels).float().mean())


@pytest.mark.parametrize(("norm", "eps", "name"), [("linf", 0.1, "LinfPGD"), ("l2", 0.8, "L2PGD")])
def test_equal_to_foolbox_without_random_start(norm, eps, name, digits):
    """Same loss, steps and step: the last iterate is the same image (ours also keeps the best on the way)."""
    threat, steps, step = Threat(norm, eps), 20, 0.125
    reference = getattr(load("foolbox").attacks, name)(rel_stepsize=step, steps=steps, random_start=False)
    search = Search(digits.perceptron, digits.images, digits.labels, threat, cross_entropy)
    theirs = run_foolbox(reference, search, eps)
    images = digits.images
    for _ in range(steps):
        images = threat.project(images + step * eps * threat.steepest(search.gradient(images)[0]), digits.images)
    close = (theirs - images).flatten(1).abs().amax(1) < 1e-4
    assert float(close.float().mean()) > 0.95  # a sign at 0 may differ
    ours = ProjectedGradient(steps, 1, "cross-entropy", step, random_start=False)
    found = ours(digits.perceptron, digits.images, digits.labels, threat, 0)
    difference = accuracy(digits.perceptron, theirs, digits.labels) - accuracy(
        digits.perceptron, found.images, digits.labels
    )
    assert 0.0 <= difference <= POINT


@pytest.mark.parametrize(("norm", "eps", "name"), [("linf", 0.08, "LinfPGD"), ("l2", 0.6, "L2PGD")])
def test_accuracy_equals_foolbox_within_a_point(norm, eps, name, digits):
    steps, step, restarts = 20, 2.5 / 20, 8
    threat, model = Threat(norm, eps), digits.perceptron
    images = real_images(digits.dataset.x_test)
    labels = torch.tensor(digits.dataset.y_test, dtype=torch.int64)
    reference = getattr(load("foolbox").attacks, name)(rel_stepsize=step, steps=steps, random_start=True)
    search = Search(model, images, labels, threat)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        runs = [model(run_foolbox(reference, search, eps)).argmax(1) == labels for _ in range(restarts)]
    theirs = float(torch.stack(runs).all(0).float().mean())
    found = ProjectedGradient(steps, restarts, "cross-entropy", step)(model, images, labels, threat, 0)
    assert accuracy(model, found.images, labels) == pytest.approx(theirs, abs=POINT)


@pytest.mark.parametrize(
    ("threat", "parts"), [(Threat("linf", 0.08), ("apgd-t",)), (Threat("l2", 0.6), ("apgd-ce",))], ids=str
)
def test_autoattack_is_no_stronger_than_our_worst_case(threat, parts, digits):
    images, labels, model = digits.images[:100], digits.labels[:100], digits.perceptron
    ours = torch.ones(len(labels), dtype=torch.bool)
    attacks = [ProjectedGradient(50), *(AutoGradient(50, loss=loss) for loss in ("cross-entropy", "dlr")),
               AutoGradient(30, 9, "dlr-targeted")]  # fmt: skip
    for attack in attacks:
        ours &= model(attack(model, images, labels, threat, 0).images).argmax(1) == labels
    ensemble = AutoAttack(parts)
    theirs = model(ensemble(model, images, labels, threat, 0).images).argmax(1) == labels
    assert 0.2 < float(ours.float().mean()) < 0.9  # neither is trivial
    assert float(ours.float().mean()) <= float(theirs.float().mean()) + POINT


@pytest.mark.parametrize("loss", ["cross-entropy", "dlr"])
def test_apgd_equals_that_of_the_authors_within_two_points(loss, digits):
    """Both from random starts: the accuracies of two runs of one attack."""
    threat, model = Threat("linf", 0.08), digits.perceptron
    ours = AutoGradient(60, 2, loss)(model, digits.images, digits.labels, threat, 0)
    name = {"cross-entropy": "ce", "dlr": "dlr"}[loss]
    with torch.random.fork_rng():
        reference = load("pyautoattack.autopgd_base").APGDAttack(
            model, n_iter=60, n_restarts=2, norm="Linf", eps=0.08, seed=0, loss=name, device="cpu"
        )
        theirs = reference.perturb(digits.images[:, None], digits.labels)
    expected = accuracy(model, theirs[:, 0], digits.labels)
    assert accuracy(model, ours.images, digits.labels) == pytest.approx(expected, abs=2 * POINT)


def test_best_margin_rises_with_the_steps(digits):
    """Same step size and start: more steps go on where fewer stopped."""
    margins = []
    for steps in (1, 2, 5, 10, 20):
        attack = ProjectedGradient(steps, step=0.1)
        margins.append(attack(digits.perceptron, digits.images, digits.labels, Threat("linf", 0.1), 3).margin)
    for fewer, more in pairwise(margins):
        assert bool((more >= fewer).all())
    assert bool((margins[-1] > margins[0]).any())


def test_best_margin_rises_with_restarts(digits):
    one, three = (
        ProjectedGradient(5, n)(digits.perceptron, digits.images, digits.labels, Threat("l2", 0.5), 0).margin
        for n in (1, 3)
    )
    assert bool((three >= one).all())


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_on_a_linear_model_one_step_is_the_optimum(norm):
    """Closed form: the margin of two classes rises by eps |w_1 - w_0|_dual."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(2, 6, generator=generator)
    images, labels = torch.full((3, 6), 0.5), torch.tensor([0, 1, 0])
    found = fast_gradient()(lambda x: x @ weights.T, images, labels, Threat(norm, 0.2), 0)
    difference = weights[1] - weights[0]
    rise = 0.2 * (difference.abs().sum() if norm == "linf" else difference.norm())
    expected = margin(images @ weights.T, labels) + rise
    torch.testing.assert_close(found.margin, expected)
    for attack in (ProjectedGradient(100), momentum_gradient(), AutoGradient(50, loss="cross-entropy")):
        reached = attack(lambda x: x @ weights.T, images, labels, Threat(norm, 0.2), 0).margin
        torch.testing.assert_close(reached, expected, atol=1e-2, rtol=1e-2)


def test_a_given_gradient_takes_the_place_of_autograd(digits):
    """The exact gradient as a function finds what autograd finds, on a model that has no gradient itself."""

    def gradient(images, labels):
        images = images.clone().requires_grad_(True)
        return torch.autograd.grad(margin(digits.perceptron(images), labels).sum(), images)[0]

    def deaf(images):
        with torch.no_grad():
            return digits.perceptron(images)

    threat, data = Threat("linf", 0.1), (digits.images, digits.labels)
    plain = ProjectedGradient(10)(digits.perceptron, *data, threat, 0)
    given = ProjectedGradient(10, gradient_fn=gradient)(deaf, *data, threat, 0)
    assert torch.equal(given.images, plain.images)
    blind = ProjectedGradient(10)(deaf, *data, threat, 0)
    assert blind.zero_gradient.clean_images == 1.0
    assert accuracy(digits.perceptron, blind.images, digits.labels) > accuracy(
        digits.perceptron, plain.images, digits.labels
    )


def test_single_steps_have_the_size_of_the_threat(digits):
    for norm, eps in (("linf", 0.03), ("l2", 0.3)):
        images = digits.images.clamp(0.4, 0.6)  # away from the limits of a pixel
        found = fast_gradient()(digits.perceptron, images, digits.labels, Threat(norm, eps), 0)
        moved = ~found.returned_clean
        assert moved.any()
        size = norm_of(found.images - images, norm)[moved]
        torch.testing.assert_close(size, torch.full_like(size, eps), atol=1e-5, rtol=1e-4)


def test_checkpoints_of_auto_pgd():
    assert checkpoints(100)[:6] == [22, 41, 57, 70, 80, 87]
    assert all(a < b for a, b in pairwise(checkpoints(100)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ProjectedGradient(0),
        lambda: ProjectedGradient(1, 0),
        lambda: AutoGradient(0),
        lambda: ProjectedGradient(1, loss="?"),
        lambda: AutoGradient(1, loss="?"),
    ],
)
def test_attacks_without_steps_or_loss_are_refused(make):
    with pytest.raises(UserError, match="attack"):
        make()
