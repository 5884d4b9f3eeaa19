"""What all figures share: style, colours, and how a drawing on axes becomes SVG text on a page.

A figure is a function that draws on matplotlib axes. Pages render it here; `sim.reports.plot` hands the axes to a
notebook.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

INK, EDGE, LINES = "#3b4252", "#8a93a3", "#e6e9ef"  # text and what points at data; axes; grid
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", EDGE
COLOURS = (BLUE, ORANGE, GREEN, "#cc79a7", "#56b4e9", "#e69f00", "#5b6475", "#a6761d")
"""Okabe and Ito's, which everybody can tell apart, without yellow and black (Color Universal Design, 2008)."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
DASHES = ("-", "--", "-.", ":")
SHARES = "cividis"  # of shares in 0..1: rises in lightness, also for colour-blind readers (Nunez et al. 2018)
TEXT_SIZE = 10  # points, of all texts but those within cells of a matrix
STYLE = {
    "font.family": "sans-serif",
    "font.size": TEXT_SIZE,
    "axes.titlesize": "medium",
    "text.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": EDGE,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.color": LINES,
    "legend.frameon": False,
    "axes.axisbelow": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "settle",
}
PHASE_COLOURS = ("#eef4fb", "#fdf1e3", "#f6ecf7")
THEMED = {
    INK: "ink", EDGE: "edge", LINES: "grid", BLUE: "blue", ORANGE: "orange",
    **{colour: f"phase{number}" for number, colour in enumerate(PHASE_COLOURS, 1)},
}  # fmt: skip
"""Colours that pages set anew on a dark ground, as the variables `--figure-...` of their style sheet."""
BARS = 100  # steps or values beyond which an area takes the place of bars, and a line has no markers
HALF_PAGE, SHORT, WIDE = (4.95, 3.0), (4.95, 2.8), (9.2, 3.9)  # inches, as drawn on a page
NARROW = (4.95, 4.4)  # of a wide figure on a narrow screen
PAGE = 10.5  # inches of a whole line
DOTS_PER_INCH = 144  # of what is drawn in pixels
NO_METADATA: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))

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
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots(rows, columns, squeeze=False, **options))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata=NO_METADATA, transparent=True, dpi=DOTS_PER_INCH)
    return _for_pages(buffer.getvalue())


def _for_pages(text: str) -> str:
    """An SVG file as a part of a page: no remarks, no style sheet, names of its own, colours that a page can set."""
    text = re.sub(
        r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", text[text.index("<svg") :], flags=re.DOTALL
    )
    own = hashlib.sha256(text.encode()).hexdigest()[:8]
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>f{own}-", text)
    for colour, name in THEMED.items():
        text = text.replace(f": {colour}", f": var(--figure-{name})")
    text = re.sub(r"\b([1-9]\d*\.\d\d)\d+", r"\1", text)  # a hundredth of a point is fine enough
    return re.sub(r"\n\s+", "\n", text)


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
