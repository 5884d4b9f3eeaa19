"""Whether to believe a table of robust accuracies: the signs of gradient masking, each a stated check.

A defence that hides its gradient looks robust to attacks that follow it. The checks ask what no honest table breaks
(Athalye et al. 2018; Carlini et al. 2019; Croce et al. 2022; Pintor et al. 2022). They know nothing of the model, only
the table: those of `masking` compare all attacks, those of `family` look at single ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sim.robustness.judging import family, masking
from sim.robustness.judging.comparison import Check, Limits, resolution
from sim.robustness.judging.table import RobustnessTable

OTHER = "chosen attacks"


@dataclass(frozen=True)
class Verdict:
    """TRUSTED only if every check passed, and by what suite, since they differ in what they can see.

    reasons: the failed ones, in words. judged: whether the images sufficed. suite: "quick", "standard", or "" for other
    attacks. note: differences that so few images cannot show.
    """

    trusted: bool
    reasons: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    judged: bool = True
    suite: str = ""
    note: str = ""

    def __str__(self) -> str:
        if not self.judged:
            return "TOO FEW IMAGES TO JUDGE"
        return f"TRUSTED ({self.suite or OTHER})" if self.trusted else "NOT TRUSTED"

    def to_json(self) -> dict[str, Any]:
        """The verdict, with None for values that were not measured."""
        checks = [
            {"name": c.name, "passed": c.passed, "value": None if math.isnan(c.value) else c.value, "limit": c.limit,
             "detail": c.detail}
            for c in self.checks
        ]  # fmt: skip
        return {"verdict": str(self), "reasons": self.reasons, "note": self.note, "checks": checks}


def judge(table: RobustnessTable, limits: Limits | None = None, suite: str = "") -> Verdict:
    """The verdict on a table. Every threat of the table is looked at, and the worst one counts.

    suite: the name of the suite of attacks that filled it, for the words of the verdict.
    """
    limits = limits or Limits()
    checks = [check(table, limits) for check in CHECKS]
    if len(table.clean) < limits.n_images:
        few = f"{len(table.clean)} images, at least {limits.n_images} are needed"
        unknown = [Check(c.name, False, math.nan, c.limit, few) for c in checks]
        return Verdict(False, [few], unknown, judged=False, suite=suite)
    reasons = [str(check) for check in checks if not check.passed]
    n = len(table.clean)
    note = f"differences of attacks below {resolution(n, limits):.3f} cannot be seen with {n} images"
    return Verdict(not reasons, reasons, checks, suite=suite, note=note)


CHECKS: tuple[Callable[[RobustnessTable, Limits], Check], ...] = (
    masking.iterative_beats_single_step, family.steps_beat_one_step, masking.white_box_beats_transfer,
    masking.transfer_beats_noise, masking.white_box_beats_square, masking.doubling_changes_little,
    family.doubling_does_not_hurt, masking.reaches_chance, masking.gradients_exist, family.gradients_stay,
    masking.gradients_are_dense, masking.attacks_move, family.loss_rises, masking.twin_is_faithful,
    family.label_follows_score, family.score_falls_to_the_boundary, family.none_breaks_alone,
    masking.repeatable_or_averaged,
)  # fmt: skip
