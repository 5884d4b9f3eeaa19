"""Channels first or last: recognised from the shape, or asked for."""

import numpy as np
import pytest

from neuro.data.channels import channels_last, fitted, order_of


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((3, 32, 32), "first"), ((1, 28, 28), "first"), ((3, 8, 6), "first"), ((1, 2, 2), "first"),
        ((2, 34, 34), "first"), ((4, 16, 16), "first"), ((32, 32, 3), "last"), ((28, 28, 1), "last"),
        ((8, 8, 4), "last"), ((12, 12, 16), "last"), ((4, 4, 1), "last"), ((28, 28), "last"), ((13,), "last"),
    ],
)  # fmt: skip
def test_the_order_is_read_from_the_shape(shape, order):
    assert order_of(shape, "auto", "x") == order


@pytest.mark.parametrize("shape", [(3, 3, 3), (3, 8, 3), (1, 9, 3), (1, 7, 1), (3, 7, 4)])
def test_what_could_be_either_is_asked_for(shape, refused):
    with refused("x: images of shape", "--channels first|last"):
        order_of(shape, "auto", "x")
    assert order_of(shape, "first", "x") == "first"
    assert order_of(shape, "last", "x") == "last"


def test_images_without_channels_have_none_that_come_first(refused):
    with refused("(28, 28)", "drop --channels first"):
        order_of((28, 28), "first", "x")


def test_channels_go_last_and_a_single_one_goes_away():
    images = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    moved = channels_last(images, "first")
    assert moved.shape == (2, 4, 5, 3)
    assert moved[1, 2, 3, 0] == images[1, 0, 2, 3]
    assert channels_last(images[:, :1], "first").tolist() == images[:, 0].tolist()
    assert channels_last(images, "last") is images


def test_later_images_fit_in_either_order():
    images = np.zeros((2, 3, 8, 8))
    assert fitted(images, (8, 8, 3), "last").shape == (2, 8, 8, 3)
    assert fitted(np.zeros((2, 8, 8, 3)), (8, 8, 3), "last").shape == (2, 8, 8, 3)
    assert fitted(np.zeros((2, 8, 8, 3)), (8, 8, 3), "first").shape == (2, 8, 8, 3)
    assert fitted(np.zeros((2, 7, 7)), (8, 8, 3), "first").shape == (2, 7, 7)
    cube = np.arange(27).reshape(1, 3, 3, 3)
    assert fitted(cube, (3, 3, 3), "last").tolist() == cube.tolist()
    assert fitted(cube, (3, 3, 3), "first").tolist() == np.moveaxis(cube, 1, -1).tolist()
