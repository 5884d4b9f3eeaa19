"""Perturbations drawn on axes: accuracy by kind and severity, and one image in every kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from neuro.base.arrays import Images, Reals
from sim.reports.figures.canvas import SHARES
from sim.reports.figures.pictures import ON_DARK, ON_LIGHT, Tile, tiles

COLUMNS = 7
ROW = 0.27  # inches
LIGHT = 0.6  # shares from there on are on a light ground


def by_kind(axes: Axes, shares: Reals, kinds: Sequence[str], severities: Sequence[int]) -> None:
    """Draw accuracies of shape [kinds, severities], printed in their cells."""
    axes.imshow(shares, cmap=SHARES, vmin=0, vmax=1, aspect="auto")
    axes.grid(visible=False)
    axes.set_xticks(range(len(severities)), [str(severity) for severity in severities])
    axes.set_yticks(range(len(kinds)), kinds)
    axes.set_xlabel("severity")
    for row, column in np.ndindex(*shares.shape):
        share = float(shares[row, column])
        colour = ON_LIGHT if share > LIGHT else ON_DARK
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", color=colour, fontsize="small")


def by_kind_size(kinds: int) -> tuple[float, float]:
    """Inches of a figure of `by_kind`."""
    return 4.95, 0.8 + ROW * kinds


def examples(axes: Axes, pictures: Mapping[str, Images]) -> None:
    """Draw pictures, each of shape [h, w(, c)], 0..255, in rows."""
    options = {"cmap": "gray", "vmin": 0, "vmax": 255}
    drawn: list[Tile] = [(picture.squeeze().astype(np.float64) / (255 if picture.shape[2:] == (3,) else 1), options)
                         for picture in pictures.values()]  # fmt: skip
    tiles(axes, drawn, COLUMNS)
