"""Figures of a report, as SVG text. They draw what `sim.reports.probes.sigma_delta` and the manifest hold, nothing
else.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuro.base.arrays import Array, Int64, Reals
from sim.reports.probes.sigma_delta import Activity, Relaxation

STYLE = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a93a3",
    "axes.labelcolor": "#3b4252",
    "xtick.color": "#3b4252",
    "ytick.color": "#3b4252",
    "axes.grid": True,
    "grid.color": "#e6e9ef",
    "axes.axisbelow": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "settle",
}
BLUE, ORANGE, GREY = "#2f6fb3", "#d9822b", "#8a93a3"
PHASE_COLOURS = ("#eef4fb", "#fdf1e3", "#f6ecf7")
FIELDS_SHOWN = 48
NARROW = 0.06  # share of the width below which phases share one label, at the end
BARS, DOTS_AS_SHAPES = 100, 20_000  # beyond, an area instead of bars, pixels instead of shapes


def svg_of(figure: Figure) -> str:
    """Return a finished figure as text."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def new_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure of so many inches."""
    figure, axes = plt.subplots(figsize=(width, height))
    return figure, axes


def learning_curve(history: Sequence[Mapping[str, Any]], best_epoch: int, test: tuple[float, float, float]) -> str:
    """Draw accuracy against epoch; test = (value, low, high) drawn at the right as a point with its interval."""
    with plt.rc_context(STYLE):
        figure, axes = new_axes(5.2, 3.0)
        epochs = [line["epoch"] for line in history]
        axes.plot(
            epochs, [line["train_accuracy"] for line in history], color=GREY, label="training, before each update"
        )
        validation = [line["val_accuracy"] for line in history]
        axes.plot(epochs, validation, color=BLUE, marker="o", markersize=3, label="validation")
        axes.axvline(best_epoch, color=BLUE, linewidth=0.8, linestyle=":")
        value, low, high = test
        axes.errorbar(
            [epochs[-1] + max(1, len(epochs) * 0.04)], [value], color=ORANGE,
            yerr=[[max(value - low, 0.0)], [max(high - value, 0.0)]],  # the interval may miss the value by rounding
            marker="s", markersize=4, capsize=3, linestyle="none", label="test",
        )  # fmt: skip
        axes.set(xlabel="epoch", ylabel="accuracy")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False, loc="lower right")
        return svg_of(figure)


def learned_images(points: Sequence[tuple[str, tuple[float, float, float]]]) -> str:
    """Draw accuracies (value, low, high) with their intervals, by what they were measured on."""
    with plt.rc_context(STYLE):
        figure, axes = new_axes(5.2, 3.0)
        for place, (_, (value, low, high)) in enumerate(points):
            axes.errorbar(
                [place], [value], yerr=[[max(value - low, 0.0)], [max(high - value, 0.0)]],
                color=(BLUE, BLUE, ORANGE)[place % 3], marker="s", markersize=4, capsize=3,
            )  # fmt: skip
        axes.set_xticks(range(len(points)), [name for name, _ in points])
        axes.set(ylabel="accuracy", xlim=(-0.5, len(points) - 0.5), ylim=(0, 1.02))
        return svg_of(figure)


def accuracy_curve(accuracy: Reals) -> str:
    """Draw the accuracy if the output were read after each step, of shape [T]."""
    with plt.rc_context(STYLE):
        figure, axes = new_axes(5.2, 3.0)
        axes.plot(np.arange(1, len(accuracy) + 1), accuracy, color=BLUE)
        axes.set(xlabel="step of the free phase", ylabel="accuracy if read here", ylim=(0, 1.02))
        return svg_of(figure)


def energy_curve(relaxation: Relaxation) -> str:
    """Draw how the energy falls below its value at rest in the free phase, and the accuracy if read at each step."""
    with plt.rc_context(STYLE):
        figure, axes = new_axes(5.2, 3.0)
        fall = relaxation.energy - relaxation.energy_at_rest[:, None]
        fall = np.concatenate([np.zeros((len(fall), 1)), fall], axis=1)
        steps = np.arange(fall.shape[1])
        low, middle, high = np.percentile(fall, [10, 50, 90], axis=0)
        axes.fill_between(steps, low, high, color=BLUE, alpha=0.15, linewidth=0)
        axes.plot(steps, middle, color=BLUE, marker="o" if len(steps) <= BARS else None, markersize=3)
        axes.set(xlabel="step of the free phase", ylabel="energy above rest (median, 10-90 %)")
        right = axes.twinx()
        right.plot(steps[1:], relaxation.accuracy, color=ORANGE, linestyle="--")
        right.set_ylabel("accuracy if read here", color=ORANGE)
        right.set_ylim(0, 1.02)
        right.grid(False)
        return svg_of(figure)


def _shade_phases(axes: Axes, phases: Sequence[tuple[str, int]]) -> None:
    start, kinds = 0.5, list(dict.fromkeys(name for name, _ in phases))
    last = sum(steps for _, steps in phases)
    for name, steps in phases:
        colour = PHASE_COLOURS[kinds.index(name) % len(PHASE_COLOURS)]
        axes.axvspan(start, start + steps, color=colour, linewidth=0, zorder=0)
        if steps >= NARROW * last:
            axes.text(start + steps / 2, 1.01, name, transform=axes.get_xaxis_transform(), ha="center", size=8)
        start += steps
    narrow = dict.fromkeys(name for name, steps in phases if steps < NARROW * last)
    axes.text(last + 0.5, 1.01, ", ".join(narrow), transform=axes.get_xaxis_transform(), ha="right", size=8)


def raster(activity: Activity) -> str:
    """Draw every spike of the first test image through the phases: colour is the sign of the payload."""
    with plt.rc_context(STYLE):
        figure, axes = new_axes(6.4, 3.6)
        _shade_phases(axes, activity.phases)
        table, offset, ticks = activity.first.spikes, 0, []
        assert table is not None  # watch_activity keeps them
        last = sum(steps for _, steps in activity.phases)
        for name in activity.per_step:
            index, size = activity.where[name]
            chosen = table.population == index
            colours = np.where(table.payload[chosen] > 0, BLUE, ORANGE)
            axes.scatter(
                table.step[chosen], table.neuron[chosen] + offset, c=colours,
                s=np.clip(min(300 / size, 600 / last), 2, 12), rasterized=len(table) > DOTS_AS_SHAPES,
            )  # fmt: skip
            ticks.append((offset + size / 2, f"{name}\n({size})"))
            offset += size + max(2, size // 20)
            axes.axhline(offset - max(1, size // 40), color="#c6ccd6", linewidth=0.6)
        axes.set_yticks([position for position, _ in ticks], [label for _, label in ticks])
        axes.set(xlabel="step", xlim=(0.5, last + 0.5), ylim=(-2, offset))
        axes.grid(False)
        return svg_of(figure)


def spikes_per_step(activity: Activity) -> str:
    """Draw mean spikes per step, by population, through the phases."""
    with plt.rc_context(STYLE):
        figure, axes = new_axes(5.2, 2.8)
        _shade_phases(axes, activity.phases)
        last = sum(steps for _, steps in activity.phases)
        bottom, steps = np.zeros(last + 1), np.arange(last + 1)
        for index, (name, values) in enumerate(activity.per_step.items()):
            colour = (BLUE, ORANGE, GREY)[index % 3]
            if last > BARS:
                top = bottom + values
                axes.fill_between(steps, bottom, top, step="mid", label=name, color=colour, linewidth=0)
            else:
                axes.bar(steps, values, bottom=bottom, width=0.8, label=name, color=colour)
            bottom += values
        axes.set(xlabel="step", ylabel="mean spikes per image", xlim=(0.5, last + 0.5), ylim=(0, None))
        axes.legend(frameon=False)
        return svg_of(figure)


def spikes_per_inference(activity: Activity) -> str:
    """Draw the distribution over images of spikes in the free phase."""
    with plt.rc_context(STYLE):
        figure, axes = new_axes(5.2, 2.8)
        total = np.sum(list(activity.per_image.values()), axis=0)
        axes.hist(total, bins=min(40, max(5, len(np.unique(total)))), color=BLUE, alpha=0.85)
        axes.axvline(float(total.mean()), color=ORANGE)
        axes.set(xlabel=f"spikes per inference (mean {total.mean():.1f})", ylabel="images")
        return svg_of(figure)


def receptive_fields(weights: Array, shape: tuple[int, ...]) -> str:
    """Draw the input weights of the hidden neurons with the largest ones. weights of shape [N_input, N_hidden]."""
    with plt.rc_context(STYLE):
        order = np.argsort(-np.linalg.norm(weights.astype(float), axis=0))[:FIELDS_SHOWN]
        columns = 12
        rows = max(1, -(-len(order) // columns))
        figure, grid = plt.subplots(rows, columns, figsize=(6.4, 0.56 * rows), squeeze=False)
        for axes, unit in zip(grid.ravel(), [*order, *[None] * (rows * columns - len(order))], strict=True):
            axes.axis("off")
            if unit is not None:
                picture, options = field_picture(weights[:, unit].astype(float), shape)
                axes.imshow(picture, interpolation="nearest", **options)
        figure.subplots_adjust(wspace=0.06, hspace=0.06)
        return svg_of(figure)


def field_picture(weights: Reals, shape: tuple[int, ...]) -> tuple[Reals, dict[str, Any]]:
    """Return weights onto one neuron as a picture, with the options of `imshow`: red positive, blue negative."""
    scale = float(np.abs(weights).max()) or 1.0
    if len(shape) == 3 and shape[2] == 3:
        return weights.reshape(shape) / (2 * scale) + 0.5, {}
    if len(shape) == 3:
        weights = weights.reshape(shape).mean(axis=2)
    elif len(shape) == 2:
        weights = weights.reshape(shape)
    else:
        side = int(np.ceil(np.sqrt(weights.size)))
        weights = np.pad(weights, (0, side * side - weights.size)).reshape(side, side)
    return weights, {"cmap": "RdBu_r", "vmin": -scale, "vmax": scale}


def confusion(matrix: Int64) -> str:
    """Draw the confusion matrix; counts are printed where they are readable."""
    with plt.rc_context(STYLE):
        size = len(matrix)
        figure, axes = new_axes(4.2, 3.8)
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set(xlabel="predicted class", ylabel="true class")
        axes.grid(False)
        if size <= 20:
            axes.set_xticks(range(size))
            axes.set_yticks(range(size))
            for row, column in zip(*np.nonzero(matrix), strict=True):
                colour = "white" if shares[row, column] > 0.5 else "#3b4252"
                axes.text(column, row, str(matrix[row, column]), ha="center", va="center", size=7, color=colour)
        return svg_of(figure)


def picture(image: Array) -> str:
    """Draw one input image."""
    with plt.rc_context(STYLE):
        figure, axes = new_axes(1.2, 1.2)
        axes.axis("off")
        values = image.astype(float) / (255.0 if image.dtype == np.uint8 else 1.0)
        axes.imshow(grey_picture(values), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        return svg_of(figure)


def grey_picture(values: Reals) -> Reals:
    """Return an image, whatever its shape, as `imshow` takes it."""
    if values.ndim == 1:
        side = int(np.ceil(np.sqrt(values.size)))
        values = np.pad(values, (0, side * side - values.size)).reshape(side, side)
    return values.mean(axis=2) if values.ndim == 3 and values.shape[2] != 3 else values
