"""Projections of networks of maps on a device: what they join, as lists, their weights, and room for what passes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuro.spec.projection import Projection
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.batched.fused.limits import NARROW
from sim.backends.batched.fused.maps_plan import Geometry, Layout, Lists, geometry
from sim.backends.batched.fused.resident import Matrix


class Table(NamedTuple):
    """Lists on the device."""

    starts: Tensor
    columns: tuple[Tensor, ...]


class Link:
    """A projection with weights of its own: what it joins, its weights, and room for what passes it."""

    def __init__(
        self, spec: NetworkSpec, projection: Projection, lying: dict[str, Layout], device: torch.device
    ) -> None:
        assert projection.weights is not None  # no transpose
        self.projection, self.device = projection, device
        self.source, self.target = lying[projection.source], lying[projection.target]
        joined: Geometry = geometry(spec, projection, lying)
        self.geometry, self.single = joined, joined.single
        n_windows = len(joined.windows)
        self.largest = self.source.largest * joined.windows.shape[1]
        self.wide = self.largest > NARROW
        self.n_windows, self.n_taps = n_windows, joined.n_taps
        self.summed, self.spread = self._table(joined.summed), self._table(joined.spread)
        self.forward, self.backward = self._table(joined.forward, read=True), self._table(joined.backward)
        self.joined = self._table(joined.joined, read=True)
        shape = (self.n_taps, self.source.width, self.target.width)
        straight = torch.zeros(shape, dtype=torch.int8, device=device)
        self.matrix = Matrix(straight, straight.transpose(1, 2).contiguous())
        self.load(torch.tensor(projection.weights, device=device))

    def _table(self, lists: Lists, read: bool = False) -> Table:
        """On the device. read: the first column names what is read: windows, or source positions where they are one."""
        columns = list(lists.columns)
        if read and self.single:
            columns[0] = self.geometry.windows[columns[0], 0].astype(np.int32)
        each = (torch.tensor(column, device=self.device) for column in columns)
        return Table(torch.tensor(lists.starts, device=self.device), tuple(each))

    def load(self, weights: Tensor) -> None:
        """Take integers of the shape of the weights."""
        self.matrix.load(weights.view(self.n_taps, self.source.channels, self.target.channels))

    def make_buffers(self, batch: int, back: bool, learns: bool) -> None:
        """Room for sums of windows, now and at both moments of learning, and for what arrives at both ends."""
        kind = torch.int16 if self.wide else torch.int8
        windows = (self.n_windows, batch, self.source.width)

        def zeros(shape: tuple[int, ...], kind: torch.dtype = torch.int32) -> Tensor:
            return torch.zeros(shape, dtype=kind, device=self.device)

        self.sums = None if self.single else zeros(windows, kind)
        self.held_sums = () if self.single or not learns else tuple(zeros(windows, kind) for _ in range(2))
        self.arrived = zeros((self.target.positions, batch, self.target.width))
        self.returned = zeros(windows) if back else None
