"""Small multiples: one measure each, every row a point with its interval, the perceptron as a line."""

from __future__ import annotations

from matplotlib.axes import Axes

from benchmarks.atlas.config import REFERENCE
from benchmarks.atlas.summary import BETTER, LOWER, Atlas
from sim.reports.figures.canvas import BLUE, EDGE, GREEN, ORANGE

ROW = 0.28  # inches
COLOURS = {BETTER: GREEN, LOWER: ORANGE, "": BLUE}


def measure(axes: Axes, atlas: Atlas, column: str) -> None:
    """Draw a column of the table."""
    shown = [row for row in atlas.rows if atlas.entries[row, column].value is not None]
    for place, row in enumerate(shown):
        entry = atlas.entries[row, column]
        value, (low, high) = float(entry.value or 0.0), entry.interval or (float(entry.value or 0.0),) * 2
        axes.errorbar(
            [value], [-place], xerr=[[value - low], [high - value]], marker="o", capsize=3, color=COLOURS[entry.against]
        )  # fmt: skip
        if row == REFERENCE:
            axes.axvline(value, color=EDGE, linewidth=0.9, linestyle=":")
    axes.set_yticks([-place for place in range(len(shown))], shown)
    axes.set_xlabel(atlas.title(column))


def measure_size(atlas: Atlas) -> tuple[float, float]:
    """Inches of a figure of `measure`."""
    return 4.95, 0.9 + ROW * len(atlas.rows)
