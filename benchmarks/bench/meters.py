"""Measured energy: what this machine's own counters read over a window of several seconds, or why there is no number.

The counters are those of `benchmarks.bench.counters`. Whatever else runs on the machine is in the reading, so idle
power is measured, too, shown, and subtracted. On some GPUs (A100, H100) the sensor behind the counter sees a quarter
of the time only: hence long windows of steady work.

Source: Yang et al. 2024, "Part-time power measurements" (arXiv 2312.02741) on what NVIDIA's sensor misses.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.bench.counters import Counter
from neuro.base.quantities import Measured, NotMeasurable

FEWEST_UPDATES = 20  # of the counter in a window: its ends are known to one update each, so to 10 %
READ_EVERY_S = 0.05  # between two looks at the counter while work goes on
Clock = Callable[[], float]


@dataclass(frozen=True)
class Reading:
    """What a counter rose by over a window. updates: rises seen, so at least so many updates of the counter.

    longest_gap_s: longest time between two rises seen, looks at the counter included: what either end is uncertain by.
    """

    counter: str
    gross_j: float
    window_s: float
    updates: int
    longest_gap_s: float

    @property
    def power_w(self) -> float:
        """Mean power over the window."""
        return self.gross_j / self.window_s

    def to_json(self) -> dict[str, Any]:
        """All fields, as an object that `json` can write."""
        return asdict(self)


class Tally:
    """Reads a counter now and then while work goes on: call `look` between two pieces of work, `finish` after them."""

    def __init__(self, counter: Counter, clock: Clock = time.perf_counter) -> None:
        self._counter, self._clock = counter, clock
        self._first = self._last = counter.read()
        self._start = self._looked = self._rose = clock()
        self._updates, self._gap = 0, 0.0

    def look(self) -> None:
        """Read the counter, if the last time is long enough ago to matter little."""
        if self._clock() - self._looked >= READ_EVERY_S:
            self._read()

    def _read(self) -> None:
        value, now = self._counter.read(), self._clock()
        self._looked = now
        if value > self._last:
            self._updates += 1
            self._gap = max(self._gap, now - self._rose)
            self._last, self._rose = value, now

    def finish(self) -> Reading | NotMeasurable:
        """The reading, or why it says too little."""
        self._read()
        elapsed = self._looked - self._start
        if self._updates < FEWEST_UPDATES:
            return NotMeasurable(
                f"{self._counter.name}: rose {self._updates} times in {elapsed:.1f} s, {FEWEST_UPDATES} are needed; "
                "give longer windows (--seconds)"
            )
        gap = max(self._gap, self._looked - self._rose)
        return Reading(self._counter.name, self._last - self._first, elapsed, self._updates, gap)


def measure_idle(
    counter: Counter, seconds: float, clock: Clock = time.perf_counter, sleep: Callable[[float], None] = time.sleep
) -> Reading | NotMeasurable:
    """The power of the machine while this process sleeps."""
    tally, end = Tally(counter, clock), clock() + seconds
    while clock() < end:
        sleep(READ_EVERY_S)
        tally.look()
    return tally.finish()


def net_energy(work: Reading | NotMeasurable, idle: Reading | NotMeasurable, n_images: int) -> Measured | NotMeasurable:
    """The energy of one image above idle, J, from a window in which n_images were processed."""
    if isinstance(work, NotMeasurable):
        return work
    if isinstance(idle, NotMeasurable):
        return NotMeasurable(f"idle power: {idle.reason}")
    net = work.gross_j - idle.power_w * work.window_s
    meter = (
        f"{work.counter}; {work.window_s:.1f} s, at least {work.updates} counter updates, ends known to "
        f"{200 * work.longest_gap_s / work.window_s:.1f} %; {work.power_w:.3g} W, idle {idle.power_w:.3g} W subtracted"
    )
    if net <= 2 * work.longest_gap_s * work.power_w:
        return NotMeasurable(f"work draws no more than idle, within what the counter resolves ({meter})")
    return Measured(net / n_images, "J", meter, n_images)


def gross_energy(work: Reading | NotMeasurable, n_images: int) -> Measured | NotMeasurable:
    """The energy of one image, idle power included, J."""
    if isinstance(work, NotMeasurable):
        return work
    return Measured(work.gross_j / n_images, "J", f"{work.counter}; {work.window_s:.1f} s, idle included", n_images)
