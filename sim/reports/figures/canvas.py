"""What all figures share: style, colours, and how a drawing on axes becomes SVG text on a page.

A figure is a function that draws on matplotlib axes. Pages render it here; `sim.reports.plot` hands the axes to a
notebook.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

STYLE = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a93a3",
    "axes.labelcolor": "#3b4252",
    "xtick.color": "#3b4252",
    "ytick.color": "#3b4252",
    "axes.grid": True,
    "grid.color": "#e6e9ef",
    "axes.axisbelow": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "settle",
}
INK, BLUE, ORANGE, GREY = "#3b4252", "#2f6fb3", "#d9822b", "#8a93a3"
COLOURS = (BLUE, ORANGE, GREY, "#5a9367", "#8e6c8a", "#c0595c", "#4b9da9", "#b59f3b")
BARS = 100  # steps or values beyond which an area takes the place of bars, and a line has no markers
HALF_PAGE, SHORT, WIDE = (5.2, 3.0), (5.2, 2.8), (6.4, 3.6)  # inches
DOTS_PER_INCH = 144  # of what is drawn in pixels

Draw = Callable[..., None]  # axes, then what is drawn
Grid = NDArray[Any]  # of axes, [rows, columns]


def render(draw: Draw, *content: Any, size: tuple[float, float] = HALF_PAGE, **options: Any) -> str:
    """One drawing, `draw(axes, *content, **options)`, of so many inches, as SVG text."""
    return render_grid(lambda grid: draw(grid[0, 0], *content, **options), size)


def render_grid(
    draw: Callable[[Grid], None], size: tuple[float, float], rows: int = 1, columns: int = 1, **options: Any
) -> str:
    """Drawings on rows and columns of axes, as SVG text; options as of `Figure.subplots`."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size)
        draw(figure.subplots(rows, columns, squeeze=False, **options))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight", dpi=DOTS_PER_INCH)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def right_axis(axes: Axes, label: str) -> Axes:
    """A second vertical axis, for an orange line."""
    right = axes.twinx()
    right.set_ylabel(label, color=ORANGE)
    right.grid(visible=False)
    return right


def whole_numbers(axes: Axes) -> None:
    """Let the horizontal axis have ticks at whole numbers only."""
    axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))


def bins_of(values: NDArray[np.int64], most: int) -> int:
    """Number of bars of a histogram."""
    return min(most, max(5, len(np.unique(values))))
