"""What one measure of likeness says of a layer and a region: a value, its interval, and what it could be at most."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

Interval = tuple[float, float]


@dataclass(frozen=True)
class Measure:
    """What one measure says.

    value:    None where it is refused.  interval: of 95 %.  n: images that it is of.
    ceiling:  what the noise of the recordings leaves; None: not known.
    upper:    of ceilings that are a range, its other end.
    reason:   why there is no value, or no ceiling; "" if there are both.
    """

    value: float | None
    interval: Interval | None = None
    ceiling: float | None = None
    n: int = 0
    upper: float | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """The same as plain objects."""
        told = asdict(self)
        upper = told.pop("upper")
        interval = None if self.interval is None else list(self.interval)
        return {**told, "interval": interval, **({} if upper is None else {"ceiling_upper": upper})}

    def describe(self) -> str:
        """The same in words."""
        if self.value is None:
            return f"none: {self.reason}"
        parts = [f"{self.value:.3f}"]
        if self.interval is not None:
            parts.append(f"({self.interval[0]:.3f} to {self.interval[1]:.3f})")
        upper = "" if self.upper is None else f" to {self.upper:.3f}"
        parts.append(f"ceiling {self.ceiling:.3f}{upper}" if self.ceiling is not None else self.reason)
        return " ".join(filter(None, parts))
