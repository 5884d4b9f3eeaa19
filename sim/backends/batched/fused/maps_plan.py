"""The geometry of maps as lists: what each window sums, what each position reads, what each tap joins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from neuro.base.arrays import Int32, Int64
from neuro.base.convolution import Convolution
from neuro.spec.neurons import SigmaDelta
from neuro.spec.projection import Projection
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.batched.fused.limits import NARROW

LARGEST = (1 << 15) - 257  # of two halves of int8
CHANNELS = 32  # are padded to multiples of this


@dataclass(frozen=True)
class Layout:
    """How a population lies in memory. largest: |payload| at most."""

    positions: int
    channels: int
    largest: int

    @property
    def width(self) -> int:
        """Channels, padded."""
        return -(-self.channels // CHANNELS) * CHANNELS

    @property
    def wide(self) -> bool:
        """Whether payloads need 16 bits."""
        return self.largest > NARROW

    @property
    def block(self) -> int:
        """Channels that a program takes."""
        return math.gcd(self.width, 128)


@dataclass(frozen=True, eq=False)
class Lists:
    """For each of n places a list of entries: starts of shape [n + 1], and columns of as many numbers as entries."""

    starts: Int32
    columns: tuple[Int32, ...]

    @staticmethod
    def of(keys: Int64, n: int, *columns: Int64) -> Lists:
        """Entries sorted by `keys`, 0..n-1, in the order given where these are equal."""
        order = np.argsort(keys, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=n))])
        return Lists(starts.astype(np.int32), tuple(column[order].astype(np.int32) for column in columns))


@dataclass(frozen=True, eq=False)
class Geometry:
    """What a projection joins: windows of source neurons, and (window, target position, tap) that meet.

    A pool sums windows of positions, which is to sum windows of what they read: `windows` of shape [W, D] lists the
    source positions of each, -1 for none.
    """

    windows: Int64
    n_source: int
    n_target: int
    n_taps: int
    window: Int64
    target: Int64
    tap: Int64

    @cached_property
    def single(self) -> bool:
        """Whether every window is one position."""
        return self.windows.shape[1] == 1

    def _members(self) -> tuple[Int64, Int64]:
        window, slot = np.nonzero(self.windows >= 0)
        return window, self.windows[window, slot]

    @cached_property
    def summed(self) -> Lists:
        """Source positions by window."""
        window, place = self._members()
        return Lists.of(window, len(self.windows), place)

    @cached_property
    def spread(self) -> Lists:
        """Windows by source position."""
        window, place = self._members()
        return Lists.of(place, self.n_source, window)

    @cached_property
    def forward(self) -> Lists:
        """Windows and taps by target position."""
        return Lists.of(self.target, self.n_target, self.window, self.tap)

    @cached_property
    def backward(self) -> Lists:
        """Target positions and taps by window."""
        return Lists.of(self.window, len(self.windows), self.target, self.tap)

    @cached_property
    def joined(self) -> Lists:
        """Windows and target positions by tap."""
        return Lists.of(self.tap, self.n_taps, self.window, self.target)


def dense_geometry(n_source: int) -> Geometry:
    """Every position of the source, a tap each, to one position of the target."""
    each = np.arange(n_source)
    return Geometry(each[:, None], n_source, 1, n_source, each, np.zeros_like(each), each)


def geometry_of(convolution: Convolution, shape: tuple[int, ...]) -> Geometry:
    """What `convolution` joins on images of `shape`."""
    lengths = np.array(shape[: len(convolution.kernel)])
    pool, stride = np.array(convolution.pool), np.array(convolution.stride)
    before = np.array([first for first, _ in convolution.padding])
    positions = _grid(convolution.positions(shape))
    taps = _grid(convolution.kernel) * np.array(convolution.dilation)
    base = positions[:, None] * pool * stride + taps[None] - before
    corners, window = np.unique(base.reshape(-1, len(lengths)), axis=0, return_inverse=True)
    members = corners[:, None] + (_grid(convolution.pool) * stride)[None]
    inside = np.all((members >= 0) & (members < lengths), axis=2)
    places = np.ravel_multi_index(tuple(np.moveaxis(np.clip(members, 0, lengths - 1), 2, 0)), tuple(lengths))
    windows = np.where(inside, places, -1)
    kept = inside.any(axis=1)
    number = np.cumsum(kept) - 1
    window = window.ravel()
    target, tap = (part.ravel() for part in np.indices((len(positions), len(taps))))
    meets = kept[window]
    return Geometry(
        windows[kept],
        int(np.prod(lengths)),
        len(positions),
        len(taps),
        number[window[meets]],
        target[meets],
        tap[meets],
    )


def _grid(lengths: tuple[int, ...]) -> Int64:
    """All places of a box, row by row, of shape [n, axes]."""
    return np.array(list(product(*map(range, lengths))), dtype=np.int64)


def layouts(spec: NetworkSpec) -> dict[str, Layout]:
    """The layout of every population: its last axis are channels if a convolution reads or makes it so."""
    channels = {p.name: p.size for p in spec.populations}
    for projection in spec.projections:
        if projection.convolution is not None:
            shape = spec.population(projection.source).shape
            channels[projection.source] = projection.convolution.channels(shape)
            channels[projection.target] = spec.population(projection.target).shape[-1]
    found = {}
    for population in spec.populations:
        neuron = population.neuron
        constant = None if isinstance(neuron, SigmaDelta) else neuron.constant
        largest = neuron.payload_limit if constant is None else abs(constant)
        count = channels[population.name]
        found[population.name] = Layout(population.size // count, count, largest)
    return found


def geometry(spec: NetworkSpec, projection: Projection, lying: dict[str, Layout]) -> Geometry:
    """What `projection`, which has weights of its own, joins."""
    if projection.convolution is None:
        return dense_geometry(lying[projection.source].positions)
    return geometry_of(projection.convolution, spec.population(projection.source).shape)


def refusal(spec: NetworkSpec) -> str:
    """Why the kernels of maps do not run `spec`; "" if they do."""
    lying = layouts(spec)
    for projection in spec.projections:
        if projection.weights is None:
            continue
        source, target = lying[projection.source], lying[projection.target]
        if projection.convolution is None and target.positions > 1:
            return f"projection {projection.name} joins all neurons to maps"
        windows = 1 if projection.convolution is None else math.prod(projection.convolution.pool)
        if max(source.largest * windows, 2 * target.largest) > LARGEST:
            return f"projection {projection.name} sums or compares payloads beyond 16 bits"
        rule = projection.rule
        if rule is not None and rule.uses_state_difference:
            return f"projection {projection.name} learns from states"
    return ""
