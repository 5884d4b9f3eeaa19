"""Which neuron reaches which: connectivity by groups, all-to-all and shared kernels need no list of synapses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neuro.base.arrays import Bools, Int64
from neuro.base.convolution import OUTSIDE, Convolution


@dataclass(frozen=True, eq=False)
class Pattern:
    """Synapses between groups of consecutive neurons: every neuron of a source group reaches all of a target group.

    n_source, n_target:         neurons at both ends.
    source_group, target_group: neurons of a group, which divide n_source and n_target.
    starts of shape [target groups + 1], groups: the source groups that reach target group k are
                                groups[starts[k] : starts[k + 1]], each once.
    """

    n_source: int
    n_target: int
    source_group: int
    target_group: int
    starts: Int64
    groups: Int64

    @property
    def n_source_groups(self) -> int:
        """Groups of source neurons."""
        return self.n_source // self.source_group

    @cached_property
    def is_full(self) -> bool:
        """Whether every neuron reaches every neuron, so that only the number of targets matters, not which."""
        return self.source_group == self.n_source and self.target_group == self.n_target and len(self.groups) == 1

    def synapses(self, first: int, last: int) -> int:
        """The number of synapses onto target neurons first..last - 1."""
        groups, widths = self._overlap(first, last)
        degrees = self.starts[groups + 1] - self.starts[groups]
        return int((degrees * widths).sum()) * self.source_group

    def fan_out(self, first: int, last: int) -> Int64:
        """The number of target neurons first..last - 1 that each neuron of a source group reaches, by group."""
        if self.is_full:
            return np.array([last - first], dtype=np.int64)
        groups, widths = self._overlap(first, last)
        begin, end = self.starts[groups[0]], self.starts[groups[-1] + 1]
        degrees = self.starts[groups + 1] - self.starts[groups]
        counts = np.bincount(self.groups[begin:end], np.repeat(widths, degrees), self.n_source_groups)
        return counts.astype(np.int64)

    def fan_in(self) -> Int64:
        """The number of source neurons that reach each target neuron, of shape [n_target]."""
        return np.repeat(np.diff(self.starts) * self.source_group, self.target_group)

    def _overlap(self, first: int, last: int) -> tuple[Int64, Int64]:
        """The target groups that overlap first..last - 1, and by how many neurons each."""
        size = self.target_group
        groups = np.arange(first // size, (last - 1) // size + 1, dtype=np.int64)
        widths = np.minimum(last, (groups + 1) * size) - np.maximum(first, groups * size)
        return groups, widths


def full(n_source: int, n_target: int) -> Pattern:
    """All-to-all connectivity."""
    return Pattern(
        n_source, n_target, n_source, n_target, np.array([0, 1], dtype=np.int64), np.zeros(1, dtype=np.int64)
    )


def of_matrix(present: Bools) -> Pattern:
    """The connectivity of a matrix [n_source, n_target] that is true where there is a synapse."""
    targets, sources = np.nonzero(present.T)
    starts = np.searchsorted(targets, np.arange(present.shape[1] + 1)).astype(np.int64)
    n_source, n_target = present.shape
    return Pattern(n_source, n_target, 1, 1, starts, sources.astype(np.int64))


def of_kernel(convolution: Convolution, shape: tuple[int, ...], features: int) -> Pattern:
    """The connectivity of a shared kernel on images of `shape`; one target group is one position."""
    taps = convolution.taps(shape)
    inside = taps != OUTSIDE
    starts = np.concatenate([[0], np.cumsum(inside.sum(axis=1))]).astype(np.int64)
    return Pattern(int(np.prod(shape)), len(taps) * features, 1, features, starts, taps[inside].astype(np.int64))


def of_kernel_weights(convolution: Convolution, shape: tuple[int, ...], present: Bools) -> Pattern:
    """The connectivity of a kernel synapse by synapse; present of shape (extent..., channels, features)."""
    taps, features = convolution.taps(shape), present.shape[-1]
    tap, feature = np.nonzero(present.reshape(-1, features))
    sources = taps[:, tap]  # [positions, weights]
    targets = np.arange(len(taps))[:, None] * features + feature
    inside = sources != OUTSIDE
    order = np.argsort(targets[inside], kind="stable")
    n_target = len(taps) * features
    starts = np.searchsorted(targets[inside][order], np.arange(n_target + 1)).astype(np.int64)
    return Pattern(int(np.prod(shape)), n_target, 1, 1, starts, sources[inside][order].astype(np.int64))


def transposed(pattern: Pattern) -> Pattern:
    """The connectivity from target to source."""
    targets = np.repeat(np.arange(len(pattern.starts) - 1), np.diff(pattern.starts))
    order = np.argsort(pattern.groups, kind="stable")
    starts = np.searchsorted(pattern.groups[order], np.arange(pattern.n_source_groups + 1)).astype(np.int64)
    return Pattern(
        pattern.n_target, pattern.n_source, pattern.target_group, pattern.source_group, starts,
        targets[order].astype(np.int64),
    )  # fmt: skip
