"""The kinds of MNIST-C: equal on every machine and in every batch, each what it says, one channel only."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from neuro.base.errors import UserError
from sim.perturbation.config import PerturbConfig
from sim.perturbation.corruptions import Corruptor
from sim.perturbation.run import settled
from sim.perturbation.tables import MNIST_C

CORRUPT = Corruptor("mnist-c", seed=2)
GOLDEN = "af506d71182cc4a964aaccf52fc3650c2e88f0a6c7e7e4b6501b8d6d8c3ecc8a"


def strokes(n: int, rows: int, columns: int) -> np.ndarray:
    """Images of a cross in the middle, uint8."""
    images = np.zeros((n, rows, columns), dtype=np.uint8)
    images[:, rows // 4 : -(rows // 4), columns // 2 - 1 : columns // 2 + 1] = 255
    images[:, rows // 2, columns // 4 : -(columns // 4)] = 200
    return images


def middle(image: np.ndarray) -> np.ndarray:
    """The centre of mass of an image, (row, column)."""
    weights = image.astype(float) / image.sum()
    return np.array([(weights.sum(axis=1 - axis) * np.arange(image.shape[axis])).sum() for axis in (0, 1)])


def test_all_kinds_are_what_they_were_on_every_machine() -> None:
    assert len(MNIST_C) == 15
    digest = hashlib.sha256()
    for kind in MNIST_C:
        digest.update(CORRUPT(strokes(2, 28, 28), kind, 1, first=3).tobytes())
    assert digest.hexdigest() == GOLDEN


@pytest.mark.parametrize("kind", MNIST_C)
def test_an_image_does_not_depend_on_its_batch_and_every_size_is_taken(kind: str) -> None:
    images = strokes(4, 28, 28)
    whole = CORRUPT(images, kind, 1)
    assert np.array_equal(CORRUPT(images[2:], kind, 1, first=2), whole[2:])
    assert not np.array_equal(whole[0], images[0])
    for shape in ((1, 8, 8), (1, 61, 45), (1, 12, 9, 1)):
        assert CORRUPT(strokes(*shape[:3]).reshape(shape), kind, 1).shape == shape


def test_maps_are_what_they_say() -> None:
    images = strokes(8, 28, 28)
    moves = [
        middle(moved) - middle(image) for moved, image in zip(CORRUPT(images, "translate", 1), images, strict=True)
    ]
    assert np.allclose(np.abs(moves), 3, atol=0.05)
    assert len({tuple(np.sign(move)) for move in moves}) > 1
    shrunk = CORRUPT(images, "scale", 1)[0]
    assert abs(shrunk.sum() / images[0].sum() - 0.49) < 0.1
    assert np.allclose(middle(shrunk), middle(images[0]), atol=0.3)
    turned = CORRUPT(images, "rotate", 1)
    assert np.allclose(turned.sum(axis=(1, 2)), images[0].sum(), rtol=0.03)
    assert np.array_equal(CORRUPT(CORRUPT(images, "stripe", 1), "stripe", 1), images)


def test_lines_cross_the_image_and_edges_are_black_and_white() -> None:
    black = np.zeros((6, 28, 28), dtype=np.uint8)
    dotted, zigzag = CORRUPT(black, "dotted_line", 1), CORRUPT(black, "zigzag", 1)
    for image in dotted:
        lit = image.max(axis=0) > 100
        assert not lit[[0, 1, 4, 5, 24, 25]].any()
        assert lit[2:4].any() or lit[26:].any()
    assert all((image.max(axis=0) > 100)[3:24].mean() > 0.9 for image in zigzag if image.max() > 100)
    assert set(np.unique(CORRUPT(strokes(1, 28, 28), "canny_edges", 1))) == {0, 255}
    assert not CORRUPT(black, "canny_edges", 1).any()


def test_the_set_has_one_severity_and_one_channel() -> None:
    with pytest.raises(UserError, match="of images of one channel"):
        CORRUPT(np.zeros((1, 28, 28, 3), dtype=np.uint8), "shear", 1)
    with pytest.raises(UserError, match=r"severity 2 outside 1\.\.1"):
        CORRUPT(strokes(1, 28, 28), "shear", 2)
    for wrong in ({"severities": (3,)}, {"table": "cifar"}):
        with pytest.raises(UserError, match="one severity and constants of its own"):
            PerturbConfig(set="mnist-c", **wrong)
    with pytest.raises(UserError, match="'snow' is unknown"):
        PerturbConfig(set="mnist-c", kinds=("snow",))
    config = settled(PerturbConfig(set="mnist-c"), (28, 28), 5)
    assert (len(config.kinds), config.severities, config.table) == (15, (1,), "")
    assert CORRUPT.name_of("glass_by_half") == "glass blur"
