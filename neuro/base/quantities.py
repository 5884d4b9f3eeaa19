"""Numbers that say how they were obtained: measured by a meter, counted by a program, modelled as a band, reported by
somebody else.

Four types that never mix, and a fifth for what no meter could read: a table or a figure that shows one shows its kind,
too.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f"))
LARGE_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
SCALED_UNITS = ("J", "s", "W", "J s")


def with_prefix(value: float, unit: str) -> str:
    """Three significant digits of `value` with its unit; units of SCALED_UNITS get a prefix: 2.5e-5 J, 25 µJ."""
    size = abs(value)
    if unit not in SCALED_UNITS or not math.isfinite(value) or size == 0:
        return f"{value:.3g} {unit}".strip()
    scales = (*LARGE_PREFIXES, *PREFIXES)
    scale, prefix = next((pair for pair in scales if size >= pair[0] * 0.9995), scales[-1])
    return f"{value / scale:.3g} {prefix}{unit}"


@dataclass(frozen=True)
class _Number:
    """One finite number with its unit; what it is, its kind says."""

    value: float
    unit: str
    kind: ClassVar[str]

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"{self.kind} {self.value}: not a finite number")

    def to_json(self) -> dict[str, Any]:
        """All fields and the kind, as an object that `json` can write."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Measured(_Number):
    """What an instrument read. meter: which one, and over what; n: how many readings `value` is the mean of."""

    meter: str
    n: int = 1
    kind: ClassVar[str] = "measured"

    def __str__(self) -> str:
        return f"{with_prefix(self.value, self.unit)} (measured: {self.meter}, n = {self.n})"


@dataclass(frozen=True)
class Counted(_Number):
    """What a program did, the same on every machine. what: counted how, and over what; n: images it is the mean of."""

    what: str
    n: int = 1
    kind: ClassVar[str] = "counted"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.value < 0:
            raise ValueError(f"counted {self.value}: not a number of at least 0")

    def __str__(self) -> str:
        return f"{self.value:,.10g} {self.unit} (counted: {self.what}, n = {self.n})"


@dataclass(frozen=True)
class Modelled:
    """What a model says: between low and high, if its constants are between those of `sources`. Never a single number.

    Bands add if their units agree, low to low and high to high: they hold whatever the constants are, together.
    """

    low: float
    high: float
    unit: str
    sources: tuple[str, ...] = ()
    kind: ClassVar[str] = "modelled"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"modelled {self.low}..{self.high}: needs finite numbers, low <= high")

    def __str__(self) -> str:
        return f"{with_prefix(self.low, self.unit)} to {with_prefix(self.high, self.unit)} (modelled)"

    def __add__(self, other: Modelled) -> Modelled:
        if self.unit != other.unit:
            raise ValueError(f"modelled: cannot add {other.unit} to {self.unit}")
        sources = tuple(dict.fromkeys((*self.sources, *other.sources)))
        return Modelled(self.low + other.low, self.high + other.high, self.unit, sources)

    def times(self, count: int) -> Modelled:
        """The band of so many of these."""
        return Modelled(self.low * count, self.high * count, self.unit, self.sources)

    def to_json(self) -> dict[str, Any]:
        """All fields and the kind, as an object that `json` can write."""
        return {"kind": self.kind, **asdict(self), "sources": list(self.sources)}


@dataclass(frozen=True)
class Reported(_Number):
    """What somebody else says, unchecked. source: who; quoted_by: where it was read, if not there."""

    source: str
    quoted_by: str = ""
    kind: ClassVar[str] = "reported"

    def __str__(self) -> str:
        quoted = f", as quoted by {self.quoted_by}" if self.quoted_by else ""
        return f"{with_prefix(self.value, self.unit)} (reported: {self.source}{quoted})"


@dataclass(frozen=True)
class NotMeasurable:
    """No number, and why: stands where a measurement would, so that nothing else is put there."""

    reason: str
    kind: ClassVar[str] = "not measurable"

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"

    def to_json(self) -> dict[str, Any]:
        """The kind and the reason, and no value, as an object that `json` can write."""
        return {"kind": self.kind, "value": None, "reason": self.reason}


Quantity = Measured | Counted | Modelled | Reported
Cell = Quantity | NotMeasurable
