"""Pictures drawn on axes: receptive fields, atoms, images, and matrices of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm

from neuro.base.arrays import Array, Reals
from sim.reports.figures.canvas import BLUE, HALF_PAGE, INK, SHARES, Grid

FIELDS_SHOWN, FIELD_COLUMNS = 48, 8
GAP = 0.12  # between tiles, in widths of one
READABLE = 20  # classes of a matrix whose counts are printed, and that have a bar beside their row
WORST = 15  # classes with a bar, if there are more
ROOM = 10  # classes beyond which a cell is too small for texts of the usual size

SHORT_NAME = 2  # letters of a class beyond which its name stands upright
BAR_WIDTH = 0.45  # of bars beside a matrix, in widths of it
ON_DARK, ON_LIGHT = "#ffffff", "#101418"  # texts in cells, which no page changes

Names = Sequence[str]
Tile = tuple[Reals, dict[str, Any]]  # picture, options of `imshow`


def tiles(axes: Axes, pictures: Sequence[Tile], columns: int) -> None:
    """Draw pictures of one shape side by side, row by row; nothing but pictures on the axes."""
    height, width = pictures[0][0].shape[:2]
    ratio, rows = height / width, -(-len(pictures) // columns)
    for place, (picture, options) in enumerate(pictures):
        row, column = divmod(place, columns)
        left, top = column * (1 + GAP), -row * (ratio + GAP)
        axes.imshow(picture, extent=(left, left + 1, top - ratio, top), interpolation="nearest", **options)
    axes.set(xlim=(0, columns * (1 + GAP) - GAP), ylim=(GAP - rows * (ratio + GAP), 0), aspect="equal")
    axes.axis("off")


def tiles_size(count: int, columns: int, width: float, shape: tuple[int, ...] = (1, 1)) -> tuple[float, float]:
    """Inches of a figure of so many tiles, pictures of `shape`, for a full row of `width` inches."""
    side = width / columns
    return side * columns, side * shape[0] / shape[1] * -(-count // columns)


def receptive_fields(axes: Axes, weights: Array, shape: tuple[int, ...]) -> None:
    """Draw the input weights of the hidden neurons with the largest ones. weights of shape [N_input, N_hidden]."""
    order = np.argsort(-np.linalg.norm(weights.astype(float), axis=0))[:FIELDS_SHOWN]
    tiles(axes, [field_picture(weights[:, unit].astype(float), shape) for unit in order], FIELD_COLUMNS)


def fields_size(weights: Array, shape: tuple[int, ...]) -> tuple[float, float]:
    """Inches of a figure of `receptive_fields`."""
    pixels = field_picture(weights[:, 0].astype(float), shape)[0].shape
    return tiles_size(min(weights.shape[1], FIELDS_SHOWN), FIELD_COLUMNS, HALF_PAGE[0], pixels)


def field_picture(weights: Reals, shape: tuple[int, ...]) -> Tile:
    """Weights onto one neuron as a picture, with the options of `imshow`: red positive, blue negative."""
    scale = float(np.abs(weights).max()) or 1.0
    if len(shape) == 3 and shape[2] == 3:
        return weights.reshape(shape) / (2 * scale) + 0.5, {}
    if len(shape) == 3:
        weights = weights.reshape(shape).mean(axis=2)
    elif len(shape) == 2:
        weights = weights.reshape(shape)
    else:
        weights = _square(weights)
    return weights, {"cmap": "RdBu_r", "vmin": -scale, "vmax": scale}


def matrix(axes: Axes, values: Array, shares: Reals, columns: str, layout: str = "{}", names: Names = ()) -> None:
    """Draw values of shape [K, K] by true class, shaded by the root of shares in 0..1; printed where readable.

    names: of the classes; none: their numbers.
    """
    image = axes.imshow(shares, cmap=SHARES, norm=PowerNorm(0.5, 0, 1))
    axes.set(xlabel=columns, ylabel="true class")
    axes.grid(visible=False)
    if len(values) > READABLE:
        return
    labels = names or [str(number) for number in range(values.shape[1])]
    upright = all(len(label) <= SHORT_NAME for label in labels)
    axes.set_xticks(range(values.shape[1]), labels, rotation=0 if upright else 90)
    axes.set_yticks(range(len(values)), labels)
    size = None if len(values) <= ROOM and values.max() < 1000 else 7
    for row, column in zip(*np.nonzero(values), strict=True):
        text, colour = (
            layout.format(values[row, column]),
            ON_DARK if image.norm(shares[row, column]) < 0.6 else ON_LIGHT,
        )
        axes.text(column, row, text, ha="center", va="center", size=size, color=colour)


def confusion(grid: Grid, counts: Array, names: Names = ()) -> None:
    """Draw on two axes which classes are taken for which, counts of shape [K, K], and the share right of each class."""
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    right = 100 * np.diag(shares)
    few = len(counts) <= READABLE
    order = np.arange(len(counts)) if few else np.argsort(right, kind="stable")[:WORST]
    left, bars = grid[0]
    matrix(left, counts, shares, "predicted class", names=names)
    bars.barh(range(len(order)), right[order], color=BLUE, height=0.7)
    bars.set(xlim=(0, 150), xticks=(0, 50, 100), xlabel="right, %")
    bars.grid(visible=False, axis="y")
    bars.set_ylim(len(order) - 0.5, -0.5)
    bars.set_yticks(range(len(order)), [""] * len(order) if few else [names[k] if names else str(k) for k in order])
    if few:
        bars.set_box_aspect(1 / BAR_WIDTH)
    for place, share in enumerate(right[order]):
        bars.text(share, place, f" {share:.0f}", va="center", color=INK)


def picture(axes: Axes, image: Array) -> None:
    """Draw one input image."""
    axes.axis("off")
    values = image.astype(float) / (255.0 if image.dtype == np.uint8 else 1.0)
    axes.imshow(grey_picture(values), cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def grey_picture(values: Reals) -> Reals:
    """An image, whatever its shape, as `imshow` takes it."""
    if values.ndim == 1:
        values = _square(values)
    return values.mean(axis=2) if values.ndim == 3 and values.shape[2] != 3 else values


def _square(values: Reals) -> Reals:
    side = int(np.ceil(np.sqrt(values.size)))
    return np.pad(values, (0, side * side - values.size)).reshape(side, side)
