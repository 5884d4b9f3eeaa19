"""Mutations are functions of their seed: none leaves anything behind for the next."""

from __future__ import annotations

import json
import random

from benchmarks.tools.mutations import VALUES, mutated_json

CONTENT = json.dumps({"a": [1, 2.5, "x"], "b": {"c": None, "d": [[], {}]}}).encode()


def test_a_mutation_changes_none_of_the_values_it_draws_from() -> None:
    before = repr(VALUES)
    for seed in range(2000):
        mutated_json(CONTENT, random.Random(seed))
    assert repr(VALUES) == before
