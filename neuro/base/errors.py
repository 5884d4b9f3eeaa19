"""The one exception for a user's mistake."""

from __future__ import annotations


class UserError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names the object, the limit it breaks and the remedy. The command line prints it
    without a traceback and ends with exit code 2.
    """


def first_line(error: BaseException) -> str:
    """What an error of another package says, in one line; its type where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
