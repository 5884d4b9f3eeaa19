"""Sparse coders drawn on axes: what `sim.reports.probes.coder` and the manifest hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from neuro.base.arrays import Reals
from sim.reports.figures.canvas import BLUE, GREY, ORANGE, PAGE, Grid, right_axis, whole_numbers
from sim.reports.figures.curves import MARKED
from sim.reports.figures.pictures import field_picture, grey_picture, tiles, tiles_size
from sim.reports.probes.coder import Descent, Examples, Sweep

ATOMS_SHOWN, COLUMNS = 96, 16
NARROW_EXAMPLES = 4  # on a narrow screen
FINEST_GAP = 1e-5  # drawn as that on the logarithmic axis


def coder_learning(axes: Axes, history: Sequence[Mapping[str, Any]]) -> None:
    """Draw objective and active units against epoch."""
    epochs = [line["epoch"] for line in history]
    axes.plot(epochs, [line["objective"] for line in history], color=BLUE, **MARKED)
    axes.set(xlabel="epoch", xlim=(epochs[0] - 0.5, epochs[-1] + 0.5))
    axes.set_ylabel("objective per image", color=BLUE)
    whole_numbers(axes)
    right = right_axis(axes, "active units per image")
    right.plot(epochs, [line["active"] for line in history], color=ORANGE, linestyle="--", **MARKED)
    right.set_ylim(0, None)


def atoms(axes: Axes, pictures: Reals, use: Reals) -> None:
    """Draw the atoms used most, in the order of their use. pictures of shape [K, ...], use of shape [K]."""
    order = np.argsort(-use, kind="stable")[:ATOMS_SHOWN]
    shown = [field_picture(pictures[atom].ravel(), pictures.shape[1:]) for atom in order]
    tiles(axes, shown, min(COLUMNS, len(shown)))


def atoms_size(pictures: Reals) -> tuple[float, float]:
    """Inches of a figure of `atoms`: a full row is as wide as a page."""
    count = min(len(pictures), ATOMS_SHOWN)
    columns = min(COLUMNS, count)
    pixels = field_picture(pictures[0].ravel(), pictures.shape[1:])[0].shape
    return tiles_size(count, columns, PAGE * columns / COLUMNS, pixels)


def threshold_sweep(axes: Axes, sweep: Sweep) -> None:
    """Draw active units and spikes, and the share of the signal that is left, against the threshold."""
    axes.plot(sweep.thresholds, sweep.spikes, color=GREY, label="spikes of the code", **MARKED)
    axes.plot(sweep.thresholds, sweep.active, color=BLUE, label="active units", **MARKED)
    axes.axvline(sweep.chosen, color=BLUE, linewidth=0.8, linestyle=":")
    axes.set_xscale("log", base=2)
    axes.set_xticks(sweep.thresholds, [f"{threshold:.2g}" for threshold in sweep.thresholds], rotation=45)
    axes.set(xlabel="sparsity threshold", ylabel="mean per image", yscale="log")
    right = right_axis(axes, "reconstruction error, relative")
    right.plot(sweep.thresholds, sweep.error, color=ORANGE, linestyle="--", marker="s", markersize=3)
    right.set_ylim(0, None)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def descent(axes: Axes, found: Descent) -> None:
    """Draw how far the objective lies above the LASSO solution (hard thresholds: what is left) against steps."""
    values = found.error if found.gap is None else np.maximum(found.gap, FINEST_GAP)
    low, middle, high = np.percentile(values, [10, 50, 90], axis=0)
    axes.fill_between(found.steps, low, high, color=BLUE, alpha=0.15, linewidth=0)
    axes.plot(found.steps, middle, color=BLUE, **MARKED)
    axes.axvline(found.deployed, color=BLUE, linewidth=0.8, linestyle=":")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    if found.gap is None:
        axes.set(xlabel="steps", ylabel="reconstruction error, relative", ylim=(0, None))
    else:
        axes.set_yscale("log")
        axes.set(xlabel="steps", ylabel="objective / LASSO − 1")


def examples(grid: Grid, shown: Examples) -> None:
    """Draw images over what their codes reconstruct, on two rows of as many axes."""
    for column in range(grid.shape[1]):
        for axes, pixels in zip(grid[:, column], (shown.images, shown.reconstructions), strict=True):
            axes.imshow(grey_picture(pixels[column]), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        grid[1, column].set_xlabel(f"{shown.active[column]} active\n{100 * shown.error[column]:.0f} % left")
    grid[0, 0].set_ylabel("image")
    grid[1, 0].set_ylabel("from its code")
