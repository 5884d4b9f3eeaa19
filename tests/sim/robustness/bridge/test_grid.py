"""Sizes of an attack on the grid of an encoder: what cannot change is certified, what says little is said."""

from __future__ import annotations

import numpy as np
import pytest

from neuro.front_ends.pixels import PixelEncoder
from neuro.front_ends.whitening import Transform
from sim.robustness.attacks.threats import Threat
from sim.robustness.bridge.grid import grid_of

ON_THE_GRID = np.random.default_rng(0).integers(0, 17, (40, 4, 4)) / 16.0


def threats(*sizes, norm="linf"):
    return tuple(Threat(norm, size) for size in sizes)


def test_images_on_the_grid_are_constant_below_half_a_unit_and_warned_of():
    grid = grid_of(PixelEncoder(5), ON_THE_GRID, threats(0.01, 0.1))
    assert grid is not None
    assert grid.payload_unit == 1 / 32
    assert grid.constant == {"0.01": 1.0, "0.1": 0.0}
    assert len(grid.warnings) == 1
    assert grid.warnings[0].startswith("linf 0.01 is less than half a payload unit")
    assert (
        "payload unit",
        "0.03125 of a pixel's range; certified, payloads cannot change: 1.0000 at 0.01",
    ) in grid.lines()


def test_two_sizes_within_a_step_are_one():
    grid = grid_of(PixelEncoder(5), ON_THE_GRID, threats(0.05, 0.07, 0.1))
    assert grid is not None
    assert grid.warnings == ["linf 0.05 and linf 0.07 move a pixel on the grid alike, by 2 payload units"]


def test_constant_images_give_equal_payloads_whatever_is_changed():
    images = np.random.default_rng(1).random((60, 3, 3))
    encoder, eps = PixelEncoder(4), 0.012
    grid = grid_of(encoder, images, threats(eps))
    assert grid is not None
    moved = np.clip(images + eps * np.random.default_rng(2).choice([-1, 1], images.shape), 0, 1)
    same = (encoder.encode(moved) == encoder.encode(images)).all(axis=1)
    assert 0.0 < grid.constant["0.012"] <= same.mean()


@pytest.mark.parametrize("size", [0.01, 3.0])
def test_other_norms_are_told_by_the_ball_that_holds_theirs(size):
    grid = grid_of(PixelEncoder(5), ON_THE_GRID, threats(size, norm="l2"))
    assert grid is not None
    assert list(grid.constant.values()) == [float(size < 1 / 64)]


def test_a_transform_has_no_grid():
    assert grid_of(PixelEncoder(5, transform=Transform(64, contrast_floor=4)), ON_THE_GRID, threats(0.1)) is None
