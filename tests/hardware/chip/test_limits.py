"""Limits carry their sources; detection asks Lava and nobody else."""

import importlib.util
from types import SimpleNamespace

import pytest

from hardware.board import detect as detect_module
from hardware.board.detect import Board, detect, require_extension
from hardware.chip.limits import LIMITS, RESOURCES, check_target, limits_of
from hardware.energy.constants import SETS, constants_of
from neuro.base.errors import UserError

needs_lava = pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava needs Python 3.10")


@pytest.mark.parametrize("name", LIMITS)
def test_every_limit_has_a_mark_and_a_source(name):
    limits = limits_of(name)
    assert limits.name == name
    for _, constant in limits.table():
        assert constant.mark in ("P", "S", "Q", "I")
        assert len(constant.source) > 5
        assert constant.value >= 0
    assert all(limits.maximum(resource) > 0 for resource in RESOURCES)


@pytest.mark.parametrize("name", SETS)
def test_every_energy_constant_is_a_band_with_marks_and_sources(name):
    for band in constants_of(name).values():
        assert 0 <= band.low <= band.high
        assert set(band.marks.split("/")) <= {"P", "S", "Q", "I"}
        assert band.sources
        assert band.at(0) == band.low <= band.at(0.5) <= band.high == band.at(1)


def test_unknown_names_are_refused_with_the_choices():
    with pytest.raises(UserError, match="loihi2-lava, loihi2-brief"):
        limits_of("loihi3")
    with pytest.raises(UserError, match="choose one of loihi2"):
        constants_of("joules")
    with pytest.raises(UserError, match="target 'loihi1' is unknown; choose one of loihi2"):
        check_target("loihi1")


@needs_lava
@pytest.mark.lava
def test_without_the_extension_one_line_says_what_to_install_and_what_to_do_now():
    board = detect()
    assert (board.lava, board.extension, board.boards) == (True, False, ())
    with pytest.raises(UserError, match=r"lava-loihi.*INRC.*settle compile RUN --dry-run") as error:
        require_extension()
    assert "\n" not in str(error.value)


def test_boards_are_those_that_lava_names(monkeypatch):
    # Stands in for lava.utils.loihi and lava.utils.slurm, at this boundary only.
    found = {
        "lava.utils.loihi": SimpleNamespace(is_installed=lambda: True),
        "lava.utils.slurm": SimpleNamespace(
            is_available=lambda: True, get_boards=lambda: [SimpleNamespace(nodename="ncl-og-01")]
        ),
    }
    monkeypatch.setattr(detect_module.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(detect_module, "_lava_module", found.__getitem__)
    assert detect() == require_extension() == Board(True, True, True, ("ncl-og-01",))
    assert "ncl-og-01" in str(detect())


def test_without_lava_nothing_is_imported(monkeypatch):
    monkeypatch.setattr(detect_module.importlib.util, "find_spec", lambda name: None)
    assert detect() == Board(False, False, False, ())
    with pytest.raises(UserError, match="no Lava in this Python"):
        require_extension()
