"""Runs drawn beside each other: a line for each, in the same colour throughout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from neuro.base.metrics import Accuracy
from neuro.base.quantities import Modelled
from sim.reports.figures.attack import look, ratio_axis, robust_curve
from sim.reports.figures.canvas import COLOURS, HALF_PAGE, INK
from sim.reports.figures.energy import draw_band, energy_axis

Curve = tuple[float, Mapping[float, float], Mapping[float, tuple[float, float]]]  # clean, robust, intervals


def accuracies(axes: Axes, runs: Mapping[str, Accuracy]) -> None:
    """Draw the test accuracy of each run with its 95 % interval."""
    for index, found in enumerate(runs.values()):
        low, high = found.interval
        style = look(index)
        axes.plot([low, high], [-index, -index], color=style["color"], linewidth=2.4, solid_capstyle="butt")
        axes.plot([found.value], [-index], color=style["color"], marker=style["marker"], markersize=7)
        axes.text(1.02, -index, f"{found.value:.4f}", transform=axes.get_yaxis_transform(), va="center")
    _rows(axes, list(runs))
    axes.set_xlabel("test accuracy, measured")


def spikes(axes: Axes, runs: Mapping[str, float]) -> None:
    """Draw how many spikes an inference takes."""
    for index, count in enumerate(runs.values()):
        axes.barh(-index, count, height=0.62, color=COLOURS[index % len(COLOURS)], linewidth=0)
        axes.text(1.02, -index, f"{count:,.1f}", transform=axes.get_yaxis_transform(), va="center")
    _rows(axes, list(runs))
    axes.set_xlabel("spikes of an inference, measured")


def bands(axes: Axes, runs: Mapping[str, Modelled | None], label: str) -> None:
    """Draw what an inference takes on a chip as a band; None: not priced."""
    for index, band in enumerate(runs.values()):
        if band is None:
            axes.text(1.02, -index, "not priced", transform=axes.get_yaxis_transform(), va="center", color=INK)
        else:
            draw_band(axes, -index, band, COLOURS[index % len(COLOURS)])
    _rows(axes, list(runs))
    axes.set_xlabel(f"{label} of an inference, modelled")
    energy_axis(axes, next(band.unit for band in runs.values() if band is not None))


def rows_size(count: int) -> tuple[float, float]:
    """Inches of a figure with so many runs, one below the other."""
    return HALF_PAGE[0], 0.9 + 0.36 * count


def robust(axes: Axes, norm: str, runs: Mapping[str, Curve], indices: Mapping[str, int]) -> None:
    """Draw robust accuracy against eps, a curve for each run; indices: place of each run among all."""
    for name, (clean, by_eps, intervals) in runs.items():
        robust_curve(axes, norm, clean, by_eps, intervals, name, indices[name])
    _legend(axes, len(runs), -0.2)


def ratios(axes: Axes, runs: Mapping[str, Sequence[float | None]], indices: Mapping[str, int]) -> None:
    """Draw the perturbation-to-signal ratio by layer from input to output, a line for each run."""
    deepest = max(len(values) for values in runs.values())
    for name, values in runs.items():
        known = [np.nan if value is None else value for value in values]
        axes.plot(range(len(known)), known, markersize=6, linewidth=1.6, label=name, **look(indices[name]))
    axes.set_xticks(range(deepest), ["input", *(f"layer {place}" for place in range(1, deepest))])
    ratio_axis(axes)
    _legend(axes, len(runs), -0.1)


def _rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks([-place for place in range(len(names))], list(names))
    axes.set_ylim(0.6 - len(names), 0.6)
    axes.grid(visible=False, axis="y")


def _legend(axes: Axes, count: int, below: float) -> None:
    axes.legend(loc="upper center", bbox_to_anchor=(0.46, below), ncols=min(count, 3), handlelength=3)
