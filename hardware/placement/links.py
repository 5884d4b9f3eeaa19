"""The links between the tiles of a chip that messages pass: along the row first, then along the column.

A tile has a link to each of its four neighbours, one for each direction. Links between chips are left out: no public
figure says what they carry.
"""

from __future__ import annotations

import numpy as np

from hardware.chip.limits import Limits
from neuro.base.arrays import Int64

EAST, WEST, SOUTH, NORTH = range(4)


def n_links(limits: Limits, n_chips: int) -> int:
    """The number of links of all chips together, those at the rim included, which nothing passes."""
    return 4 * n_tiles(limits) * n_chips


def n_tiles(limits: Limits) -> int:
    """The tiles of a chip, its last row taken as full."""
    columns = limits.tile_columns.value
    return columns * -(-limits.cores.value // (limits.tile_cores.value * columns))


def passed(limits: Limits, n_chips: int, source: int, targets: list[int]) -> Int64:
    """The links that a message from a core passes to each of other cores, of shape [len(targets), links], 0 or 1."""
    links = np.zeros((len(targets), n_links(limits, n_chips)), dtype=np.int64)
    for row, target in enumerate(targets):
        chip, own = divmod(source, limits.cores.value)
        other_chip, other = divmod(target, limits.cores.value)
        if chip == other_chip:
            links[row, [4 * chip * n_tiles(limits) + link for link in _route(limits, own, other)]] = 1
    return links


def _route(limits: Limits, own: int, other: int) -> list[int]:
    columns = limits.tile_columns.value
    (y, x), (to_y, to_x) = (divmod(core // limits.tile_cores.value, columns) for core in (own, other))
    route = []
    while x != to_x:
        route.append(4 * (y * columns + x) + (EAST if to_x > x else WEST))
        x += 1 if to_x > x else -1
    while y != to_y:
        route.append(4 * (y * columns + x) + (SOUTH if to_y > y else NORTH))
        y += 1 if to_y > y else -1
    return route
