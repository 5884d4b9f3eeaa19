"""What a user's mistake must look like, wherever it is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from neuro.base.errors import UserError


@contextmanager
def refused(*words: str) -> Iterator[None]:
    """The block raises a UserError of one line that holds the words."""
    with pytest.raises(UserError) as caught:
        yield
    message = str(caught.value)
    assert message.strip()
    assert len(message.splitlines()) == 1
    for word in words:
        assert word in message
