"""The one exception for a user's mistake."""

from __future__ import annotations


class UserError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names the object, the limit it breaks and the remedy. The command line prints it
    without a traceback and ends with exit code 2.
    """
