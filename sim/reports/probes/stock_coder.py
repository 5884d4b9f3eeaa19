"""Measurements that a report shows of a sparse coder of stock processes: on the chip's integers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from neuro.base.arrays import Array, Integers, Reals
from neuro.coding.coder import StockCoder, codes_of
from neuro.front_ends.pixels import PixelEncoder
from sim.backends.stock.emulator import emulate
from sim.coding.measure import codes, lasso
from sim.reports.probes.coder import TINY, Coding, Descent, relative_error, watched_steps


@dataclass(frozen=True, eq=False)
class StockCoding(Coding):
    """A coder of stock processes as a page sees it; its dictionary is the real one, atoms of length 1."""

    network: StockCoder

    @property
    def encoder(self) -> PixelEncoder:
        """The encoder of its signals."""
        return self.network.encoder

    @property
    def n_atoms(self) -> int:
        """Atoms."""
        return self.network.problem.n_atoms

    @property
    def dictionary(self) -> Reals:
        """The dictionary that it was made from, of shape [N, K]."""
        return self.network.problem.dictionary

    @property
    def images(self) -> Reals:
        """See `Coding`: the dictionary."""
        return self.dictionary

    def signals(self, images: Array) -> Integers:
        """The payloads of shape [B, N] that the coder is given for images of shape [B, ...]."""
        return self.encoder.encode(images)

    def codes(self, payloads: Integers) -> Reals:
        """The real codes of shape [B, K] of signals."""
        return codes(self.network, payloads)


def watch_stock_descent(coding: StockCoding, payloads: Integers) -> Descent:
    """Watch signals of shape [n, N] settle: one run of twice the steps, read after several numbers of steps."""
    coder, problem = coding.network, coding.network.problem
    steps, signals = watched_steps(coder.free_steps), coder.signals_of(payloads)
    drive = coder.drive(signals, int(steps[-1]))
    spikes = emulate(coder.graph, drive.inputs, biases=drive.biases).spikes
    read = []
    for end in steps:
        shorter = replace(coder, free_steps=int(end))
        read.append(codes_of(shorter, shorter.scores({name: sent[:, :end] for name, sent in spikes.items()})))
    exact = lasso(problem.dictionary, problem.sparsity_threshold, signals, positive=True)
    least = np.maximum(problem.objective(signals, exact), TINY)
    gap = np.stack([problem.objective(signals, code) / least - 1 for code in read], axis=1)
    return Descent(
        coder.free_steps, steps, np.stack([relative_error(coding, payloads, code) for code in read], axis=1), gap
    )
