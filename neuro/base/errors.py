"""The one exception for a user's mistake."""

from __future__ import annotations


class UserError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names the object, the limit it breaks and the remedy. The command line prints it
    without a traceback and ends with exit code 2. Letters that cannot be printed, as names within files may hold, are
    replaced.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__("".join(letter if letter.isprintable() else "?" for letter in message))


def first_line(error: BaseException) -> str:
    """What an error of another package says, in one line; its type where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
