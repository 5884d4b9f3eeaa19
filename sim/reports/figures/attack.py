"""Figures about attacks, as SVG text, in the style of `sim.reports.figures.network`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

from neuro.base.arrays import Array
from sim.reports.figures.network import STYLE, grey_picture, svg_of
from sim.robustness.analysis.perturbation import Ratio
from sim.robustness.analysis.surface import Line
from sim.robustness.analysis.transfer_matrix import TransferMatrix
from sim.robustness.attacks.search import Threat
from sim.robustness.judging.table import RobustnessTable

COLOURS = ("#2f6fb3", "#d9822b", "#2d7d46", "#8e5ea2", "#b3261e", "#4c9f9f", "#8a93a3", "#c4a000", "#5b6475", "#e377c2")
LINE_STYLES = ("-", "--")
SHORT = 14  # letters of a name beside a matrix
NARROW_COLUMNS = 5  # of matrices, in half a page


def robust_curves(table: RobustnessTable, threats: Sequence[Threat]) -> str:
    """Draw accuracy against eps: one line for each attack, and the worst of all with its interval."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(5.2, 3.4))
        sizes = [0.0, *(threat.eps for threat in threats)]
        clean = float(table.clean.mean())
        by_threat = [table.by_attack(threat) for threat in threats]
        for index, name in enumerate(dict.fromkeys(name for found in by_threat for name in found)):
            values = [clean, *(found[name].value if name in found else np.nan for found in by_threat)]
            axes.plot(sizes, values, color=COLOURS[index % len(COLOURS)], linewidth=1, label=name)
        worst = [table.robust(threat) for threat in threats]
        values, (low, high) = [w.value for w in worst], zip(*(w.interval for w in worst), strict=True)
        axes.plot(
            sizes, [clean, *values], color="black", linewidth=1.8, marker="o", markersize=3.5, label="worst of all"
        )
        axes.fill_between(sizes[1:], low, high, color="black", alpha=0.12, linewidth=0)
        axes.set(xlabel=f"eps ({threats[0].norm})", ylabel="accuracy", ylim=(-0.02, 1.02))
        axes.legend(frameon=False, fontsize=7, ncol=2)
        return svg_of(figure)


def adversarial_examples(rows: Sequence[tuple[str, Array]]) -> str:
    """Draw rows of images, of shape [n, h, w(, c)] or vectors, under their names."""
    with plt.rc_context(STYLE):
        n = rows[0][1].shape[0]
        figure, grid = plt.subplots(len(rows), n, figsize=(0.62 * n, 0.72 * len(rows)), squeeze=False)
        for axes_row, (name, images) in zip(grid, rows, strict=True):
            for axes, image in zip(axes_row, images, strict=True):
                axes.imshow(grey_picture(image.astype(float)), cmap="gray", vmin=0, vmax=1)
                axes.set(xticks=[], yticks=[])
            axes_row[0].set_ylabel(name, rotation=0, ha="right", va="center")
        return svg_of(figure)


def layer_ratios(ratios: Mapping[str, Mapping[str, Mapping[str, Ratio]]]) -> str:
    """Draw the perturbation-to-signal ratio from layer to layer: a colour for each size, dashed for random moves."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(5.2, 3.4))
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
        return svg_of(figure)


def margin_lines(lines: Mapping[str, Line], norm: str) -> str:
    """Draw the margin of the true class along lines from the images, with the middle 80 % of the images."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(5.2, 3.4))
        for style, (name, line) in zip(LINE_STYLES, lines.items(), strict=True):
            colour = COLOURS[LINE_STYLES.index(style)]
            axes.plot(line.sizes, line.mean, style, color=colour, label=f"{name} direction")
            axes.fill_between(line.sizes, line.low, line.high, color=colour, alpha=0.12, linewidth=0)
        axes.axhline(0.0, color="black", linewidth=0.8)
        axes.set(xlabel=f"size of the change ({norm})", ylabel="margin of the true class")
        axes.legend(frameon=False, fontsize=8)
        return svg_of(figure)


def transfer_tables(found: TransferMatrix) -> str:
    """Draw one matrix of accuracies for each size: rows are the sources of the images, columns who sees them."""
    with plt.rc_context(STYLE):
        targets, n_rows = list(found.clean), len(next(iter(found.accuracy.values()))) + 1
        width = max(10.5, 0.7 * found.n_columns) if is_wide(found) else 5.2
        size = (width, 0.45 * n_rows + 1.2)
        figure, grid = plt.subplots(1, len(found.accuracy), figsize=size, squeeze=False)
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
            axes.grid(False)
        return svg_of(figure)


def is_wide(found: TransferMatrix) -> bool:
    """Return whether matrices need the whole width of a page."""
    return found.n_columns > NARROW_COLUMNS


def _short(name: str) -> str:
    return name if len(name) <= SHORT else "..." + name[3 - SHORT :]
