"""What all attacks keep: the threat, the best iterate of every image, the count of zero gradients."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.errors import UserError
from sim.robustness.attacks.losses import LOSSES, dlr, dlr_targeted, get_loss, margin
from sim.robustness.attacks.search import Search, expectation
from sim.robustness.attacks.suites import ATTACKS, build_attacks
from sim.robustness.attacks.threats import TOLERANCE, Threat, norm_of

THREATS = st.one_of(
    st.builds(Threat, st.just("linf"), st.floats(1e-4, 1.0)), st.builds(Threat, st.just("l2"), st.floats(1e-4, 20.0))
)
FAST = [
    name
    for name in ATTACKS
    if name not in ("autoattack", "square", "apgd-dlr-t", "pgd-100x5", "pgd-50x5", "fab-t", "sa-pgd-100")
    and not name.endswith("-1000")
]


@given(THREATS, st.integers(0, 2**31), st.floats(0.0, 10.0))
@settings(max_examples=60, deadline=None)
def test_projection_lands_in_the_threat_and_leaves_its_points_alone(threat, seed, far):
    generator = torch.Generator().manual_seed(seed)
    clean = torch.rand(3, 4, 5, generator=generator)
    moved = threat.project(clean + far * torch.randn(3, 4, 5, generator=generator), clean)
    assert float(norm_of(moved - clean, threat.norm).max()) <= threat.eps + TOLERANCE
    assert 0.0 <= float(moved.min()) <= float(moved.max()) <= 1.0
    torch.testing.assert_close(threat.project(moved, clean), moved)


@given(THREATS, st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_random_starts_lie_in_the_threat(threat, seed):
    clean = torch.rand(2, 30, generator=torch.Generator().manual_seed(seed))
    start = threat.random_start(clean, torch.Generator().manual_seed(seed + 1))
    assert float(norm_of(start - clean, threat.norm).max()) <= threat.eps + TOLERANCE
    assert not torch.equal(start, clean)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_steepest_step_has_length_one_whatever_the_size_of_the_gradient(scale):
    gradient = scale * torch.tensor([[3.0, -4.0], [0.0, 0.0]])
    assert Threat("linf", 0.1).steepest(gradient).tolist() == [[1.0, -1.0], [0.0, 0.0]]
    torch.testing.assert_close(Threat("l2", 1.0).steepest(gradient), torch.tensor([[0.6, -0.8], [0.0, 0.0]]))


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.0), ("linf", 1.5), ("l2", -1.0), ("l2", math.inf), ("l1", 0.1),
                                           ("linf", math.nan)])  # fmt: skip
def test_impossible_threats_are_refused(norm, eps):
    with pytest.raises(UserError, match="threat"):
        Threat(norm, eps)


@pytest.mark.parametrize("norm_eps", [("linf", 0.08), ("l2", 0.8)])
@pytest.mark.parametrize("name", FAST)
def test_every_attack_stays_within_the_threat_and_repeats_itself(name, norm_eps, digits):
    threat, model = Threat(*norm_eps), digits.perceptron
    images, labels = digits.images[:20], digits.labels[:20]
    before = torch.random.get_rng_state()
    found, again = (ATTACKS[name]()(model, images, labels, threat, 5) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)  # nor does it touch what others draw
    assert torch.equal(found.images, again.images)
    assert found.images.dtype == torch.float32
    assert float(norm_of(found.images - images, threat.norm).max()) <= threat.eps + TOLERANCE
    assert 0.0 <= float(found.images.min()) <= float(found.images.max()) <= 1.0
    torch.testing.assert_close(found.margin, margin(model(found.images), labels), atol=1e-3, rtol=1e-4)
    raised = found.margin > margin(model(images), labels)
    assert torch.equal(found.returned_clean, ~raised)
    assert torch.equal(found.images[found.returned_clean], images[found.returned_clean])


@pytest.mark.parametrize("name", FAST)
def test_no_attack_returns_clean_images_of_a_model_it_cannot_fool(name, digits):
    """Where libraries hand back the clean image: eps far too small to fool anything."""
    sure = margin(digits.perceptron(digits.images), digits.labels) < -1.0
    images, labels = digits.images[sure], digits.labels[sure]
    found = ATTACKS[name]()(digits.perceptron, images, labels, Threat("linf", 1e-3), 0)
    assert float(found.margin.max()) < 0.0
    others = ("fab", "deepfool", "pgd-40-ce", "apgd-ce")  # they head for a far boundary, or for another loss
    allowed = 0.2 if name == "noise" else 0.05 if name in others else 0.0
    assert float(found.returned_clean.float().mean()) <= allowed


@pytest.mark.parametrize("name", ["noise", "fgsm", "pgd-20", "apgd-dlr", "square-500", "deepfool"])
def test_as_eps_vanishes_accuracy_is_the_clean_one(name, digits):
    found = ATTACKS[name]()(digits.perceptron, digits.images, digits.labels, Threat("linf", 1e-7), 0)
    clean = digits.perceptron(digits.images).argmax(1) == digits.labels
    assert torch.equal(found.margin <= 0, clean)


def test_search_keeps_the_largest_margin_and_no_nan():
    images, labels = torch.zeros(2, 1), torch.tensor([0, 0])
    search = Search(lambda x: torch.cat([-x, x], 1), images, labels, Threat("linf", 1.0))
    for value in (0.5, 0.75, 0.25, math.nan):
        search.offer(torch.full((2, 1), 0.5 if math.isnan(value) else value), torch.tensor([[-value, value]] * 2))
    assert search.best_images.flatten().tolist() == [0.75, 0.75]
    assert search.result().margin.tolist() == [1.5, 1.5]


def test_zero_gradients_are_counted_as_entries_and_as_images():
    weights = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    images = torch.tensor([[0.9, 0.5, 0.5, 0.5], [0.1, 0.5, 0.5, 0.5]])
    search = Search(lambda x: (x - 0.5).clamp(min=0.0) @ weights.T, images, torch.tensor([0, 0]), Threat("linf", 0.1))
    search.gradient(images, clean=True)
    zero = search.result().zero_gradient
    assert (zero.clean_entries, zero.clean_images) == (7 / 8, 0.5)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (torch.full((2, 3), 1.5), torch.zeros(2)),
        (torch.full((2, 3), -0.1), torch.zeros(2)),
        (torch.full((2, 3), math.nan), torch.zeros(2)),
        (torch.zeros(2, 3, dtype=torch.float64), torch.zeros(2)),
        (torch.zeros(2, 3), torch.zeros(3)),
        (torch.zeros(0, 3), torch.zeros(0)),
    ],
)
def test_images_that_are_none_are_refused(images, labels):
    with pytest.raises(UserError, match="attack"):
        Search(lambda x: x, images, labels, Threat("linf", 0.1))


def test_losses_on_a_worked_example():
    scores, labels = torch.tensor([[3.0, 1.0, 0.0, -1.0], [3.0, 1.0, 0.0, -1.0]]), torch.tensor([0, 2])
    assert margin(scores, labels).tolist() == [-2.0, 3.0]
    torch.testing.assert_close(dlr(scores, labels), torch.tensor([-2.0 / 3.0, 1.0]))
    targeted = dlr_targeted(torch.tensor([1, 1]))(scores, labels)
    torch.testing.assert_close(targeted, torch.tensor([-2.0 / 3.5, 1.0 / 3.5]))
    torch.testing.assert_close(LOSSES["cross-entropy"](scores, labels), -scores.log_softmax(1)[[0, 1], labels])


@pytest.mark.parametrize("n_classes", [2, 3])
def test_ratio_losses_are_defined_for_few_classes(n_classes):
    scores, labels = torch.randn(5, n_classes), torch.zeros(5, dtype=torch.int64)
    assert torch.isfinite(dlr(scores, labels)).all()
    assert torch.isfinite(dlr_targeted(labels + 1)(scores, labels)).all()


@given(st.floats(0.01, 100.0), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_the_ratio_does_not_see_the_scale_of_the_scores(scale, seed):
    scores = torch.randn(4, 6, generator=torch.Generator().manual_seed(seed))
    labels = torch.tensor([0, 1, 2, 3])
    torch.testing.assert_close(dlr(scale * scores, labels), dlr(scores, labels), rtol=1e-3, atol=1e-4)


def test_expectation_averages_scores_and_gradients():
    calls = iter([1.0, 2.0, 6.0])
    images = torch.ones(1, 2, requires_grad=True)
    scores = expectation(lambda x: next(calls) * x, 3)(images)
    assert scores.tolist() == [[3.0, 3.0]]
    scores[0, 0].backward()
    assert images.grad.tolist() == [[3.0, 0.0]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["noise", "pgd-20", "apgd-dlr", "square-500", "deepfool"])
def test_attacks_on_a_gpu_find_what_they_find_on_a_cpu(name, digits):
    weights = torch.randn(64, 10, generator=torch.Generator().manual_seed(0))
    images, labels = digits.images[:20], digits.labels[:20]
    margins = []
    for device in ("cpu", "cuda"):
        there = weights.to(device)
        found = ATTACKS[name]()(lambda x, w=there: x.flatten(1) @ w, images.to(device), labels.to(device),
                                Threat("linf", 0.1), 0)  # fmt: skip
        margins.append(found.margin.cpu())
    assert float((margins[0] - margins[1]).abs().mean()) < 0.02 * float(margins[0].abs().mean())


def test_names_that_are_unknown_are_refused(digits):
    with pytest.raises(UserError, match="unknown"):
        build_attacks("pgd-7")
    with pytest.raises(UserError, match="no source"):
        build_attacks("transfer")
    with pytest.raises(UserError, match="loss"):
        get_loss("hinge")
    with pytest.raises(UserError, match="passes"):
        expectation(digits.perceptron, 0)


def test_suites_hold_what_the_verdict_needs(digits):
    for suite in ("quick", "standard"):
        attacks = build_attacks(suite, {"other": digits.other})
        assert {a.kind for a in attacks.values()} >= {"noise", "single-step", "iterative", "query", "transfer"}
        pairs = [(a, b) for a in attacks.values() for b in attacks.values() if a.family == b.family]
        assert any(b.steps == 2 * a.steps for a, b in pairs)
    assert list(build_attacks("fgsm, pgd-20")) == ["fgsm", "pgd-20"]
    assert "transfer from other" not in build_attacks("quick")
