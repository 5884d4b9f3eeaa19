"""Figures of a report about sparse coders, as SVG text. They draw what `sim.reports.probes.coder` and the manifest
hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from neuro.base.arrays import Int64, Reals
from sim.reports.figures.network import BLUE, GREY, ORANGE, STYLE, field_picture, grey_picture, new_axes, svg_of
from sim.reports.probes.coder import Descent, Examples, Sweep

ATOMS_SHOWN, COLUMNS = 96, 16
FINEST_GAP = 1e-5  # drawn as that on the logarithmic axis


def _right_axis(axes: Axes, label: str) -> Axes:
    right = axes.twinx()
    right.set_ylabel(label, color=ORANGE)
    right.grid(False)
    return right


def coder_learning(history: Sequence[Mapping[str, Any]]) -> str:
    """Draw objective and active units against epoch."""
    with plt.rc_context(STYLE):
        figure, axes = new_axes(5.2, 3.0)
        epochs = [line["epoch"] for line in history]
        marker = {"marker": "o", "markersize": 3}
        axes.plot(epochs, [line["objective"] for line in history], color=BLUE, **marker)
        axes.set(xlabel="epoch", xlim=(epochs[0] - 0.5, epochs[-1] + 0.5))
        axes.set_ylabel("objective per image", color=BLUE)
        axes.xaxis.get_major_locator().set_params(integer=True)
        right = _right_axis(axes, "active units per image")
        right.plot(epochs, [line["active"] for line in history], color=ORANGE, linestyle="--", **marker)
        right.set_ylim(0, None)
        return svg_of(figure)


def atoms(pictures: Reals, use: Reals) -> str:
    """Draw the atoms used most, in the order of their use. pictures of shape [K, ...], use of shape [K]."""
    with plt.rc_context(STYLE):
        order = np.argsort(-use, kind="stable")[:ATOMS_SHOWN]
        columns = min(COLUMNS, len(order))
        rows = -(-len(order) // columns)
        figure, grid = plt.subplots(rows, columns, figsize=(6.8 * columns / COLUMNS, 0.46 * rows), squeeze=False)
        for axes in grid.ravel():
            axes.axis("off")
        for axes, atom in zip(grid.ravel(), order, strict=False):
            shown, options = field_picture(pictures[atom].ravel(), pictures.shape[1:])
            axes.imshow(shown, interpolation="nearest", **options)
        figure.subplots_adjust(wspace=0.08, hspace=0.08)
        return svg_of(figure)


def threshold_sweep(sweep: Sweep) -> str:
    """Draw active units and spikes, and the share of the signal that is left, against the threshold."""
    with plt.rc_context(STYLE):
        figure, axes = new_axes(5.2, 3.0)
        axes.plot(sweep.thresholds, sweep.spikes, color=GREY, marker="o", markersize=3, label="spikes of the code")
        axes.plot(sweep.thresholds, sweep.active, color=BLUE, marker="o", markersize=3, label="active units")
        axes.axvline(sweep.chosen, color=BLUE, linewidth=0.8, linestyle=":")
        axes.set_xscale("log", base=2)
        axes.set_xticks(sweep.thresholds, [f"{threshold:.2g}" for threshold in sweep.thresholds], rotation=45)
        axes.set(xlabel="sparsity threshold", ylabel="mean per image", yscale="log")
        right = _right_axis(axes, "reconstruction error, relative")
        right.plot(sweep.thresholds, sweep.error, color=ORANGE, linestyle="--", marker="s", markersize=3)
        right.set_ylim(0, None)
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        return svg_of(figure)


def descent(found: Descent) -> str:
    """Draw how far the objective lies above the LASSO solution (hard thresholds: what is left) against steps."""
    with plt.rc_context(STYLE):
        figure, axes = new_axes(5.2, 3.0)
        values = found.error if found.gap is None else np.maximum(found.gap, FINEST_GAP)
        low, middle, high = np.percentile(values, [10, 50, 90], axis=0)
        axes.fill_between(found.steps, low, high, color=BLUE, alpha=0.15, linewidth=0)
        axes.plot(found.steps, middle, color=BLUE, marker="o", markersize=3)
        axes.axvline(found.deployed, color=BLUE, linewidth=0.8, linestyle=":")
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        if found.gap is None:
            axes.set(xlabel="steps", ylabel="reconstruction error, relative", ylim=(0, None))
        else:
            axes.set_yscale("log")
            axes.set(xlabel="steps", ylabel="objective / LASSO - 1 (median, 10-90 %)")
        return svg_of(figure)


def code_spikes(spikes: Int64, active: Int64) -> str:
    """Draw the distribution over images of spikes and active units of the code, both of shape [n]."""
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(1, 2, figsize=(5.2, 3.0), sharey=True)
        for axes, values, colour, name in zip(
            grid, (spikes, active), (GREY, BLUE), ("spikes of the code", "active units"), strict=True
        ):
            axes.hist(values, bins=min(30, max(5, len(np.unique(values)))), color=colour, alpha=0.85)
            axes.axvline(float(values.mean()), color=ORANGE)
            axes.set(xlabel=f"{name} (mean {values.mean():.1f})")
        grid[0].set_ylabel("images")
        figure.subplots_adjust(wspace=0.1)
        return svg_of(figure)


def examples(shown: Examples) -> str:
    """Draw images over what their codes reconstruct."""
    with plt.rc_context(STYLE):
        count = len(shown.images)
        figure, grid = plt.subplots(2, count, figsize=(0.85 * count, 2.0), squeeze=False)
        for column in range(count):
            for axes, pixels in zip(grid[:, column], (shown.images, shown.reconstructions), strict=True):
                axes.imshow(grey_picture(pixels[column]), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
            grid[1, column].set_xlabel(f"{shown.active[column]} active\n{100 * shown.error[column]:.0f} % left", size=7)
        grid[0, 0].set_ylabel("image", size=8)
        grid[1, 0].set_ylabel("from its code", size=8)
        figure.subplots_adjust(wspace=0.08, hspace=0.08)
        return svg_of(figure)
