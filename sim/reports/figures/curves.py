"""How a network learns, and how it settles, drawn on axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from neuro.base.arrays import Reals
from sim.reports.figures.canvas import BARS, BLUE, GREY, INK, ORANGE, right_axis, whole_numbers
from sim.reports.probes.sigma_delta import Relaxation

Estimate = tuple[float, float, float]  # value, low and high end of its interval
MARKED: dict[str, Any] = {"marker": "o", "markersize": 3}


def learning_curve(axes: Axes, history: Sequence[Mapping[str, Any]], best_epoch: int, test: Estimate) -> None:
    """Draw accuracy against epoch; test is drawn at the right as a point with its interval."""
    epochs = [line["epoch"] for line in history]
    training = [line["train_accuracy"] for line in history]
    axes.plot(epochs, training, color=GREY, label="training, before each update")
    axes.plot(epochs, [line["val_accuracy"] for line in history], color=BLUE, label="validation", **MARKED)
    axes.axvline(best_epoch, color=BLUE, linewidth=0.8, linestyle=":")
    _point(axes, epochs[-1] + max(1, len(epochs) * 0.04), test, ORANGE, "test")
    axes.set(xlabel="epoch", ylabel="accuracy")
    whole_numbers(axes)
    axes.legend(loc="lower right")


def learned_images(axes: Axes, points: Sequence[tuple[str, Estimate]]) -> None:
    """Draw accuracies with their intervals, by what they were measured on."""
    for place, (_, point) in enumerate(points):
        _point(axes, place, point, (BLUE, BLUE, ORANGE)[place % 3], "")
    axes.set_xticks(range(len(points)), [name for name, _ in points])
    axes.set(ylabel="accuracy", xlim=(-0.5, len(points) - 0.5), ylim=(0, 1.02))


def _point(axes: Axes, place: float, point: Estimate, colour: str, label: str) -> None:
    value, low, high = point
    axes.errorbar(
        [place], [value], color=colour,
        yerr=[[max(value - low, 0.0)], [max(high - value, 0.0)]],  # the interval may miss the value by rounding
        marker="s", markersize=4, capsize=3, linestyle="none", label=label,
    )  # fmt: skip


def accuracy_curve(axes: Axes, accuracy: Reals) -> None:
    """Draw the accuracy if the output were read after each step, of shape [T]."""
    axes.plot(np.arange(1, len(accuracy) + 1), accuracy, color=BLUE)
    axes.set(xlabel="step of the free phase", ylabel="accuracy if read here", ylim=(0, 1.02))


def energy_curve(axes: Axes, relaxation: Relaxation) -> None:
    """Draw how the energy falls below its value at rest in the free phase, and the accuracy if read at each step."""
    fall = relaxation.energy - relaxation.energy_at_rest[:, None]
    fall = np.concatenate([np.zeros((len(fall), 1)), fall], axis=1)
    steps = np.arange(fall.shape[1])
    low, middle, high = np.percentile(fall, [10, 50, 90], axis=0)
    axes.fill_between(steps, low, high, color=BLUE, alpha=0.15, linewidth=0)
    axes.plot(steps, middle, color=BLUE, marker="o" if len(steps) <= BARS else None, markersize=3)
    axes.set(xlabel="step of the free phase", ylabel="energy above rest")
    right = right_axis(axes, "accuracy if read here")
    right.plot(steps[1:], relaxation.accuracy, color=ORANGE, linestyle="--")
    right.set_ylim(0, 1.02)


def resource_bars(axes: Axes, limits: Mapping[str, Sequence[float]]) -> None:
    """Draw what a chip's fullest core uses of each of its resources, in percent; limits: (used, max) by name."""
    for place, (used, most) in enumerate(limits.values()):
        share = 100 * used / most
        axes.barh(-place, share, height=0.6, color=BLUE, linewidth=0)
        axes.text(share, -place, f"  {used:,} of {most:,}", va="center", color=INK)
    axes.set_yticks([-place for place in range(len(limits))], [name.replace("_", " ") for name in limits])
    axes.set(xlabel="share used, %", xlim=(0, 150), xticks=range(0, 101, 20))
    axes.grid(visible=False, axis="y")
