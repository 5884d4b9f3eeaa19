"""Every committed figure has commands that derive it, and they are commands that exist."""

import importlib
import shlex

import pytest

from benchmarks.figures.recipes import MODULE, RECIPES, SETTLE, recipe
from benchmarks.tools.places import RESULTS

NAMES = [entry.name for entry in RECIPES]


def test_every_committed_file_has_a_recipe_and_the_other_way_round():
    assert sorted(NAMES) == sorted(path.stem for path in RESULTS.glob("*.json"))


@pytest.mark.parametrize("entry", RECIPES, ids=NAMES)
def test_the_last_command_writes_the_file(entry):
    assert "{out}" in entry.commands[-1]
    assert all("{out}" in command for command in entry.short)
    assert entry.minutes > 0


@pytest.mark.parametrize("entry", RECIPES, ids=NAMES)
def test_its_commands_are_there(entry):
    for command in entry.commands + entry.short:
        words = shlex.split(command)
        if command.startswith(SETTLE):
            assert words[1] in ("train", "bench", "atlas")
        else:
            assert command.startswith(MODULE)
            assert callable(importlib.import_module(words[2]).main)


def test_a_command_is_shown_as_one_types_it():
    assert recipe("accuracy-digits").shown() == ["python -m benchmarks.accuracy --data digits --hidden 64 --seeds 6"]
    assert "settle train slayer --data digits --out runs/slayer" in recipe("bench-digits").shown()
