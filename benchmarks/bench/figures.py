"""Figures of a benchmark: points were measured, bands are modelled, and what is neither is not drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from benchmarks.bench.rows import Row
from neuro.base.quantities import Cell, Modelled, NotMeasurable
from sim.reports.figures.canvas import BLUE, GREY, INK, ORANGE, render

KINDS = {"measured": BLUE, "modelled": ORANGE}


def bars(rows: Sequence[Row], cell: Callable[[Row], Cell], label: str) -> str:
    """A quantity of every row on a logarithmic axis, as SVG text; rows without a number keep their line and say so."""
    return render(_bars, rows, cell, label, size=(6.4, 1.1 + 0.27 * len(rows)))


def _bars(axes: Axes, rows: Sequence[Row], cell: Callable[[Row], Cell], label: str) -> None:
    ends = [_ends(cell(row)) for row in rows]
    known = [end for end in ends if end is not None]
    low, high = (min(a for a, _ in known), max(b for _, b in known)) if known else (1.0, 10.0)
    axes.set(xscale="log", xlim=(low / 3, high * 40), xlabel=label, ylim=(-len(rows) + 0.3, 0.7))
    for place, (row, end) in enumerate(zip(rows, ends, strict=True)):
        _draw(axes, -place, cell(row), end, low / 2.5)
    names = [f"{row.name}, {row.device}, batch {row.batch}" for row in rows]
    axes.set_yticks([-place for place in range(len(rows))], names)
    axes.grid(visible=False, axis="y")
    axes.figure.legend([Patch(color=colour) for colour in KINDS.values()], list(KINDS), loc="upper right", ncols=2,
                       bbox_to_anchor=(1, 1.02))  # fmt: skip


def _ends(cell: Cell) -> tuple[float, float] | None:
    """Where a cell lies on a logarithmic axis; None if it holds no positive number."""
    if isinstance(cell, NotMeasurable):
        return None
    low, high = (cell.low, cell.high) if isinstance(cell, Modelled) else (cell.value, cell.value)
    return (max(low, high * 1e-6), high) if high > 0 else None


def _draw(axes: Axes, place: float, cell: Cell, ends: tuple[float, float] | None, left: float) -> None:
    if ends is None:
        axes.text(left, place, cell.kind, va="center", color=GREY)
        return
    low, high = ends
    colour = KINDS.get(cell.kind, GREY)
    if isinstance(cell, Modelled):
        axes.barh(place, high - low, left=low, height=0.5, color=colour, alpha=0.8, linewidth=0)
    else:
        axes.plot([low], [place], marker="o", markersize=5, color=colour)
    said = str(cell).split(" (")[0]
    axes.text(high, place, f"   {said}", va="center", color=INK)
