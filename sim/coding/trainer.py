"""How a dictionary is learned: batches through a learner, a line of history after every epoch.

Like that of `sim.training.trainer` it goes on from `LcaProgress` and the full-resolution atoms: the order of images is
a function of seed and epoch, all randomness of seed and counters.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from neuro.base.arrays import Int16, Int64, Reals
from neuro.base.schema import Count
from sim.coding.learner import BatchOutcome, DictionaryLearner
from sim.training.checkpoint import restored
from sim.training.stepwise import Stepwise

BATCH, KERNEL_BATCH = 128, 32
ADAPT_EVERY = 20  # batches
RATE = 0.2  # of the first batch, in units of 1 / (mean square of a code, per atom); falls to an eighth
FINAL_RATE = 1 / 8
GROWN = 2.0  # the mean square of a code is measured again where a batch exceeds it so many times
EXPECTED = 1 / 4  # of the squared length of a signal: no smaller are codes taken to be, once atoms fit
REVIVE_UNTIL = 0.5  # share of the training


@dataclass(frozen=True)
class LcaEpoch:
    """One point of the learning curve, means over the epoch, taken before each update; norms and coherence at its end.

    coherence: largest |<d_i, d_j>| of two atoms of unit norm.
    """

    epoch: int
    objective: float
    active: float
    spikes: float
    settled: float
    smallest_norm: float
    largest_norm: float
    coherence: float
    revived: int
    images_per_s: float


@dataclass
class LcaProgress:
    """Where a training stands: with the atoms, all that is needed to go on."""

    epoch: Count = 0
    position: Count = 0
    scale: float = 0.0  # mean square of a code when it was last measured
    sums: list[float] = field(default_factory=lambda: [0.0] * 4)  # of the figures of this epoch
    used: list[bool] = field(default_factory=list)  # atoms that were active in this epoch
    epoch_s: float = 0.0
    learn_s: float = 0.0
    cpu_s: float = 0.0
    history: list[LcaEpoch] = field(default_factory=list)

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> LcaProgress:
        """Rebuild from `dataclasses.asdict`."""
        return restored(content, LcaProgress)

    def to_json(self) -> dict[str, Any]:
        """The same as plain objects."""
        return asdict(self)


class LcaTrainer(Stepwise):
    """One training of a dictionary on encoded images of shape [n, N]: see `Stepwise`."""

    progress: LcaProgress

    def __init__(
        self,
        learner: DictionaryLearner,
        payloads: Int16,
        n_epochs: int,
        normalise: bool,
        threads: int | None,
    ) -> None:
        self.learner, self.payloads, self.n_epochs = learner, payloads, n_epochs
        self.normalise, self.threads = normalise, threads
        self.batch = min(BATCH if learner.design.convolution is None else KERNEL_BATCH, len(payloads))
        self.progress: LcaProgress = LcaProgress()

    @property
    def n_images(self) -> int:
        """Images per epoch."""
        return len(self.payloads)

    @property
    def done(self) -> float:
        """Share of the training that is done."""
        return (self.progress.epoch + self.progress.position / self.n_images) / self.n_epochs

    def _order(self) -> Int64:
        return np.random.default_rng([self.learner.seed, self.progress.epoch, 0x1CA]).permutation(self.n_images)

    def step(self) -> None:
        """Learn the next batch, and count it."""
        start, cpu_start, progress = time.perf_counter(), time.process_time(), self.progress
        chosen = self._order()[progress.position : progress.position + self.batch]
        payloads = self.payloads[chosen]
        if progress.position // self.batch % ADAPT_EVERY == 0:
            self._adapt(payloads)
        outcome, residual = self.learner.observe(payloads, self.threads)
        if self._scale(outcome) > GROWN * progress.scale:  # since it was measured: a dictionary that has just woken up
            progress.scale = self._scale(outcome)
        rate = RATE / (progress.scale * len(chosen)) * FINAL_RATE**self.done
        presentation = progress.epoch * self.n_images + progress.position
        self.learner.update(outcome, residual, rate, presentation)
        self._count(outcome)
        progress.position += len(chosen)
        elapsed = time.perf_counter() - start
        progress.epoch_s, progress.learn_s = progress.epoch_s + elapsed, progress.learn_s + elapsed
        progress.cpu_s += time.process_time() - cpu_start

    def _adapt(self, payloads: Int16) -> None:
        """Measure how large codes are, and let the host do what it does at times."""
        if self.progress.epoch or self.progress.position:
            self.learner.adapt(self.normalise)
        outcome, _ = self.learner.observe(payloads, self.threads)
        signals = payloads * 2.0**-self.learner.design.encoder.activation_bits
        length = float(np.square(signals).sum()) / (len(signals) * self.learner.shape[-1])
        self.progress.scale = max(
            self._scale(outcome), EXPECTED * length, self.learner.design.sparsity_threshold**2 / 100
        )

    def _scale(self, outcome: BatchOutcome) -> float:
        """The mean square of a code, per atom: over signals, summed over positions."""
        return float(np.square(outcome.codes).sum()) / (len(outcome.codes) * self.learner.shape[-1])

    def _count(self, outcome: BatchOutcome) -> None:
        progress = self.progress
        figures = (outcome.objective, outcome.active, outcome.spikes, np.full(len(outcome.active), outcome.settled))
        progress.sums = [total + float(values.sum()) for total, values in zip(progress.sums, figures, strict=True)]
        used = outcome.codes.reshape(-1, self.learner.shape[-1]).any(axis=0)
        before = progress.used or [False] * len(used)
        progress.used = [bool(a or b) for a, b in zip(before, used, strict=True)]

    def end_epoch(self) -> None:
        """Revive atoms that nothing used, measure the dictionary, and move on to the next epoch."""
        progress, learner, order = self.progress, self.learner, self._order()
        revived = 0
        if self.done <= REVIVE_UNTIL:
            revived = learner.revive(~np.array(progress.used), self.payloads[order[: 4 * self.batch]])
        learner.adapt(self.normalise)
        norms, coherence = norms_and_coherence(learner.dictionary())
        objective, active, spikes, settled = (total / self.n_images for total in progress.sums)
        speed = self.n_images / max(progress.epoch_s, 1e-9)
        line = LcaEpoch(
            progress.epoch + 1, objective, active, spikes, settled, float(norms.min()), float(norms.max()), coherence,
            revived, speed,
        )  # fmt: skip
        progress.history.append(line)
        progress.epoch += 1
        progress.position, progress.epoch_s = 0, 0.0
        progress.sums, progress.used = [0.0] * 4, []


def norms_and_coherence(dictionary: Reals) -> tuple[Reals, float]:
    """The norms of the atoms, of shape [K], and the largest |cosine| of two different ones."""
    atoms = dictionary.reshape(-1, dictionary.shape[-1])
    norms = np.linalg.norm(atoms, axis=0)
    unit = atoms / np.where(norms > 0, norms, 1.0)
    cosines = np.abs(unit.T @ unit) - np.eye(len(norms))
    return norms, float(max(cosines.max(), 0.0))
