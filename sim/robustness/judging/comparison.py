"""Two attacks on the same images, compared: what a difference must be to be seen, and what a check says of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from neuro.base.arrays import Bools
from neuro.base.metrics import Accuracy
from sim.robustness.attacks.search import ZeroGradient
from sim.robustness.attacks.threats import Threat
from sim.robustness.judging.table import Outcome, RobustnessTable

NOT_MEASURED = "not measured"
SIGNIFICANCE = 0.05  # of the one-sided test


@dataclass(frozen=True)
class Limits:
    """What a trusted table keeps within. Shares of images, 0..1.

    n_images: fewer measure nothing. excess: by how much a weaker attack may be better than a stronger one, and doubled
    steps better or worse than single ones, if a paired test sees it (one point); cap: the same, whatever a test says.
    zero_images: images whose whole gradient is zero; zero_entries: zero entries; returned_clean: images that the best
    white-box attack could not move. fidelity: equal labels of the twin and the deployed model. n_passes: of expectation
    over transformation, for stochastic models. not_rising: images whose loss does not rise. conflict: iterates near
    the boundary whose margin and label disagree. jump: of the margin, at the boundary. alone: images that only one of
    all attacks broke.
    """

    n_images: int = 100
    excess: float = 0.01
    cap: float = 0.03
    zero_images: float = 0.05
    zero_entries: float = 0.5
    returned_clean: float = 0.05
    fidelity: float = 0.95
    n_passes: int = 10
    not_rising: float = 0.1
    conflict: float = 0.15
    jump: float = 0.7
    alone: float = 0.05


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


def excess(stronger: Bools, weaker: Bools, limits: Limits) -> tuple[float, bool]:
    """Compare two attacks on the same images; flags [n]: the model withstood.

    Returns: accuracy under the attack that should be stronger minus that under the weaker one, and whether that is
    allowed: it is not if it is more than `limits.cap`, or more than `limits.excess` and one-sided. One-sided: of the
    images that only one of the two broke, so many or more would be the weaker one's in less than SIGNIFICANCE of all
    cases if both were equally likely (McNemar's test, exact).
    """
    only_weaker, only_stronger = int((stronger & ~weaker).sum()), int((weaker & ~stronger).sum())
    gap = (only_weaker - only_stronger) / len(stronger)
    seen = gap > limits.excess and tail(only_weaker, only_weaker + only_stronger) < SIGNIFICANCE
    return gap, not (seen or gap > limits.cap)


def tail(heads: int, tosses: int) -> float:
    """The probability of at least so many heads in tosses of a fair coin."""
    return float(sum(math.comb(tosses, k) for k in range(heads, tosses + 1)) / 2**tosses)


def resolution(n: int, limits: Limits) -> float:
    """The largest difference of two attacks on n images that `excess` allows, if all images that differ do one way."""
    seen = (k for k in range(1, n + 2) if k / n > limits.excess and tail(k, k) < SIGNIFICANCE)
    capped = (k for k in range(1, n + 2) if k / n > limits.cap)
    return (min(next(seen), next(capped)) - 1) / n


def strongest(outcomes: list[Outcome]) -> Outcome | None:
    """The outcome of the lowest deployed accuracy; of equals the one with the fewest zero gradients."""

    def rank(outcome: Outcome) -> tuple[int, float]:
        return outcome.accuracy.n_correct, outcome.zero_gradient.clean_images if outcome.zero_gradient else 1.0

    return min(outcomes, key=rank, default=None)


def worst_of(name: str, limit: float, found: list[tuple[float, bool, str]], rising: bool = True) -> Check:
    """The failed value, else the worst one, of (value, passed, where); not measured if there is none."""
    if not found:
        return Check(name, False, math.nan, limit)
    value, passed, where = max(found, key=lambda f: (not f[1], f[0] if rising else -f[0]))
    return Check(name, passed, value, limit, where)


def compare(
    table: RobustnessTable, name: str, limits: Limits,
    sides: Callable[[Threat], tuple[Bools | None, Bools | None]],
) -> Check:  # fmt: skip
    """Compare the (stronger, weaker) sides under every threat that has both."""
    measured = []
    for threat in table.threats:
        stronger, weaker = sides(threat)
        if stronger is not None and weaker is not None:
            measured.append((*excess(stronger, weaker, limits), str(threat)))
    return worst_of(name, limits.excess, measured)


def without_gradient(
    table: RobustnessTable, name: str, limits: Limits, share_of: Callable[[ZeroGradient], float]
) -> Check:
    """Few images have a gradient of zero everywhere, for the best white-box attack; share_of: those looked at."""
    measured = []
    for threat in table.threats:
        best = strongest(table.white_box(threat))
        if best and best.zero_gradient:
            share = share_of(best.zero_gradient)
            count = Accuracy(round(share * len(table.clean)), len(table.clean))
            measured.append((share, count.interval[0] <= limits.zero_images, f"{best.attack}, {threat}"))
    return worst_of(name, limits.zero_images, measured)


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
