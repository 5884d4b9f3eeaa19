"""Checks of all attacks together: what no honest table breaks.

A check that cannot be made counts as failed, "not measured"; shares allow for sampling by 95 % Wilson intervals.
"""

from __future__ import annotations

import math

import numpy as np

from neuro.base.arrays import Bools
from neuro.base.metrics import Accuracy
from sim.robustness.attacks.search import WHITE_BOX, Kind
from sim.robustness.attacks.threats import Threat
from sim.robustness.judging.comparison import (
    Check,
    Limits,
    compare,
    grey_eps,
    strongest,
    without_gradient,
    worst_of,
)
from sim.robustness.judging.table import RobustnessTable, worst_case

ITERATIVE_AND_SINGLE: tuple[Kind, Kind] = ("iterative", "single-step")


def iterative_beats_single_step(table: RobustnessTable, limits: Limits) -> Check:
    """The best iterative attack is no weaker than the best single step."""

    def sides(threat: Threat) -> tuple[Bools | None, Bools | None]:
        many, one = (strongest(table.select(threat, kind)) for kind in ITERATIVE_AND_SINGLE)
        return many.correct if many else None, one.correct if one else None

    return compare(table, "iterative no weaker than single step", limits, sides)


def white_box_beats_transfer(table: RobustnessTable, limits: Limits) -> Check:
    """Attacks that see the gradient are no weaker than images made for another model."""
    return _no_weaker(table, "white-box no weaker than transfer", limits, WHITE_BOX, "transfer")


def transfer_beats_noise(table: RobustnessTable, limits: Limits) -> Check:
    """Images made for another model are no weaker than noise."""
    return _no_weaker(table, "transfer no weaker than noise", limits, ("transfer",), "noise")


def white_box_beats_square(table: RobustnessTable, limits: Limits) -> Check:
    """A search without gradients is no better than those with."""
    return _no_weaker(table, "white-box no weaker than Square", limits, WHITE_BOX, "query")


def _no_weaker(table: RobustnessTable, name: str, limits: Limits, stronger: tuple[Kind, ...], weaker: Kind) -> Check:
    def sides(threat: Threat) -> tuple[Bools | None, Bools | None]:
        return worst_case(table.select(threat, *stronger)), worst_case(table.select(threat, weaker))

    return compare(table, name, limits, sides)


def doubling_changes_little(table: RobustnessTable, limits: Limits) -> Check:
    """Twice the steps of the longest attack that was also run with half of them change less than a point."""
    runs = [o for o in table.outcomes if o.kind in ("single-step", "iterative")]
    pairs = {(half.family, half.steps) for half in runs for whole in runs
             if half.family == whole.family and whole.steps == 2 * half.steps}  # fmt: skip
    name = "doubled steps change nothing"
    if not pairs:
        return Check(name, False, math.nan, limits.excess)
    family, steps = max(pairs, key=lambda pair: pair[1])

    def sides(threat: Threat) -> tuple[Bools | None, Bools | None]:
        members = [o for o in table.select(threat) if o.family == family]
        single, double = (worst_case(o for o in members if o.steps == n * steps) for n in (1, 2))
        return single, double

    check = compare(table, name, limits, sides)
    return Check(check.name, check.passed, check.value, check.limit, f"{family} {steps} to {2 * steps}, {check.detail}")


def reaches_chance(table: RobustnessTable, limits: Limits) -> Check:
    """White-box attacks reach chance where every image can be made the same grey one: linf .5, l2 .5 sqrt(pixels).

    No model is right on a grey image more often than a label is frequent: the lower end of the interval must reach it.
    """
    chance = float(np.bincount(table.labels).max()) / len(table.labels)
    measured = []
    for threat in table.threats:
        flags = worst_case(table.white_box(threat))
        if flags is not None and threat.eps >= grey_eps(threat.norm, table.n_inputs):
            accuracy = Accuracy(int(flags.sum()), len(flags))
            measured.append((accuracy.value, accuracy.interval[0] <= chance, str(threat)))
    return worst_of("accuracy falls to chance at a large eps", chance, measured)


def gradients_exist(table: RobustnessTable, limits: Limits) -> Check:
    """Few images have a gradient of zero, for the best white-box attack."""
    return without_gradient(table, "images without a gradient", limits, lambda zero: zero.clean_images)


def gradients_are_dense(table: RobustnessTable, limits: Limits) -> Check:
    """Few entries of the gradient are zero, for the best white-box attack."""
    measured = []
    for threat in table.threats:
        best = strongest(table.white_box(threat))
        if best and best.zero_gradient:
            share = best.zero_gradient.clean_entries
            measured.append((share, share <= limits.zero_entries, f"{best.attack}, {threat}"))
    return worst_of("gradient entries that are zero", limits.zero_entries, measured)


def attacks_move(table: RobustnessTable, limits: Limits) -> Check:
    """The best white-box attack raises the margin of nearly every image."""
    measured = []
    for threat in table.threats:
        best = strongest(table.white_box(threat))
        if best:
            still = Accuracy(int(best.returned_clean.sum()), len(best.returned_clean))
            measured.append((still.value, still.interval[0] <= limits.returned_clean, f"{best.attack}, {threat}"))
    return worst_of("images the attack could not move", limits.returned_clean, measured)


def twin_is_faithful(table: RobustnessTable, limits: Limits) -> Check:
    """The first model gives the labels of the deployed one, on clean and on its own adversarial images."""
    first = next(iter(table.clean_agreement), None)
    measured = []
    if first is not None:
        share = table.clean_agreement[first]
        measured.append((share, share >= limits.fidelity, "clean"))
    for threat in table.threats:
        agree = [o.agree for o in table.select(threat, *WHITE_BOX) if o.model == first]
        if agree and threat.eps < grey_eps(threat.norm, table.n_inputs):
            share = float(np.mean(agree))
            measured.append((share, share >= limits.fidelity, str(threat)))
    return worst_of("twin gives the deployed labels", limits.fidelity, measured, rising=False)


def repeatable_or_averaged(table: RobustnessTable, limits: Limits) -> Check:
    """Equal calls give equal answers, or the attacks averaged over enough passes."""
    passed = table.unrepeatable == 0 or table.n_passes >= limits.n_passes
    detail = "" if passed else f"stochastic model; average the attacks over {limits.n_passes} passes"
    return Check("answers that change from call to call", passed, table.unrepeatable, 0.0, detail)
