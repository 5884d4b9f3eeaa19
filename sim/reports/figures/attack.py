"""Attacks drawn on axes: robust accuracy, examples, and what the analyses found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from neuro.base.arrays import Array
from sim.reports.figures.canvas import Grid
from sim.reports.figures.pictures import grey_picture
from sim.robustness.analysis.perturbation import Ratio
from sim.robustness.analysis.surface import Line
from sim.robustness.analysis.transfer_matrix import TransferMatrix

COLOURS = ("#2f6fb3", "#d9822b", "#2d7d46", "#8e5ea2", "#b3261e", "#4c9f9f", "#8a93a3", "#c4a000", "#5b6475", "#e377c2")
LINE_STYLES = ("-", "--")
SHORT = 14  # letters of a name beside a matrix
NARROW_COLUMNS = 5  # of matrices, in half a page
SIZES = {
    "linf": "eps (linf): largest change of a pixel, 0..1",
    "l2": "eps (l2): length of the change, pixels in 0..1",
}
BySize = Mapping[float, float]  # accuracy by eps


def robust_curves(
    axes: Axes,
    norm: str,
    clean: float,
    by_attack: Mapping[str, BySize],
    robust: BySize,
    intervals: Mapping[float, tuple[float, float]],
) -> None:
    """Draw accuracy against eps: a line for each attack, and the worst of all with its interval."""
    for index, (name, accuracies) in enumerate(by_attack.items()):
        values = [clean, *(accuracies.get(eps, np.nan) for eps in robust)]
        axes.plot([0.0, *robust], values, color=COLOURS[index % len(COLOURS)], linewidth=1, label=name)
    robust_curve(axes, norm, clean, robust, intervals, "worst of all attacks")
    axes.legend(frameon=False, fontsize=7, ncol=2)


def robust_curve(
    axes: Axes,
    norm: str,
    clean: float,
    robust: BySize,
    intervals: Mapping[float, tuple[float, float]],
    label: str,
    colour: str = "black",
) -> None:
    """Draw accuracy against eps, from the clean one, with 95 % intervals where there are some."""
    axes.plot([0.0, *robust], [clean, *robust.values()], color=colour, linewidth=1.8, marker="o", markersize=3.5,
              label=label)  # fmt: skip
    ends = [(eps, *intervals[eps]) for eps in robust if eps in intervals]
    if ends:
        sizes, low, high = zip(*ends, strict=True)
        axes.fill_between(sizes, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set(xlabel=SIZES.get(norm, f"eps ({norm})"), ylabel="accuracy", ylim=(-0.02, 1.02))


def adversarial_examples(grid: Grid, rows: Sequence[tuple[str, Array]]) -> None:
    """Draw rows of images, of shape [n, h, w(, c)] or vectors, under their names, on as many axes."""
    for axes_row, (name, images) in zip(grid, rows, strict=True):
        for axes, image in zip(axes_row, images, strict=True):
            axes.imshow(grey_picture(image.astype(float)), cmap="gray", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
        axes_row[0].set_ylabel(name, rotation=0, ha="right", va="center")


def layer_ratios(axes: Axes, ratios: Mapping[str, Mapping[str, Mapping[str, Ratio]]]) -> None:
    """Draw the perturbation-to-signal ratio from layer to layer: a colour for each size, dashed for random moves."""
    for style, (kind, by_threat) in zip(LINE_STYLES, ratios.items(), strict=True):
        for index, (threat, by_layer) in enumerate(by_threat.items()):
            values = [np.nan if ratio.mean is None else ratio.mean for ratio in by_layer.values()]
            axes.plot(
                list(by_layer), values, style, color=COLOURS[index % len(COLOURS)], marker="o", markersize=3.5,
                linewidth=1.2, label=f"{threat}, {kind}",
            )  # fmt: skip
    axes.set(ylabel="|s(x') - s(x)| / |s(x)|, mean")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=7, ncol=2)


def margin_lines(axes: Axes, lines: Mapping[str, Line], norm: str) -> None:
    """Draw the margin of the true class along lines from the images, with the middle 80 % of the images."""
    for style, colour, (name, line) in zip(LINE_STYLES, COLOURS, lines.items(), strict=False):
        axes.plot(line.sizes, line.mean, style, color=colour, label=f"{name} direction")
        axes.fill_between(line.sizes, line.low, line.high, color=colour, alpha=0.12, linewidth=0)
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set(xlabel=f"size of the change ({norm})", ylabel="margin of the true class")
    axes.legend(frameon=False, fontsize=8)


def transfer_tables(grid: Grid, found: TransferMatrix) -> None:
    """Draw a matrix of accuracies for each size: rows are the sources of the images, columns who sees them."""
    targets = list(found.clean)
    for axes, (threat, by_source) in zip(grid[0], found.accuracy.items(), strict=True):
        rows = {"not attacked": found.clean, **by_source}
        values = np.array([[row[name] for name in targets] for row in rows.values()])
        axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (y, x), value in np.ndenumerate(values):
            axes.text(x, y, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.6 else "black")
        axes.set_xticks(range(len(targets)), [_short(name) for name in targets], rotation=35, ha="right")
        first = axes is grid[0, 0]
        axes.set_yticks(range(len(rows)), [_short(name) for name in rows] if first else [""] * len(rows))
        axes.set_title(threat, fontsize=9)
        axes.grid(visible=False)


def transfer_size(found: TransferMatrix) -> tuple[float, float]:
    """Inches of a figure of `transfer_tables`."""
    width = max(10.5, 0.7 * found.n_columns) if is_wide(found) else 5.2
    return width, 0.45 * (len(next(iter(found.accuracy.values()))) + 1) + 1.2


def is_wide(found: TransferMatrix) -> bool:
    """Whether matrices need the whole width of a page."""
    return found.n_columns > NARROW_COLUMNS


def _short(name: str) -> str:
    return name if len(name) <= SHORT else "..." + name[3 - SHORT :]
