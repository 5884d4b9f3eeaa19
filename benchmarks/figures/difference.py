"""In what two files of results differ, and by how much: figures apart from timings, which no two runs share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

UNCOMPARED = ("machine", "date", "run", "run_manifest_sha256", "config", "config_sha256", "energy counters", "versions")
TIMING = re.compile(
    r"(^|[. _])(latency|throughput|p99|ratio|ratios|gross|counter|idle|energy_delay|load_average"
    r"|(cpu_|chip_|lava_|compile_|open_)?s|ms|ns|per_s)([. _]|$)|_per_(cpu_)?s|cpu_s"
    r"|peak memory|peak_bytes|forward and backward|steps_per_s|speed|seconds"
)
WITHOUT_CLOCK = ("counted", "modelled")  # kinds of cells in which no time was measured
NO_CLOCK = re.compile(rf" \(({'|'.join(WITHOUT_CLOCK)})\)|^compile\.\d+\.ratio$")  # the latter: cores over the fewest
CPU_TIME = re.compile(r"[\d.,]+ s of CPU time")  # in a text
TOLERANCE = 1e-6  # of figures that floats compute: the order of sums differs between processors


@dataclass(frozen=True)
class Difference:
    """A figure that is another one now. place: keys and indices, joined by dots; None: it is in one file only."""

    place: str
    before: Any
    now: Any

    @property
    def share(self) -> float:
        """By how much it differs, relative to what it was; infinite if it is no number or was zero."""
        if is_number(self.before) and is_number(self.now) and self.before:
            return float(abs(self.now - self.before) / abs(self.before))
        return float("inf")

    def __str__(self) -> str:
        by = f" ({100 * self.share:.2g} %)" if self.share < float("inf") else ""
        return f"{self.place}: {short(self.before)} -> {short(self.now)}{by}"


@dataclass(frozen=True)
class Comparison:
    """What two files share. figures: how many were compared; timings: ratios now / before; missing: not derived now."""

    figures: int
    differences: tuple[Difference, ...]
    timings: tuple[float, ...]
    missing: int

    def lines(self, most: int = 5) -> list[str]:
        """A summary, then the largest differences."""
        found = sorted(self.differences, key=lambda difference: -difference.share)
        parts = [f"{self.figures} figures, {len(found)} differ"]
        if self.timings:
            parts.append(f"{len(self.timings)} timings, median ratio {median(self.timings):.2f}")
        if self.missing:
            parts.append(f"{self.missing} not derived")
        return ["; ".join(parts), *(f"  {difference}" for difference in found[:most])]


def compare(before: Any, now: Any, partial: bool = False, left_out: str = "") -> Comparison:
    """Compare the contents of two files.

    partial: what the new one lacks was not asked for, and does not count. left_out: places, a regular expression.
    """
    old, new = (dict(leaves(content)) for content in (before, now))
    old = {place: value for place, value in old.items() if not (left_out and re.search(left_out, place))}
    shared = [place for place in old if place in new]
    clocked = {p for p in shared if is_timing(p) and is_number(old[p]) and is_number(new[p])}
    timings = tuple(float(new[p] / old[p]) for p in shared if p in clocked and old[p])
    compared = [place for place in shared if place not in clocked]
    differences = tuple(Difference(p, old[p], new[p]) for p in compared if not equal(old[p], new[p]))
    missing = 0 if partial else sum(place not in new and not is_timing(place) for place in old)
    return Comparison(len(compared), differences, timings, missing)


def leaves(content: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value that is no mapping and no list, with its place; cells without a clock are marked there."""
    if isinstance(content, dict):
        if content.get("kind") in WITHOUT_CLOCK and place:
            place = f"{place} ({content['kind']})"
        for key, value in content.items():
            if key not in UNCOMPARED:
                yield from leaves(value, f"{place}.{key}" if place else str(key))
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from leaves(value, f"{place}.{index}")
    else:
        yield place, content


def is_timing(place: str) -> bool:
    """Whether a number at this place depends on the clock of the machine."""
    return TIMING.search(place) is not None and NO_CLOCK.search(place) is None


def is_number(value: Any) -> bool:
    """Whether `value` is a number that can be subtracted."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def equal(before: Any, now: Any) -> bool:
    """Whether two figures are the same; those that floats computed, to within `TOLERANCE`."""
    if is_number(before) and is_number(now):
        return bool(abs(before - now) <= TOLERANCE * max(1.0, abs(before)))
    if isinstance(before, str) and isinstance(now, str):
        return CPU_TIME.sub("", before) == CPU_TIME.sub("", now)
    return bool(before == now)


def short(value: Any) -> str:
    """A value in few words."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:60]
