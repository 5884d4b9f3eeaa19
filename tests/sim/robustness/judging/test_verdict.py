"""The verdict: planted masked models are never trusted, plain ones are; each check on tables made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from shared_masked import Before, ClippedState, SaturatedSigmoid, Scaled

from sim.robustness.attacks.gradient import ProjectedGradient, fast_gradient
from sim.robustness.attacks.query import Noise, Square
from sim.robustness.attacks.search import ZeroGradient
from sim.robustness.attacks.suites import build_attacks
from sim.robustness.attacks.threats import Threat
from sim.robustness.defences.baselines import Recipe, real_images, train_baseline
from sim.robustness.judging.comparison import Limits, excess, resolution, tail, with_grey
from sim.robustness.judging.scoring import evaluate_robustness
from sim.robustness.judging.table import Outcome, RobustnessTable
from sim.robustness.judging.verdict import CHECKS, judge

HONEST = ("apgd-dlr", "averaged-20")  # attacks that see through a cross-entropy on saturated scores
EARLY = "paths that end early, without a gradient"
THREATS = (Threat("linf", 0.1), Threat("linf", 0.5))
N = 200


def labels_of(model):
    def scorer(images):
        with torch.no_grad():
            return model(torch.from_numpy(images)).argmax(1).numpy()

    return scorer


def unsafe(attacks):
    """The same attacks, those with a gradient on the cross-entropy."""
    steps = {"fgsm": 1, "pgd-20": 20, "pgd-40": 40}
    weak = {name: ProjectedGradient(n, loss="cross-entropy", family="pgd-ce") for name, n in steps.items()}
    return {**{name: attack for name, attack in attacks.items() if name not in HONEST}, **weak}


def table_of(model, digits, attacks=None, scorer=None, **options):
    attacks = attacks or build_attacks("quick", {"other": digits.other})
    with torch.random.fork_rng():
        torch.manual_seed(0)  # of the stochastic models
        scorer = labels_of(scorer or model)
        return evaluate_robustness({"twin": model}, scorer, attacks, digits.images, digits.labels, THREATS, **options)


def failed(verdict):
    return {check.name for check in verdict.checks if not check.passed}


def test_plain_perceptron_is_trusted(digits):
    verdict = judge(table_of(digits.perceptron, digits))
    assert (str(verdict), verdict.reasons) == ("TRUSTED (chosen attacks)", [])


@pytest.mark.parametrize(("name", "hidden"), [("cnn", (4, 8)), ("perceptron", ()), ("perceptron", (64, 32))])
def test_plain_networks_are_trusted(name, hidden, digits):
    model = train_baseline(name, digits.dataset, hidden, 2, Recipe(epochs=8, batch=25, learning_rate=5e-3)).model
    assert judge(table_of(model, digits)).reasons == []


PLANTED = {
    "clipped state": (lambda plain: ClippedState(plain), {"images without a gradient"}),
    "quantised": (lambda plain: Before(plain, "quantise"), {"white-box no weaker than Square"}),
    "thermometer": (lambda plain: Before(plain, "thermometer"), {"images without a gradient"}),
    "shattered": (lambda plain: Before(plain, "shatter"), {"white-box no weaker than transfer"}),
    "stochastic": (lambda plain: Before(plain, "noise"), {"answers that change from call to call"}),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_planted_masks_are_not_trusted(name, digits):
    make, expected = PLANTED[name]
    model = make(digits.perceptron)
    table = table_of(model, digits)
    verdict = judge(table)
    assert table.clean.mean() > 0.8  # it works, and hides
    assert str(verdict) == "NOT TRUSTED"
    assert expected <= failed(verdict)


def test_cross_entropy_on_a_clipped_state_is_not_trusted(digits):
    """The naive attack on a settling network: nearly all gradients are exactly zero."""
    model = ClippedState(digits.perceptron)
    table = table_of(model, digits, unsafe(build_attacks("quick", {"other": digits.other})))
    assert table.select(THREATS[0], "single-step")[0].zero_gradient.clean_entries > 0.9
    assert {"images without a gradient", "white-box no weaker than Square"} <= failed(judge(table))


def test_saturated_sigmoids_are_not_trusted(digits):
    labels = torch.tensor(digits.dataset.y_train, dtype=torch.int64)
    model = SaturatedSigmoid(real_images(digits.dataset.x_train), labels)
    verdict = judge(table_of(model, digits))
    assert not verdict.trusted
    assert "images that only one attack broke" in failed(verdict)


def test_cross_entropy_on_large_scores_is_not_trusted_but_the_margin_is(digits):
    model = Scaled(digits.perceptron, 1e4)
    attacks = build_attacks("quick", {"other": digits.other})
    assert "images without a gradient" in failed(judge(table_of(model, digits, unsafe(attacks))))
    assert judge(table_of(model, digits, attacks)).trusted


def test_too_few_steps_are_not_trusted(digits):
    short = {f"short {n}": ProjectedGradient(n, step=0.1, random_start=False) for n in (1, 2, 4)}
    rest = {n: a for n, a in build_attacks("quick", {"other": digits.other}).items() if n in ("noise", "square-500")}
    verdict = judge(table_of(digits.perceptron, digits, {**short, **rest}))
    assert "doubled steps change nothing" in failed(verdict)


def test_another_network_is_no_twin(digits):
    verdict = judge(table_of(digits.other, digits, scorer=digits.perceptron))
    assert "twin gives the deployed labels" in failed(verdict)


def test_averaging_over_passes_is_asked_of_a_stochastic_model_and_enough(digits):
    attacks = {"noise": Noise(3), "fgsm": fast_gradient()}
    name = "answers that change from call to call"
    averaged = judge(table_of(Before(digits.perceptron, "noise"), digits, attacks, n_passes=10))
    assert name not in failed(averaged)


def test_what_was_not_run_is_not_trusted(digits):
    verdict = judge(table_of(digits.perceptron, digits, {"noise": Noise(3)}))
    assert not verdict.trusted
    assert "iterative no weaker than single step: not measured" in verdict.reasons


def test_too_few_images_measure_nothing(digits):
    attacks = {"noise": Noise(3), "square": Square(3)}
    table = evaluate_robustness({"twin": digits.perceptron}, labels_of(digits.perceptron), attacks,
                                digits.images[:50], digits.labels[:50], THREATS)  # fmt: skip
    verdict = judge(table)
    assert verdict.reasons == ["50 images, at least 100 are needed"]
    assert (verdict.trusted, verdict.judged) == (False, False)
    assert len(verdict.checks) == len(CHECKS)
    assert not any(check.passed for check in verdict.checks)


def outcome(n_correct, kind="iterative", steps=20, eps=0.1, n=N, family="pgd", zero=0.0, **changes):
    correct = np.arange(n) < n_correct
    values = dict(
        model="twin", attack=f"{family}-{steps}", family=family, kind=kind, steps=steps, threat=Threat("linf", eps),
        seed=0, correct=correct, model_correct=correct, agree=np.ones(n, bool), returned_clean=np.zeros(n, bool),
        margin=np.zeros(n, np.float32), conflict=np.zeros(n, np.float32), jump=np.full(n, 0.1, np.float32),
        rose=np.ones(n, np.float32), zero_gradient=ZeroGradient(zero, zero, zero, zero), cpu_s=0.0,
    )  # fmt: skip
    return Outcome(**{**values, **changes})


def good_table(n=N, **replaced):
    """A table without a fault; `replaced`: outcomes by name."""
    outcomes = {
        "noise": outcome(int(0.95 * n), "noise", n=n, family="noise"),
        "single": outcome(int(0.5 * n), "single-step", 1, n=n, family="fgsm"),
        "half": outcome(int(0.4 * n), steps=20, n=n),
        "whole": outcome(int(0.4 * n), steps=40, n=n),
        "square": outcome(int(0.45 * n), "query", n=n, family="square"),
        "transfer": outcome(int(0.7 * n), "transfer", n=n, family="transfer"),
        "grey": outcome(0, steps=40, eps=0.5, n=n),
        **replaced,
    }
    labels = np.arange(n) % 10
    return RobustnessTable(labels, np.ones(n, bool), {"twin": 1.0}, 0.0, 1, 10, 64, list(outcomes.values()))


def test_a_good_table_passes_all():
    assert judge(good_table()).trusted


@pytest.mark.parametrize(
    ("replaced", "name"),
    [
        ({"single": outcome(60, "single-step", 1, family="fgsm")}, "iterative no weaker than single step"),
        ({"transfer": outcome(60, "transfer", family="transfer")}, "white-box no weaker than transfer"),
        ({"transfer": outcome(199, "transfer", family="transfer")}, "transfer no weaker than noise"),
        ({"square": outcome(60, "query", family="square")}, "white-box no weaker than Square"),
        ({"half": outcome(90), "single": outcome(95, "single-step", 1)}, "doubled steps change nothing"),
        ({"grey": outcome(60, eps=0.5, steps=40)}, "accuracy falls to chance at a large eps"),
        ({"grey": outcome(0, eps=0.4, steps=40)}, "accuracy falls to chance at a large eps"),
        ({"whole": outcome(79, steps=40, zero=0.98)}, "images without a gradient"),
        ({"whole": outcome(79, steps=40, zero=0.98)}, "gradient entries that are zero"),
        ({"whole": outcome(79, steps=40, returned_clean=np.arange(N) < 40)}, "images the attack could not move"),
        ({"whole": outcome(80, steps=40, agree=np.arange(N) < 150)}, "twin gives the deployed labels"),
        ({"whole": outcome(120, steps=40), "half": outcome(120)}, "PGD no weaker than FGSM on the same twin"),
        ({"whole": outcome(90, steps=40)}, "doubled steps do not hurt"),
        ({"whole": outcome(79, steps=40, rose=np.arange(N) >= 40)}, "images whose loss does not rise"),
        ({"whole": outcome(79, steps=40, zero_gradient=ZeroGradient(0, 0, 0, 0.2))}, EARLY),
        ({"whole": outcome(80, steps=40, conflict=np.full(N, 0.5, np.float32))}, "margins whose sign is not the label"),
        (
            {name: outcome(80, steps=n, jump=np.full(N, 0.9, np.float32)) for name, n in (("half", 20), ("whole", 40))},
            "leap of the margin when the label turns",
        ),
        ({"whole": outcome(60, steps=40)}, "images that only one attack broke"),
    ],
)
def test_each_fault_fails_its_own_check(replaced, name):
    assert name in failed(judge(good_table(**replaced)))


@pytest.mark.parametrize("n", [100, 200, 1000])
def test_sampling_error_of_equal_attacks_seldom_alarms(n):
    """Two attacks of equal strength that disagree on 2 % of the images: at most 5 % alarms in 300 draws."""
    generator = np.random.default_rng(n)
    draws = []
    for _ in range(300):
        first = generator.random(n) < 0.5
        draws.append(excess(first, first ^ (generator.random(n) < 0.02), Limits())[1])
    assert np.mean(draws) > 0.95


def test_a_clear_excess_is_always_seen():
    generator = np.random.default_rng(0)
    for _ in range(100):
        weaker = generator.random(N) < 0.5
        assert not excess(weaker | (generator.random(N) < 0.2), weaker, Limits())[1]


def test_excess_is_the_difference_of_the_accuracies():
    stronger, weaker = np.arange(N) < 120, np.arange(N) < 100
    assert excess(stronger, weaker, Limits()) == (pytest.approx(0.1), False)
    assert excess(weaker, stronger, Limits()) == (pytest.approx(-0.1), True)


@pytest.mark.parametrize(("n", "largest"), [(100, 0.03), (200, 0.02), (1000, 0.01), (10_000, 0.01)])
def test_the_largest_difference_that_passes_is_the_one_that_is_told(n, largest):
    assert resolution(n, Limits()) == pytest.approx(largest)
    broken = round(largest * n)
    withstood = np.ones(n, bool)
    assert excess(withstood, np.arange(n) >= broken, Limits())[1]
    assert not excess(withstood, np.arange(n) >= broken + 1, Limits())[1]
    assert f"below {largest:.3f} cannot be seen with {n} images" in judge(good_table(n=n)).note


def test_no_gap_above_the_cap_passes_however_many_images_differ():
    both = np.arange(N) < 100
    stronger, weaker = both.copy(), both.copy()
    stronger[100:150], weaker[150:193] = True, True  # 50 against 43: no test sees 3.5 points
    assert tail(50, 93) > 0.2
    assert not excess(stronger, weaker, Limits())[1]


def test_attacks_that_begin_anew_or_leave_the_threat_are_no_sign_of_failure():
    """Restarts and further targets do not rise on the whole; minimal-norm iterates are scored cut to the threat."""
    halves, never = np.full(N, 0.5, np.float32), np.zeros(N, np.float32)
    others = {
        "targeted": outcome(79, steps=100, family="apgd dlr-targeted", rose=never),
        "restarts": outcome(79, steps=100, family="pgd x5", rose=never),
        "minimal": outcome(80, "minimal-norm", 50, family="fab", conflict=halves),
    }
    assert judge(good_table(**others)).reasons == []


def test_the_verdict_names_its_suite():
    assert str(judge(good_table(), suite="quick")) == "TRUSTED (quick)"
    assert str(judge(good_table(), suite="standard")) == "TRUSTED (standard)"


def test_the_threat_that_turns_images_grey_is_added_once():
    small = [Threat("linf", 0.1), Threat("l2", 1.0)]
    grey = with_grey(small, 64)
    assert grey == [*small, Threat("linf", 0.5), Threat("l2", 4.0)]
    assert with_grey(grey, 64) == grey


def test_report_names_value_and_limit():
    content = judge(good_table(whole=outcome(79, steps=40, zero=0.98)), Limits(zero_images=0.1)).to_json()
    assert content["verdict"] == "NOT TRUSTED"
    assert "images without a gradient: 0.980, limit 0.100 (pgd-40, linf 0.1)" in content["reasons"]
