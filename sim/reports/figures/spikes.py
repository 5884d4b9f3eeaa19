"""Spikes drawn on axes: one image through the phases, means over images by step, and how many an image takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from neuro.base.arrays import Int64, Reals
from sim.reports.figures.canvas import BARS, BLUE, COLOURS, EDGE, GREY, LINES, ORANGE, PHASE_COLOURS, bins_of
from sim.reports.probes.raster import Phases, Raster

NARROW = 0.06  # share of the width below which phases share one label, at the end
DOTS_AS_SHAPES = 4_000  # beyond, pixels instead of shapes


def raster(axes: Axes, shown: Raster) -> None:
    """Draw every spike of an image through the phases: colour is the sign of the payload."""
    shade_phases(axes, shown.phases)
    table, offset, ticks = shown.spikes, 0, []
    last = sum(steps for _, steps in shown.phases)
    for name, (index, size) in shown.where.items():
        chosen = table.population == index
        width = np.sqrt(np.clip(min(1600 / size, 1200 / last), 4, 20))
        for colour, marker, of_kind in ((BLUE, "o", table.payload > 0), (ORANGE, "s", table.payload <= 0)):
            dots = chosen & of_kind
            axes.plot(
                table.step[dots], table.neuron[dots] + offset, color=colour, marker=marker, markersize=width,
                markeredgewidth=0, linestyle="none", rasterized=len(table) > DOTS_AS_SHAPES,
            )  # fmt: skip
        ticks.append((offset + size / 2, f"{name}\n({size})"))
        offset += size + max(2, size // 20)
        axes.axhline(offset - max(1, size // 40), color=EDGE, linewidth=0.6)
    axes.set_yticks([position for position, _ in ticks], [label for _, label in ticks])
    axes.set(xlabel="step", xlim=(0.5, last + 0.5), ylim=(-2, offset))
    axes.grid(visible=False)


def shade_phases(axes: Axes, phases: Phases) -> None:
    """Lay a colour behind each phase and its name above it."""
    start, kinds = 0.5, list(dict.fromkeys(name for name, _ in phases))
    last = sum(steps for _, steps in phases)
    for name, steps in phases:
        colour = PHASE_COLOURS[kinds.index(name) % len(PHASE_COLOURS)]
        axes.axvspan(start, start + steps, color=colour, linewidth=0, zorder=0)
        if steps >= NARROW * last:
            axes.text(start + steps / 2, 1.01, name, transform=axes.get_xaxis_transform(), ha="center")
        start += steps
    narrow = dict.fromkeys(name for name, steps in phases if steps < NARROW * last)
    axes.text(last + 0.5, 1.01, ", ".join(narrow), transform=axes.get_xaxis_transform(), ha="right")


def spikes_per_step(axes: Axes, per_step: Mapping[str, Reals], phases: Phases) -> None:
    """Draw mean spikes of each population, of shape [1 + steps], through the phases."""
    shade_phases(axes, phases)
    stacked_spikes(axes, per_step)
    axes.set(xlabel="step", xlim=(0.5, sum(steps for _, steps in phases) + 0.5))
    axes.legend(loc="best")


def stacked_spikes(axes: Axes, per_step: Mapping[str, Reals]) -> None:
    """Draw mean spikes of each population, of shape [T], on top of each other, from step 0."""
    steps = np.arange(len(next(iter(per_step.values()))))
    bottom = np.zeros(len(steps))
    for index, (name, values) in enumerate(per_step.items()):
        colour, top = COLOURS[index % len(COLOURS)], bottom + values
        if len(steps) > BARS:
            axes.fill_between(steps, bottom, top, step="mid", label=name, color=colour, linewidth=0)
        else:
            axes.bar(steps, values, bottom=bottom, width=0.8, label=name, color=colour)
        bottom = top
    axes.set(ylabel="mean spikes per image", ylim=(0, None))


def spikes_per_inference(axes: Axes, per_image: Sequence[Int64]) -> None:
    """Draw the distribution over images of spikes in the free phase; of each population, of shape [n]."""
    total = np.sum(per_image, axis=0)
    histogram(axes, total, "spikes per inference", BLUE, 40)
    axes.set(ylabel="images")


def code_spikes(axes: Sequence[Axes], spikes: Int64, active: Int64) -> None:
    """Draw, on two axes, the distribution over images of spikes and of active units of the code, of shape [n]."""
    histogram(axes[0], spikes, "spikes of the code", GREY, 30)
    histogram(axes[1], active, "active units", BLUE, 30)
    axes[0].set_ylabel("images")


def histogram(axes: Axes, values: Int64, name: str, colour: str, most: int) -> None:
    """Draw how values are distributed, with their mean."""
    axes.hist(values, bins=bins_of(values, most), color=colour, linewidth=0.5, edgecolor=LINES)
    axes.axvline(float(values.mean()), color=ORANGE)
    axes.set(xlabel=f"{name} (mean {values.mean():.1f})")
