"""Images in flight take what a card has free."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sim.backends.batched.memory import SHARE, room

BYTES = st.integers(0, 1 << 37)


@given(BYTES, BYTES, st.integers(1, 1 << 35))
def test_a_card_gives_no_more_than_is_free(free: int, cached: int, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 1 << 40))
        patch.setattr(torch.cuda, "memory_reserved", lambda device: cached + 7)
        patch.setattr(torch.cuda, "memory_allocated", lambda device: 7)
        found = room(torch.device("cuda"), most)
    assert 1 <= found <= most
    assert found <= max(1, SHARE * (free + cached))
    if SHARE * (free + cached) >= most:
        assert found == most


def test_a_cpu_gives_what_is_asked() -> None:
    assert room(torch.device("cpu"), 5) == 5
