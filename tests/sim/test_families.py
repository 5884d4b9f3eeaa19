"""The table of what differs by kind: every entry leads somewhere, and unknown kinds find nothing."""

from types import SimpleNamespace

import pytest

from neuro.base.late import named
from neuro.coding.dictionary import unit_norm
from sim.families import VERBS, of_kind


@pytest.mark.parametrize("name", sorted({name for table in VERBS.values() for name in table.values()}))
def test_every_entry_leads_to_something_to_call(name):
    assert callable(named(name))


def test_the_kind_comes_before_the_family():
    stock = SimpleNamespace(kind="graded-relu", family="stock")
    assert of_kind("twin", stock).__name__ == "GradedTwin"
    assert of_kind("lava session", stock).__name__ == "LavaStockSession"
    assert of_kind("fixed-point twin", stock) is None
    assert unit_norm is named("neuro.coding.dictionary:unit_norm")
