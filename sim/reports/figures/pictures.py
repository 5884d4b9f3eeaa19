"""Pictures drawn on axes: receptive fields, atoms, images, and matrices of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from neuro.base.arrays import Array, Reals
from sim.reports.figures.canvas import INK

FIELDS_SHOWN, FIELD_COLUMNS = 48, 12
GAP = 0.12  # between tiles, in widths of one
READABLE = 20  # classes of a matrix whose counts are printed

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
    return tiles_size(min(weights.shape[1], FIELDS_SHOWN), FIELD_COLUMNS, 6.4, pixels)


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


def matrix(axes: Axes, values: Array, shares: Reals, columns: str, layout: str = "{}") -> None:
    """Draw values of shape [K, K] by true class, shaded by shares in 0..1; printed where they are readable."""
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel=columns, ylabel="true class")
    axes.grid(visible=False)
    if len(values) <= READABLE:
        axes.set_xticks(range(values.shape[1]))
        axes.set_yticks(range(len(values)))
        for row, column in zip(*np.nonzero(values), strict=True):
            colour = "white" if shares[row, column] > 0.5 else INK
            text = layout.format(values[row, column])
            axes.text(column, row, text, ha="center", va="center", size=7, color=colour)


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
