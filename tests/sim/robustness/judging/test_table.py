"""The table: who is attacked, who is scored, what is counted."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from neuro.base.errors import UserError
from sim.robustness.attacks.gradient import ProjectedGradient, fast_gradient
from sim.robustness.attacks.query import Noise
from sim.robustness.attacks.suites import build_attacks
from sim.robustness.attacks.threats import Threat
from sim.robustness.attacks.transfer import Transfer
from sim.robustness.judging.scoring import evaluate_robustness
from sim.robustness.judging.table import worst_case

THREAT = Threat("linf", 0.1)


def labels_of(model):
    def scorer(images):
        with torch.no_grad():
            return model(torch.from_numpy(images)).argmax(1).numpy()

    return scorer


def run(digits, attacks=None, model=None, **options):
    model = model or digits.perceptron
    attacks = attacks or {"fgsm": fast_gradient(), "pgd": ProjectedGradient(10), "noise": Noise(3)}
    options = {"threats": [THREAT], **options}
    return evaluate_robustness({"twin": model}, labels_of(digits.perceptron), attacks, digits.images, digits.labels,
                               **options)  # fmt: skip


def test_worst_case_is_taken_image_by_image(digits):
    table = run(digits, seeds=(0, 1), threats=[THREAT, Threat("l2", 0.5)])
    for threat in table.threats:
        outcomes = table.select(threat)
        assert len(outcomes) == 6
        expected = np.all([o.correct for o in outcomes], axis=0)
        assert table.robust(threat).n_correct == expected.sum()
        assert table.robust(threat).value <= min(a.value for a in table.by_attack(threat).values())
    assert worst_case([]) is None


def test_sizes_share_batches_and_nothing_else(digits):
    threats = [Threat("linf", 0.05), Threat("l2", 0.5), Threat("linf", 0.3)]
    said = []
    joined, alone = (run(digits, threats=threats, sizes_at_once=n, progress=said.append) for n in (2, 1))
    assert len(said) == 3 * 2 + 3 * 3
    assert "linf 0.05, linf 0.3: pgd on twin, seed 0" in said
    for threat in threats:
        for first, second in zip(joined.select(threat), alone.select(threat), strict=True):
            assert (first.attack, first.threat) == (second.attack, second.threat)
            np.testing.assert_allclose(first.margin, second.margin, atol=0.05)
            assert np.array_equal(first.correct, second.correct)


def test_what_counts_is_the_deployed_model(digits):
    """Attack another network than the one scored: figures are those of the one scored; the gap is said."""
    table = run(digits, {"pgd": ProjectedGradient(20)}, model=digits.other, iterates=0)
    outcome = table.outcomes[0]
    found = ProjectedGradient(20)(digits.other, digits.images, digits.labels, THREAT, 0)
    deployed = labels_of(digits.perceptron)(found.images.numpy()) == digits.labels.numpy()
    assert np.array_equal(outcome.correct, deployed)
    attacked = labels_of(digits.other)(found.images.numpy()) == digits.labels.numpy()
    assert np.array_equal(outcome.model_correct, attacked)
    assert outcome.to_json()["transfer_gap"] == pytest.approx((deployed & ~attacked).mean())
    assert table.clean_agreement["twin"] < 1.0


def test_only_attacks_with_a_gradient_run_on_further_models(digits):
    attacks = {"fgsm": fast_gradient(), "noise": Noise(1), "transfer": Transfer(digits.other, attack=fast_gradient())}
    table = evaluate_robustness({"a": digits.perceptron, "b": digits.other}, labels_of(digits.perceptron), attacks,
                                digits.images, digits.labels, [THREAT])  # fmt: skip
    assert [(o.model, o.attack) for o in table.outcomes] == [
        ("a", "fgsm"), ("b", "fgsm"), ("a", "noise"), ("a", "transfer"),
    ]  # fmt: skip


def test_a_given_gradient_is_run_on_the_first_model_only(digits):
    nothing = ProjectedGradient(20, gradient_fn=lambda images, labels: torch.zeros_like(images), family="pgd by none")
    attacks = build_attacks("fgsm") | {"pgd by none": nothing}
    table = evaluate_robustness({"a": digits.perceptron, "b": digits.other}, labels_of(digits.perceptron), attacks,
                                digits.images, digits.labels, [THREAT])  # fmt: skip
    given = [o for o in table.outcomes if o.family == "pgd by none"]
    assert [(o.model, o.attack) for o in given] == [("a", "pgd by none")]
    assert given[0].zero_gradient.clean_images == 1.0


def test_shards_of_whole_batches_repeat_the_whole(digits):
    whole = run(digits, batch_size=50)
    parts = [
        evaluate_robustness({"twin": digits.perceptron}, labels_of(digits.perceptron), {"pgd": ProjectedGradient(10)},
                            digits.images[start : start + 100], digits.labels[start : start + 100], [THREAT],
                            batch_size=50, first_index=start)
        for start in (0, 100)
    ]  # fmt: skip
    expected = next(o for o in whole.outcomes if o.attack == "pgd")
    assert np.array_equal(np.concatenate([p.outcomes[0].margin for p in parts]), expected.margin)


def test_images_and_progress_are_told(digits):
    seen, said = [], []
    run(digits, {"fgsm": fast_gradient()}, batch_size=150, progress=said.append,
        on_images=lambda model, attack, threat, seed, first, images: seen.append((first, len(images))))  # fmt: skip
    assert seen == [(0, 150), (150, 50)]
    assert said == ["linf 0.1: fgsm on twin, seed 0"]


def test_a_stochastic_scorer_is_noticed(digits):
    generator = np.random.default_rng(0)
    table = evaluate_robustness({"twin": digits.perceptron}, lambda images: generator.integers(0, 10, len(images)),
                                {"noise": Noise(1)}, digits.images, digits.labels, [THREAT])  # fmt: skip
    assert 0.8 < table.unrepeatable <= 1.0
    assert run(digits, {"noise": Noise(1)}).unrepeatable == 0.0


def test_report_is_plain_json_with_stated_keys(digits):
    content = json.loads(json.dumps(run(digits).to_json()))
    assert content["n"] == 200
    assert set(content["by_attack"]["linf 0.1"]) == {"fgsm", "pgd", "noise"}
    low, high = content["robust_interval"]["linf 0.1"]
    assert low <= content["robust"]["linf 0.1"] <= high
    noise = next(o for o in content["outcomes"] if o["attack"] == "noise")
    assert noise["zero_gradient"] is None


@pytest.mark.parametrize("missing", ["models", "attacks", "threats", "seeds", "images", "labels"])
def test_what_is_missing_is_named(missing, digits):
    given = {
        "models": {"twin": digits.perceptron}, "scorer": labels_of(digits.perceptron), "attacks": {"noise": Noise(1)},
        "images": digits.images, "labels": digits.labels, "threats": [THREAT], "seeds": (0,),
    }  # fmt: skip
    with pytest.raises(UserError, match=missing):
        evaluate_robustness(**{**given, missing: given[missing][:0] if missing not in ("models", "attacks") else {}})
