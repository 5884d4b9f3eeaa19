"""Certificates drawn on axes: from below what is proved of the smoothed classifier, from above what attacks left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from neuro.base.arrays import Reals
from sim.reports.figures.attack import SIZES, BySize, Intervals, robust_curve
from sim.reports.figures.canvas import COLOURS, DASHES, EDGE

POINTS = 400


@dataclass(frozen=True)
class Lower:
    """A certified curve. radii: of the images whose class is right, ascending; n: of all images; reach: the largest."""

    label: str
    radii: Sequence[float]
    n: int
    reach: float

    def shares(self, sizes: Reals) -> Reals:
        """The certified accuracy at sizes, of the same shape; at 0 that of all images that are not abstained."""
        below = np.searchsorted(np.asarray(self.radii, dtype=np.float64), sizes, side="left")
        shares: Reals = (len(self.radii) - below) / self.n
        return shares


@dataclass(frozen=True)
class Upper:
    """What attacks left of the plain network, by size."""

    label: str
    clean: float
    robust: BySize
    intervals: Intervals


def certified_curves(axes: Axes, norm: str, lowers: Sequence[Lower], uppers: Sequence[Upper]) -> None:
    """Draw accuracy against the size of a change: certified curves, attacked ones, and the gap between the best two."""
    for index, lower in enumerate(lowers):
        sizes = np.linspace(0.0, lower.reach, POINTS)
        colour, dashes = COLOURS[index % len(COLOURS)], DASHES[index % len(DASHES)]
        axes.plot(sizes, lower.shares(sizes), linewidth=1.8, label=lower.label, color=colour, linestyle=dashes)
    if lowers and uppers:
        reach = min(max(lower.reach for lower in lowers), max(max(upper.robust) for upper in uppers))
        sizes = np.linspace(0.0, reach, POINTS)
        proved = np.max([np.where(sizes <= low.reach, low.shares(sizes), 0.0) for low in lowers], axis=0)
        left = np.min([_between(upper, sizes) for upper in uppers], axis=0)
        axes.fill_between(sizes, proved, left, where=list(left > proved), color=EDGE, alpha=0.2, linewidth=0,
                          label="not decided")  # fmt: skip
    for index, upper in enumerate(uppers):
        robust_curve(axes, norm, upper.clean, upper.robust, upper.intervals, upper.label, index + len(lowers))
    axes.set(xlabel=SIZES[norm], ylabel="accuracy", ylim=(-0.02, 1.02))
    axes.legend(loc="upper center", bbox_to_anchor=(0.46, -0.2), ncols=1, handlelength=3)


def _between(upper: Upper, sizes: Reals) -> Reals:
    """What attacks left at sizes: between the points where they were made, on straight lines."""
    points = {0.0: upper.clean, **dict(sorted(upper.robust.items()))}
    found: Reals = np.interp(sizes, list(points), list(points.values()), right=np.inf)
    return found
