"""What a number or a name may be: one range, one choice, one wording of what is refused, for the whole house."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Integral, Real

from neuro.base.errors import UserError

LARGEST_SEED = 2**63 - 1
MOST_STEPS = 2**20  # of a phase or an inference: what is sent at every step is held in memory


@dataclass(frozen=True)
class Range:
    """Numbers from `lowest` to `highest`, both included unless left out; written 1..8, [0, 1), or "at least 1".

    lowest, highest:         in the unit of the value; highest is infinity for no limit.
    open_below, open_above:  whether the lowest, the highest itself is left out, as in (0, 1].
    """

    lowest: float
    highest: float = math.inf
    open_below: bool = False
    open_above: bool = False

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, Real):
            return False
        number = int(value) if isinstance(value, Integral) else float(value)
        above = number > self.lowest if self.open_below else number >= self.lowest
        below = number < self.highest if self.open_above else number <= self.highest
        return above and below and not (isinstance(number, float) and math.isinf(number))

    def __str__(self) -> str:
        lowest, highest = map(_written, (self.lowest, self.highest))
        if math.isinf(self.highest):
            return f"more than {lowest}" if self.open_below else f"at least {lowest}"
        if self.open_below or self.open_above:
            return f"{'(' if self.open_below else '['}{lowest}, {highest}{')' if self.open_above else ']'}"
        return f"{lowest}..{highest}"

    def require(self, owner: str = "", remedy: str = "", **values: object) -> None:
        """Raise UserError unless every value is a finite number of this range, or None: not given.

        owner: whose values they are, in front of the message.  remedy: what to do, at its end.
        """
        for name, value in values.items():
            if value is None or value in self:
                continue
            limit = f"; give {self}" if math.isinf(self.highest) else f" outside {self}"
            raise UserError(f"{owner}{': ' if owner else ''}{name} {value}{limit}{'; ' if remedy else ''}{remedy}")


def require_ranges(owner: str, values: Mapping[str, object], **ranges: Range) -> None:
    """Raise UserError unless each of the named values (the `vars` of an object, say) is in its range or None."""
    for name, span in ranges.items():
        span.require(owner, "", **{name: values[name]})


def _written(end: float) -> str:
    if end == LARGEST_SEED:
        return "2**63 - 1"
    return str(end) if isinstance(end, int) else f"{end:g}"


def require_integers(owner: str, **values: object) -> None:
    """Raise UserError unless every value is an integer (True and False are not)."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise UserError(f"{owner}{': ' if owner else ''}{name} {value!r} must be an integer")


def require_choice(kind: str, value: object, choices: Iterable[str], otherwise: str = "") -> None:
    """Raise UserError unless `value` is one of the choices: those spelled nearly so first, then all.

    kind: what is chosen, with its owner: "twin: forward".  otherwise: what else may be given, at the end.
    """
    names = list(choices)
    if value in names:
        return
    near = get_close_matches(str(value), names) if len(names) > 1 else []
    advice = f"did you mean {', '.join(near)}? " if near else ""
    raise UserError(f"{kind} {value!r} is unknown; {advice}choose one of {', '.join(names)}{otherwise}")
