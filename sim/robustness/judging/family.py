"""Checks of single attacks: signs of one that failed, which the best of all attacks hides.

Each is an indicator of attack failure (Pintor et al. 2022), or of a score that does not decide the label. What was not
met (no image came to the boundary) is no sign.
"""

from __future__ import annotations

import numpy as np

from neuro.base.arrays import Float32
from neuro.base.metrics import Accuracy
from sim.robustness.judging.comparison import Check, Limits, excess, grey_eps, strongest, without_gradient, worst_of
from sim.robustness.judging.table import Outcome, RobustnessTable, measured, worst_case

FEWEST = 10  # images that a median is taken of


def steps_beat_one_step(table: RobustnessTable, limits: Limits) -> Check:
    """On every twin, projected gradients are no weaker than one step of the same gradient: else they are shattered."""
    seen = []
    for threat in table.threats:
        for model in {o.model for o in table.select(threat)}:
            members = [o for o in table.select(threat) if o.model == model]
            many = worst_case(o for o in members if o.family == "pgd" and o.steps > 1)
            one = worst_case(o for o in members if o.family == "fgsm")
            if many is not None and one is not None:
                seen.append((*excess(many, one, limits), f"{model}, {threat}"))
    return worst_of("PGD no weaker than FGSM on the same twin", limits.excess, seen)


def doubling_does_not_hurt(table: RobustnessTable, limits: Limits) -> Check:
    """Of an attack that was run with n steps and with 2 n on the same twin, the longer one is no weaker."""
    seen = []
    for threat in table.threats:
        runs = [o for o in table.select(threat, "single-step", "iterative") if o.steps > 1]
        for half in runs:
            for whole in runs:
                if (half.model, half.family, 2 * half.steps, half.seed) == (
                    whole.model, whole.family, whole.steps, whole.seed
                ):  # fmt: skip
                    where = f"{half.attack} to {whole.attack} on {half.model}, {threat}"
                    seen.append((*excess(whole.correct, half.correct, limits), where))
    return worst_of("doubled steps do not hurt", limits.excess, seen)


def gradients_stay(table: RobustnessTable, limits: Limits) -> Check:
    """On the way of the best white-box attack few images lose their whole gradient: their path would end there."""
    name = "paths that end early, without a gradient"
    return without_gradient(table, name, limits, lambda zero: zero.iterate_images)


def loss_rises(table: RobustnessTable, limits: Limits) -> Check:
    """Of most images that withstood the best iterative attack the loss rises, from first to last quarter of its way.

    Of those that climb once: restarts and further targets begin anew.
    """
    seen = []
    for threat in table.threats:
        best = strongest([o for o in table.select(threat, "iterative") if _climbs_once(o)])
        if best and threat.eps < grey_eps(threat.norm, table.n_inputs):
            still = Accuracy(int(((best.rose == 0) & best.correct).sum()), len(best.rose))
            seen.append((still.value, still.interval[0] <= limits.not_rising, f"{best.attack}, {threat}"))
    return worst_of("images whose loss does not rise", limits.not_rising, seen)


def _climbs_once(outcome: Outcome) -> bool:
    return " x" not in outcome.family and "targeted" not in outcome.family and not np.isnan(outcome.rose).all()


def label_follows_score(table: RobustnessTable, limits: Limits) -> Check:
    """Near the boundary the sign of the margin that is climbed tells the deployed label."""
    first = next(iter(table.clean_agreement), None)
    seen = []
    for threat in table.threats:
        if threat.eps < grey_eps(threat.norm, table.n_inputs):
            # iterates of other kinds leave the threat: what is scored is not what had the margin
            members = [o for o in table.select(threat, "single-step", "iterative") if o.model == first]
            values = _of(members, "conflict")
            if len(values) >= FEWEST:
                share = float(values.mean())
                seen.append((share, share <= limits.conflict, str(threat)))
    return worst_of("margins whose sign is not the label", limits.conflict, seen or [(0.0, True, "none was near")])


def score_falls_to_the_boundary(table: RobustnessTable, limits: Limits) -> Check:
    """The margin comes near 0 before the model is fooled: a score that leaps does not lead there."""
    seen = []
    for threat in table.threats:
        if threat.eps < grey_eps(threat.norm, table.n_inputs):
            found = [(float(np.median(v)), o) for o in table.select(threat, "iterative")
                     if len(v := _of([o], "jump")) >= FEWEST]  # fmt: skip
            if found:
                smallest, outcome = min(found, key=lambda f: f[0])
                seen.append((smallest, smallest <= limits.jump, f"{outcome.attack} on {outcome.model}, {threat}"))
    return worst_of("leap of the margin when the label turns", limits.jump, seen or [(0.0, True, "none turned")])


def none_breaks_alone(table: RobustnessTable, limits: Limits) -> Check:
    """Few images fall to one attack alone: by the share that do, the next attack would break as many more.

    Source: Good 1953 (the unseen mass is the share of what was seen once).
    """
    seen = []
    for threat in table.threats:
        outcomes = table.select(threat)
        if len(outcomes) > 2 and threat.eps < grey_eps(threat.norm, table.n_inputs):
            alone = sum((~o.correct).astype(int) for o in outcomes) == 1
            share = Accuracy(int(np.asarray(alone).sum()), len(table.clean))
            seen.append((share.value, share.interval[0] <= limits.alone, str(threat)))
    return worst_of("images that only one attack broke", limits.alone, seen)


def _of(outcomes: list[Outcome], name: str) -> Float32:
    """What was measured of all images of outcomes."""
    return measured(np.concatenate([np.zeros(0, np.float32), *(getattr(o, name) for o in outcomes)]))
