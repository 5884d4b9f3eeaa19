"""The table of what differs by kind on the chip's side: every entry leads somewhere."""

import pytest

from hardware.chip.families import VERBS
from neuro.base.late import named


@pytest.mark.parametrize("name", sorted({name for table in VERBS.values() for name in table.values()}))
def test_every_entry_leads_to_something_to_call(name):
    assert callable(named(name))
