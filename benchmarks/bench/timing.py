"""How long work takes: windows of several seconds, warm, one call after the other.

A call takes images from host memory and leaves classes in host memory; encoding and copies are inside. Work on a GPU
must have come back when the call returns (`Contestant.infer` ends with a copy to the host, `learn` with a
synchronisation); nothing is captured or compiled ahead, so launches count, as they do in use.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.bench.counters import Counter
from benchmarks.bench.meters import Reading, Tally
from neuro.base.arrays import Array, Reals
from neuro.base.quantities import Cell, Measured, NotMeasurable

WARM_UP_S = 0.2
SWEEP_S, SWEEP_WARM_UP_S = 0.2, 0.05  # a batch size is tried so long
WORSE = 0.7  # of the highest throughput so far: larger batches are not tried
BATCHES = {"cpu": (1, 4, 16, 64, 256, 1024), "cuda": (1, 16, 64, 256, 1024, 4096, 16384)}  # by device
FEWEST_FOR_P99 = 100
DISTINCT = 2048  # images that batches are made of
Arrays = tuple[Array, ...]
Work = Callable[..., object]
UNASKED = NotMeasurable("no energy counter was asked")


@dataclass(frozen=True, eq=False)
class Window:
    """Calls of the same batch size: durations_s of shape [calls]; energy: gross, of the whole window."""

    batch: int
    durations_s: Reals
    energy: Reading | NotMeasurable

    @property
    def n_images(self) -> int:
        """Images processed."""
        return self.batch * len(self.durations_s)

    @property
    def images_per_s(self) -> float:
        """Images per second of work."""
        return float(self.n_images / self.durations_s.sum())

    def median(self) -> Measured:
        """The median time of a call, s."""
        n = len(self.durations_s)
        return Measured(float(np.median(self.durations_s)), "s", "clock of the host, median call", n)

    def p99(self) -> Cell:
        """The 99th percentile of the time of a call, s."""
        n = len(self.durations_s)
        if n < FEWEST_FOR_P99:
            return NotMeasurable(
                f"99th percentile: needs {FEWEST_FOR_P99} calls in a window; give longer ones (--seconds)"
            )
        return Measured(float(np.quantile(self.durations_s, 0.99)), "s", "clock of the host, 99th percentile", n)

    def throughput(self) -> Measured:
        """Images per second."""
        return Measured(self.images_per_s, "images/s", "clock of the host", self.n_images)


def batches_of(arrays: Arrays, batch: int) -> Iterator[Arrays]:
    """Yield batches of the rows of arrays, for ever: each row in turn, rows again where a batch needs more."""
    length = len(arrays[0])
    n_batches = max(1, min(length, DISTINCT) // batch)
    order = np.arange(n_batches * batch) % length
    parts = [tuple(array[chosen] for array in arrays) for chosen in np.split(order, n_batches)]
    return itertools.cycle(parts)


def run_window(
    work: Work, arrays: Arrays, batch: int, seconds: float, counter: Counter | NotMeasurable = UNASKED,
    warm_up_s: float | None = None,
) -> Window:  # fmt: skip
    """Call `work` on one batch after the other for so many seconds, after a warm-up, with a counter or without."""
    batches = batches_of(arrays, batch)
    _warm_up(work, batches, WARM_UP_S if warm_up_s is None else warm_up_s)
    tally = counter if isinstance(counter, NotMeasurable) else Tally(counter)
    durations, end, clock = [], time.perf_counter() + seconds, time.perf_counter
    while True:
        given = next(batches)
        start = clock()
        work(*given)
        now = clock()
        durations.append(now - start)
        if isinstance(tally, Tally):
            tally.look()
        if now >= end:
            break
    energy = tally.finish() if isinstance(tally, Tally) else tally
    return Window(batch, np.array(durations), energy)


def _warm_up(work: Work, batches: Iterator[Arrays], seconds: float) -> None:
    """Let caches fill, clocks rise and compilers finish: at least one call."""
    end = time.perf_counter() + seconds
    work(*next(batches))
    while time.perf_counter() < end:
        work(*next(batches))


def best_batch(work: Work, arrays: Arrays, batches: Sequence[int]) -> tuple[int, dict[int, float]]:
    """The batch size of the highest throughput among those tried, and images per second of each.

    Sizes are tried in rising order, until two in a row are clearly worse than the best before them.
    """
    speeds: dict[int, float] = {}
    for batch in batches:
        speeds[batch] = run_window(work, arrays, batch, SWEEP_S, warm_up_s=SWEEP_WARM_UP_S).images_per_s
        if len(speeds) > 2 and max(list(speeds.values())[-2:]) < WORSE * max(speeds.values()):
            break
    return max(speeds, key=lambda batch: speeds[batch]), speeds
