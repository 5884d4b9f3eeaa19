"""A compiled network drawn on axes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from hardware.energy.estimate import PARTS, Estimate, Sensitivity
from hardware.placement.placement import Core, Placement
from neuro.base.arrays import Reals
from neuro.base.quantities import Modelled
from sim.reports.figures.canvas import BLUE, COLOURS, INK, Grid, render, render_grid
from sim.reports.figures.spikes import stacked_spikes

CHIPS_SHOWN = 8
CONSTANTS_SHOWN = 8
CHIP = (4.9, 2.75)  # inches


def core_map(placement: Placement) -> str:
    """The cores of every chip, tile by tile, coloured by the load of their scarcest resource, as SVG text."""
    shown = min(placement.n_chips, CHIPS_SHOWN)
    columns = min(shown, 2)
    rows = -(-shown // columns)
    return render_grid(lambda grid: _core_map(grid, placement), (CHIP[0] * columns + 1, CHIP[1] * rows), rows, columns)


def _core_map(grid: Grid, placement: Placement) -> None:
    names = [block.name for block in placement.blocks.on_chip]
    image, figure = ScalarMappable(Normalize(0, 100), colormaps["YlGnBu"]), grid[0, 0].figure
    for chip, axes in enumerate(grid.ravel()):
        axes.axis("off")
        if chip < placement.n_chips:
            cores = [core for core in placement.cores if core.chip == chip]
            _draw_chip(axes, cores, placement, names, image)
            used = f"{len(cores)} of {placement.limits.cores.value} cores"
            axes.set_title(f"chip {chip + 1}: {used}", fontsize=9, color=INK)
    bar = figure.colorbar(image, ax=grid.ravel().tolist(), fraction=0.025, pad=0.02)
    bar.set_label("load of the scarcest resource, %")
    handles = [Rectangle((0, 0), 1, 1, facecolor="white", edgecolor=_colour(names, n), linewidth=2) for n in names]
    figure.legend(handles, names, loc="lower center", ncols=min(len(names), 6), frameon=False,
                  bbox_to_anchor=(0.45, -0.06 / len(grid)))  # fmt: skip


def _colour(names: list[str], name: str) -> str:
    return COLOURS[names.index(name) % len(COLOURS)]


def _draw_chip(axes: Axes, cores: list[Core], placement: Placement, names: list[str], image: ScalarMappable) -> None:
    """Draw one chip: tiles in rows, the cores of a tile two by two; the frame says which population."""
    limits = placement.limits
    used = {core.index % limits.cores.value: core for core in cores}
    n_rows = -(-limits.cores.value // (limits.tile_cores.value * limits.tile_columns.value))
    for place in range(limits.cores.value):
        tile, inside = divmod(place, limits.tile_cores.value)
        row, column = divmod(tile, limits.tile_columns.value)
        corner = (2.3 * column + inside % 2, 2.3 * (n_rows - row) - inside // 2)
        core = used.get(place)
        fill = "#f1f3f6" if core is None else image.to_rgba(np.array(100 * core.load(limits)))
        frame = "#d8dde6" if core is None else _colour(names, core.population)
        axes.add_patch(
            Rectangle(corner, 0.86, 0.86, facecolor=fill, edgecolor=frame, linewidth=0.6 if core is None else 1.8)
        )
    axes.set(xlim=(-0.3, 2.3 * limits.tile_columns.value), ylim=(0.9, 2.3 * n_rows + 1.3), aspect="equal")


def spikes_by_step(spikes: Mapping[str, Reals]) -> str:
    """Mean spikes per image at each step of an inference, by population, as SVG text."""
    return render(_spikes_by_step, spikes, size=(5.6, 2.9))


def _spikes_by_step(axes: Axes, spikes: Mapping[str, Reals]) -> None:
    stacked_spikes(axes, spikes)
    axes.set_xlabel("step of an inference")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=4)


def energy_bars(estimates: Mapping[str, Estimate]) -> str:
    """The energy of an image by what it is spent on, each as a band from low to high, as SVG text."""
    return render(_energy_bars, estimates, size=(6.4, 0.5 + 0.28 * (len(PARTS) + 2) * len(estimates)))


def _energy_bars(axes: Axes, estimates: Mapping[str, Estimate]) -> None:
    labels, place, bands = [], 0.0, list[Modelled]()
    for index, (work, estimated) in enumerate(estimates.items()):
        for name, band in {**estimated.parts, "total": estimated.energy}.items():
            if band.high > 0:
                _bar(axes, place, band, COLOURS[index], 1.0 if name == "total" else 0.55)
                labels.append((place, f"{work}: {name}"))
                bands.append(band)
                place -= 1
        place -= 0.5
    axes.set_yticks([at for at, _ in labels], [label for _, label in labels])
    reach = (min(_low_end(band) for band in bands) / 2, 30 * max(band.high for band in bands))
    axes.set(xscale="log", xlim=reach, xlabel="energy per image, J (modelled: low to high)")
    axes.grid(visible=False, axis="y")


def _low_end(band: Modelled) -> float:
    """Where a band begins on a logarithmic axis, on which there is no zero."""
    return max(band.low, band.high * 1e-6)


def _bar(axes: Axes, place: float, band: Modelled, colour: str, alpha: float) -> None:
    low = _low_end(band)
    width = max(band.high - low, 0.02 * band.high)
    axes.barh(place, width, left=low, height=0.62, color=colour, alpha=alpha, linewidth=0)
    axes.text(low + width, place, f"  {str(band).removesuffix(' (modelled)')}", va="center", size=7, color=INK)


def sensitivity_bars(rows: list[Sensitivity]) -> str:
    """How far the energy of an image moves with each constant, the one that dominates first, as SVG text."""
    shown = [row for row in rows if row.swing > 1.001][:CONSTANTS_SHOWN]
    return render(_sensitivity_bars, shown, size=(5.6, 0.8 + 0.28 * len(shown)))


def _sensitivity_bars(axes: Axes, shown: list[Sensitivity]) -> None:
    for place, row in enumerate(shown):
        width = row.energy_high - row.energy_low
        axes.barh(-place, width, left=row.energy_low, height=0.6, color=BLUE, linewidth=0)
        axes.text(row.energy_high, -place, f"  x {row.swing:.3g}", va="center", size=7, color=INK)
    axes.set_yticks([-place for place in range(len(shown))], [row.constant.replace("_", " ") for row in shown])
    reach = (min(row.energy_low for row in shown) / 1.5, 2 * max(row.energy_high for row in shown))
    axes.set(xscale="log", xlim=reach, xlabel="energy per image, J, from the constant's low to its high end")
    axes.grid(visible=False, axis="y")
