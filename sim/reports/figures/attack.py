"""Attacks drawn on axes: robust accuracy, examples, and what the analyses found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from neuro.base.arrays import Array
from sim.reports.figures.canvas import COLOURS, DASHES, HALF_PAGE, INK, MARKERS, PAGE, SHARES, Grid
from sim.reports.figures.pictures import ON_DARK, ON_LIGHT, grey_picture
from sim.robustness.analysis.perturbation import Ratio
from sim.robustness.analysis.surface import Line
from sim.robustness.analysis.transfer_matrix import TransferMatrix

SHORT = 14  # letters of a name beside a matrix
NARROW_COLUMNS = 5  # of matrices, in half a page
SIZES = {
    "linf": "largest change of a pixel (linf eps)",
    "l2": "length of the change (l2 eps)",
    "l1": "sum of all changes (l1 eps)",
    "l0": "number of pixels changed (l0)",
    "events": "spikes inserted or deleted",
    "moves": "spikes moved in time",
}
BySize = Mapping[float, float]  # accuracy by eps
Intervals = Mapping[float, tuple[float, float]]  # low and high end by eps


def robust_curves(
    axes: Axes,
    norm: str,
    clean: float,
    by_attack: Mapping[str, BySize],
    robust: BySize,
    intervals: Intervals,
) -> None:
    """Draw accuracy against eps: a line for each attack, and the worst of all with its interval."""
    for index, (name, accuracies) in enumerate(by_attack.items()):
        known = {0.0: clean, **{eps: accuracies[eps] for eps in robust if eps in accuracies}}
        axes.plot(
            [*known], [*known.values()], linewidth=1, markersize=4, markerfacecolor="none", label=name, **look(index)
        )
    robust_curve(axes, norm, clean, robust, intervals, "worst of all attacks")
    columns = 1 if not by_attack else 2
    axes.legend(loc="upper center", bbox_to_anchor=(0.46, -0.2), ncols=columns, handlelength=3)


def smallest_changes(grid: Grid, curves: Mapping[str, Sequence[tuple[float, float]]], clean: float) -> None:
    """Draw accuracy against size, one picture for each norm: it falls where the label of an image turns."""
    for index, (axes, (norm, points)) in enumerate(zip(grid.flat, curves.items(), strict=False)):
        sizes, accuracies = [0.0, *(size for size, _ in points)], [clean, *(accuracy for _, accuracy in points)]
        axes.step(sizes, accuracies, where="post", color=INK, linewidth=1.8)
        axes.set(xlabel=SIZES[norm], ylim=(-0.02, 1.02))
        if index % grid.shape[1] == 0:
            axes.set_ylabel("accuracy, at most")


def robust_curve(
    axes: Axes,
    norm: str,
    clean: float,
    robust: BySize,
    intervals: Intervals,
    label: str,
    index: int | None = None,
) -> None:
    """Draw accuracy against eps, from the clean one: points where it was measured, with 95 % intervals where known.

    intervals: by eps, that of 0 is the clean accuracy's; index: of the line among several; None: the only thick one.
    """
    style = {"color": INK, "marker": "o", "linestyle": "-"} if index is None else look(index)
    points = {0.0: clean, **dict(sorted(robust.items()))}
    axes.plot([*points], [*points.values()], linewidth=1.8, markersize=5, label=label, **style)
    known = [eps for eps in points if eps in intervals]
    if known:
        low, high = zip(*(intervals[eps] for eps in known), strict=True)
        axes.fill_between(known, low, high, color=style["color"], alpha=0.13, linewidth=0)
        axes.vlines(known, low, high, color=style["color"], linewidth=1.2)
    axes.set(xlabel=SIZES.get(norm, f"size of the change ({norm} eps)"), ylabel="accuracy", ylim=(-0.02, 1.02))


def look(index: int) -> dict[str, Any]:
    """Colour, marker and dashes of a line among several, so that no two share them all."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": DASHES[index % len(DASHES)],
    }


def adversarial_examples(grid: Grid, rows: Sequence[tuple[str, Array]]) -> None:
    """Draw rows of images, of shape [n, h, w(, c)] or vectors, under their names, on as many axes."""
    for axes_row, (name, images) in zip(grid, rows, strict=True):
        for axes, image in zip(axes_row, images, strict=True):
            axes.imshow(grey_picture(image.astype(float)), cmap="gray", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
        axes_row[0].set_ylabel(name, rotation=0, ha="right", va="center")


def layer_ratios(axes: Axes, ratios: Mapping[str, Mapping[str, Mapping[str, Ratio]]]) -> None:
    """Draw the perturbation-to-signal ratio from layer to layer: a colour for each size, dashed for random moves."""
    for style, (kind, by_threat) in zip(DASHES, ratios.items(), strict=False):
        for index, (threat, by_layer) in enumerate(by_threat.items()):
            values = [np.nan if ratio.mean is None else ratio.mean for ratio in by_layer.values()]
            axes.plot(
                list(by_layer), values, color=COLOURS[index % len(COLOURS)], marker=MARKERS[index % len(MARKERS)],
                linestyle=style, markersize=5, linewidth=1.4, label=f"{threat}, {kind}",
            )  # fmt: skip
    ratio_axis(axes)
    axes.legend(loc="upper center", bbox_to_anchor=(0.46, -0.1), ncols=len(ratios))


def ratio_axis(axes: Axes) -> None:
    """Name the axis of perturbation-to-signal ratios."""
    axes.set_ylabel("change / signal, mean")
    axes.set_ylim(bottom=0)


def margin_lines(axes: Axes, lines: Mapping[str, Line], norm: str) -> None:
    """Draw the margin of the true class along lines from the images, with the middle 80 % of the images."""
    for style, colour, (name, line) in zip(DASHES, COLOURS, lines.items(), strict=False):
        axes.plot(line.sizes, line.mean, style, color=colour, label=f"{name} direction")
        axes.fill_between(line.sizes, line.low, line.high, color=colour, alpha=0.13, linewidth=0)
    axes.axhline(0.0, color=INK, linewidth=0.8)
    axes.set(xlabel=f"size of the change ({norm})", ylabel="margin of the true class")
    axes.legend(loc="upper center", bbox_to_anchor=(0.46, -0.2), ncols=2)


def transfer_tables(grid: Grid, found: TransferMatrix) -> None:
    """Draw a matrix of accuracies for each size: rows are the sources of the images, columns who sees them."""
    targets = list(found.clean)
    for axes, (threat, by_source) in zip(grid[0], found.accuracy.items(), strict=True):
        rows = {"not attacked": found.clean, **by_source}
        values = np.array([[row[name] for name in targets] for row in rows.values()])
        axes.imshow(values, cmap=SHARES, vmin=0, vmax=1, aspect="auto")
        for (y, x), value in np.ndenumerate(values):
            axes.text(x, y, f"{value:.2f}", ha="center", va="center", color=ON_LIGHT if value > 0.6 else ON_DARK)
        axes.set_xticks(range(len(targets)), [_short(name) for name in targets], rotation=35, ha="right")
        first = axes is grid[0, 0]
        axes.set_yticks(range(len(rows)), [_short(name) for name in rows] if first else [""] * len(rows))
        axes.set_title(threat)
        axes.grid(visible=False)


def transfer_size(found: TransferMatrix) -> tuple[float, float]:
    """Inches of a figure of `transfer_tables`."""
    width = PAGE if is_wide(found) else HALF_PAGE[0]
    return width, 0.45 * (len(next(iter(found.accuracy.values()))) + 1) + 1.2


def is_wide(found: TransferMatrix) -> bool:
    """Whether matrices need the whole width of a page."""
    return found.n_columns > NARROW_COLUMNS


def _short(name: str) -> str:
    return name if len(name) <= SHORT else "..." + name[3 - SHORT :]
