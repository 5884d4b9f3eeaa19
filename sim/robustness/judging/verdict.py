"""Whether to believe a table of robust accuracies: the signs of gradient masking, each a stated check.

A defence that hides its gradient looks robust to attacks that follow it. The checks ask what no honest table breaks
(Athalye et al. 2018; Carlini et al. 2019; Croce et al. 2022). They know nothing of the model, only the table. A check
that cannot be made counts as failed, "not measured"; sampling error is allowed for by 95 % Wilson intervals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neuro.base.arrays import Bools
from neuro.base.metrics import Accuracy
from sim.robustness.attacks.search import WHITE_BOX, Kind, Threat
from sim.robustness.judging.table import Outcome, RobustnessTable, worst_case

NOT_MEASURED = "not measured"
ITERATIVE_AND_SINGLE: tuple[Kind, Kind] = ("iterative", "single-step")


@dataclass(frozen=True)
class Limits:
    """What a trusted table keeps within. Shares of images, 0..1.

    n_images: fewer measure nothing. excess: by how much a weaker attack may be better than a stronger one, and doubled
    steps better than single ones (one point). zero_images: images whose whole gradient is zero; zero_entries: zero
    entries; returned_clean: images that the best white-box attack could not move. fidelity: equal labels of the twin
    and the deployed model. n_passes: of expectation over transformation, for stochastic models.
    """

    n_images: int = 100
    excess: float = 0.01
    zero_images: float = 0.05
    zero_entries: float = 0.5
    returned_clean: float = 0.05
    fidelity: float = 0.95
    n_passes: int = 10


@dataclass(frozen=True)
class Check:
    """One check: its value (the worst over threats; NaN: not measured), the limit, and where the value was met."""

    name: str
    passed: bool
    value: float
    limit: float
    detail: str = ""

    def __str__(self) -> str:
        value = NOT_MEASURED if math.isnan(self.value) else f"{self.value:.3f}, limit {self.limit:.3f}"
        return f"{self.name}: {value}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class Verdict:
    """TRUSTED only if every check passed; reasons: the failed ones, in words. judged: whether the images sufficed."""

    trusted: bool
    reasons: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    judged: bool = True

    def __str__(self) -> str:
        if not self.judged:
            return "TOO FEW IMAGES TO JUDGE"
        return "TRUSTED" if self.trusted else "NOT TRUSTED"

    def to_json(self) -> dict[str, Any]:
        """The verdict, with None for values that were not measured."""
        checks = [
            {"name": c.name, "passed": c.passed, "value": None if math.isnan(c.value) else c.value, "limit": c.limit,
             "detail": c.detail}
            for c in self.checks
        ]  # fmt: skip
        return {"verdict": str(self), "reasons": self.reasons, "checks": checks}


def judge(table: RobustnessTable, limits: Limits | None = None) -> Verdict:
    """The verdict on a table. Every threat of the table is looked at, and the worst one counts."""
    limits = limits or Limits()
    checks = [check(table, limits) for check in CHECKS]
    if len(table.clean) < limits.n_images:
        few = f"{len(table.clean)} images, at least {limits.n_images} are needed"
        return Verdict(False, [few], [Check(c.name, False, math.nan, c.limit, few) for c in checks], judged=False)
    reasons = [str(check) for check in checks if not check.passed]
    return Verdict(not reasons, reasons, checks)


def excess(stronger: Bools, weaker: Bools, tolerance: float) -> tuple[float, bool]:
    """Compare two attacks on the same images; flags [n]: the model withstood.

    Returns: accuracy under the attack that should be stronger minus that under the weaker one, and whether that is
    within `tolerance`, allowing for sampling: it is not if the net number of images is more than the tolerance (lower
    end of its interval) and those that disagree do so one-sidedly (the same for the share of 1/2; a sign test).
    """
    only_weaker, only_stronger = int((stronger & ~weaker).sum()), int((weaker & ~stronger).sum())
    net = only_weaker - only_stronger
    if net <= 0:
        return net / len(stronger), True
    beyond = Accuracy(net, len(stronger)).interval[0] > tolerance
    one_sided = Accuracy(only_weaker, only_weaker + only_stronger).interval[0] > 0.5
    return net / len(stronger), not (beyond and one_sided)


def strongest(outcomes: list[Outcome]) -> Outcome | None:
    """The outcome of the lowest deployed accuracy; of equals the one with the fewest zero gradients."""

    def rank(outcome: Outcome) -> tuple[int, float]:
        return outcome.accuracy.n_correct, outcome.zero_gradient.clean_images if outcome.zero_gradient else 1.0

    return min(outcomes, key=rank, default=None)


def _worst(name: str, limit: float, found: list[tuple[float, bool, str]], rising: bool = True) -> Check:
    """The failed value, else the worst one, of (value, passed, where); not measured if there is none."""
    if not found:
        return Check(name, False, math.nan, limit)
    value, passed, where = max(found, key=lambda f: (not f[1], f[0] if rising else -f[0]))
    return Check(name, passed, value, limit, where)


def _compare(
    table: RobustnessTable, name: str, limit: float,
    sides: Callable[[Threat], tuple[Bools | None, Bools | None]],
) -> Check:  # fmt: skip
    """Compare the (stronger, weaker) sides under every threat that has both."""
    measured = []
    for threat in table.threats:
        stronger, weaker = sides(threat)
        if stronger is not None and weaker is not None:
            measured.append((*excess(stronger, weaker, limit), str(threat)))
    return _worst(name, limit, measured)


def iterative_beats_single_step(table: RobustnessTable, limits: Limits) -> Check:
    """The best iterative attack is no weaker than the best single step."""

    def sides(threat: Threat) -> tuple[Bools | None, Bools | None]:
        many, one = (strongest(table.select(threat, kind)) for kind in ITERATIVE_AND_SINGLE)
        return many.correct if many else None, one.correct if one else None

    return _compare(table, "iterative no weaker than single step", limits.excess, sides)


def white_box_beats_transfer(table: RobustnessTable, limits: Limits) -> Check:
    """Attacks that see the gradient are no weaker than images made for another model."""

    def sides(threat: Threat) -> tuple[Bools | None, Bools | None]:
        return worst_case(table.white_box(threat)), worst_case(table.select(threat, "transfer"))

    return _compare(table, "white-box no weaker than transfer", limits.excess, sides)


def transfer_beats_noise(table: RobustnessTable, limits: Limits) -> Check:
    """Images made for another model are no weaker than noise."""

    def sides(threat: Threat) -> tuple[Bools | None, Bools | None]:
        return worst_case(table.select(threat, "transfer")), worst_case(table.select(threat, "noise"))

    return _compare(table, "transfer no weaker than noise", limits.excess, sides)


def white_box_beats_square(table: RobustnessTable, limits: Limits) -> Check:
    """A search without gradients is no better than those with."""

    def sides(threat: Threat) -> tuple[Bools | None, Bools | None]:
        return worst_case(table.white_box(threat)), worst_case(table.select(threat, "query"))

    return _compare(table, "white-box no weaker than Square", limits.excess, sides)


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

    check = _compare(table, name, limits.excess, sides)
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
    return _worst("accuracy falls to chance at a large eps", chance, measured)


def grey_eps(norm: str, n_inputs: int) -> float:
    """The eps at which every image can be turned grey."""
    return 0.5 if norm == "linf" else 0.5 * math.sqrt(n_inputs)


def with_grey(threats: Sequence[Threat], n_inputs: int) -> list[Threat]:
    """The threats and, for each of their norms, the one that turns every image grey, which the verdict needs."""
    largest: dict[str, float] = {}
    for threat in threats:
        largest[threat.norm] = max(threat.eps, largest.get(threat.norm, 0.0))
    grey = {norm: grey_eps(norm, n_inputs) for norm in largest}
    return [*threats, *(Threat(norm, eps) for norm, eps in grey.items() if largest[norm] < eps)]


def gradients_exist(table: RobustnessTable, limits: Limits) -> Check:
    """Few images have a gradient of zero, for the best white-box attack."""
    measured = []
    for threat in table.threats:
        best = strongest(table.white_box(threat))
        if best and best.zero_gradient:
            share = best.zero_gradient.clean_images
            count = Accuracy(round(share * len(table.clean)), len(table.clean))
            measured.append((share, count.interval[0] <= limits.zero_images, f"{best.attack}, {threat}"))
    return _worst("images without a gradient", limits.zero_images, measured)


def gradients_are_dense(table: RobustnessTable, limits: Limits) -> Check:
    """Few entries of the gradient are zero, for the best white-box attack."""
    measured = []
    for threat in table.threats:
        best = strongest(table.white_box(threat))
        if best and best.zero_gradient:
            share = best.zero_gradient.clean_entries
            measured.append((share, share <= limits.zero_entries, f"{best.attack}, {threat}"))
    return _worst("gradient entries that are zero", limits.zero_entries, measured)


def attacks_move(table: RobustnessTable, limits: Limits) -> Check:
    """The best white-box attack raises the margin of nearly every image."""
    measured = []
    for threat in table.threats:
        best = strongest(table.white_box(threat))
        if best:
            still = Accuracy(int(best.returned_clean.sum()), len(best.returned_clean))
            measured.append((still.value, still.interval[0] <= limits.returned_clean, f"{best.attack}, {threat}"))
    return _worst("images the attack could not move", limits.returned_clean, measured)


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
    return _worst("twin gives the deployed labels", limits.fidelity, measured, rising=False)


def repeatable_or_averaged(table: RobustnessTable, limits: Limits) -> Check:
    """Equal calls give equal answers, or the attacks averaged over enough passes."""
    passed = table.unrepeatable == 0 or table.n_passes >= limits.n_passes
    detail = "" if passed else f"stochastic model; average the attacks over {limits.n_passes} passes"
    return Check("answers that change from call to call", passed, table.unrepeatable, 0.0, detail)


CHECKS: tuple[Callable[[RobustnessTable, Limits], Check], ...] = (
    iterative_beats_single_step, white_box_beats_transfer, transfer_beats_noise, white_box_beats_square,
    doubling_changes_little, reaches_chance, gradients_exist, gradients_are_dense, attacks_move, twin_is_faithful,
    repeatable_or_averaged,
)  # fmt: skip
