"""Figures about attacks, as SVG text, in the style of `sim.figures`."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt

from sim.figures import STYLE, grey_picture, svg_of
from sim.robustness.attack import Threat
from sim.robustness.table import RobustnessTable

COLOURS = ("#2f6fb3", "#d9822b", "#2d7d46", "#8e5ea2", "#b3261e", "#4c9f9f", "#8a93a3", "#c4a000", "#5b6475", "#e377c2")


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


def adversarial_examples(rows: Sequence[tuple[str, npt.NDArray[np.generic]]]) -> str:
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
