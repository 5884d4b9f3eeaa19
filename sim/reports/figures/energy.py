"""Energies of a chip drawn on axes: bands, modelled, with units."""

from __future__ import annotations

import re
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from neuro.base.quantities import Modelled, with_prefix
from sim.reports.figures.canvas import COLOURS, HALF_PAGE, INK

TOTAL = "total"
Bands = Mapping[str, Modelled]  # by what the energy is spent on


def energy_bars(axes: Axes, works: Mapping[str, Bands]) -> None:
    """Draw what an image costs, a group of bands for each work, from low to high; zeros are left out."""
    place, ticks = 0.0, []
    for index, (work, bands) in enumerate(works.items()):
        axes.text(0.0, place, f"{work}  ", transform=axes.get_yaxis_transform(), ha="right", va="center", weight="bold")
        for name, band in bands.items():
            if band.high > 0:
                place -= 1
                draw_band(axes, place, band, COLOURS[index % len(COLOURS)], faint=name != TOTAL)
                ticks.append((place, name))
        place -= 1.4
    axes.set_yticks([at for at, _ in ticks], [label for _, label in ticks])
    axes.set(xlabel="energy of an image, modelled: low to high", ylim=(place + 0.9, 0.6))
    energy_axis(axes)


def energy_size(works: Mapping[str, Bands]) -> tuple[float, float]:
    """Inches of a figure of `energy_bars`."""
    rows = sum(1.4 + sum(band.high > 0 for band in bands.values()) for bands in works.values())
    return HALF_PAGE[0], 0.6 + 0.25 * rows


def draw_band(axes: Axes, place: float, band: Modelled, colour: str, *, faint: bool = False) -> None:
    """Draw a band as a bar, with its ends in words at the right of the axes."""
    low = max(band.low, band.high * 1e-6)  # there is no zero on a logarithmic axis
    width = max(band.high - low, 0.04 * band.high)
    axes.barh(place, width, left=low, height=0.62, color=colour, alpha=0.5 if faint else 1.0, linewidth=0)
    axes.text(1.02, place, in_words(band), transform=axes.get_yaxis_transform(), va="center", color=INK)


def in_words(band: Modelled) -> str:
    """The ends of a band, with units; the unit once if both have the same."""
    low, high = with_prefix(band.low, band.unit), with_prefix(band.high, band.unit)
    number, _, unit = low.partition(" ")
    text = f"{number} to {high}" if high.endswith(f" {unit}") else f"{low} to {high}"
    return re.sub(r"(?<=\d) (?=[^\dt])", "\u00a0", text)


def energy_axis(axes: Axes, unit: str = "J") -> None:
    """Make the horizontal axis logarithmic, with a unit on every tick."""
    axes.set_xscale("log")
    low, high = axes.dataLim.intervalx
    axes.set_xlim(low / 1.7, high * 1.3)
    axes.xaxis.set_major_locator(LogLocator(numticks=4))
    axes.xaxis.set_major_formatter(EngFormatter(unit, places=0))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(visible=False, axis="y")
