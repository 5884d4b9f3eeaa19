"""The one exception for a user's mistake."""

from __future__ import annotations

from numbers import Integral


class UserError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names the object, the limit it breaks and the remedy. The command line prints it
    without a traceback and ends with exit code 2.
    """


def require_integers(owner: str, **values: object) -> None:
    """Raise UserError unless every value is an integer (True and False are not)."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise UserError(f"{owner}: {name} {value!r} must be an integer")
