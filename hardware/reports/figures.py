"""A compiled network drawn on axes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from hardware.energy.estimate import Estimate, Sensitivity
from hardware.placement.placement import Core, Placement
from neuro.base.arrays import Reals
from sim.reports.figures.canvas import BLUE, COLOURS, HALF_PAGE, INK, LINES, PAGE, SHARES, Grid, render, render_grid
from sim.reports.figures.energy import TOTAL, energy_axis, energy_bars, energy_size
from sim.reports.figures.spikes import stacked_spikes

CHIPS_SHOWN = 8
CONSTANTS_SHOWN = 8
CHIP = (4.95, 2.9)  # inches


def core_map(placement: Placement) -> str:
    """The cores of every chip, tile by tile, coloured by the load of their scarcest resource, as SVG text."""
    shown = min(placement.n_chips, CHIPS_SHOWN)
    columns = min(shown, 2)
    rows = -(-shown // columns)
    return render_grid(
        lambda grid: _core_map(grid, placement), (PAGE if columns > 1 else CHIP[0], CHIP[1] * rows), rows, columns
    )


def _core_map(grid: Grid, placement: Placement) -> None:
    names = [block.name for block in placement.blocks.on_chip]
    image, figure = ScalarMappable(Normalize(0, 100), colormaps[SHARES]), grid[0, 0].figure
    for chip, axes in enumerate(grid.ravel()):
        axes.axis("off")
        if chip < placement.n_chips:
            cores = [core for core in placement.cores if core.chip == chip]
            _draw_chip(axes, cores, placement, names, image)
            used = f"{len(cores)} of {placement.limits.cores.value} cores"
            axes.set_title(f"chip {chip + 1}: {used}")
    bar = figure.colorbar(image, ax=grid.ravel().tolist(), fraction=0.03, pad=0.02)
    bar.set_label("load of the scarcest resource, %")
    handles = [Rectangle((0, 0), 1, 1, facecolor="none", edgecolor=_colour(names, n), linewidth=2) for n in names]
    figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), 3 * grid.shape[1]))


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
        fill = "none" if core is None else image.to_rgba(np.array(100 * core.load(limits)))
        frame = LINES if core is None else _colour(names, core.population)
        axes.add_patch(
            Rectangle(corner, 0.86, 0.86, facecolor=fill, edgecolor=frame, linewidth=0.8 if core is None else 2.2)
        )
    axes.set(xlim=(-0.3, 2.3 * limits.tile_columns.value), ylim=(0.9, 2.3 * n_rows + 1.3), aspect="equal")


def spikes_by_step(spikes: Mapping[str, Reals]) -> str:
    """Mean spikes per image at each step of an inference, by population, as SVG text."""
    return render(_spikes_by_step, spikes, size=HALF_PAGE)


def _spikes_by_step(axes: Axes, spikes: Mapping[str, Reals]) -> None:
    stacked_spikes(axes, spikes)
    axes.set_xlabel("step of an inference")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4)


def energy_figure(estimates: Mapping[str, Estimate]) -> str:
    """The energy of an image by what it is spent on, each as a band from low to high, as SVG text."""
    works = {work: {**found.parts, TOTAL: found.energy} for work, found in estimates.items()}
    return render(energy_bars, works, size=energy_size(works))


def sensitivity_bars(rows: list[Sensitivity]) -> str:
    """How far the energy of an image moves with each constant, the one that dominates first, as SVG text."""
    shown = [row for row in rows if row.swing > 1.001][:CONSTANTS_SHOWN]
    return render(_sensitivity_bars, shown, size=(HALF_PAGE[0], 0.7 + 0.28 * len(shown)))


def _sensitivity_bars(axes: Axes, shown: list[Sensitivity]) -> None:
    for place, row in enumerate(shown):
        width = row.energy_high - row.energy_low
        axes.barh(-place, width, left=row.energy_low, height=0.6, color=BLUE, linewidth=0)
        axes.text(1.02, -place, f"× {row.swing:.3g}", transform=axes.get_yaxis_transform(), va="center", color=INK)
    axes.set_yticks([-place for place in range(len(shown))], [row.constant.replace("_", " ") for row in shown])
    axes.set_xlabel("energy of an image, constant low to high")
    energy_axis(axes)
