"""Corruptions: equal whatever the order, the batch and the machine; those of the published set; refusals."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuro.base.errors import UserError
from sim.perturbation.corruptions import KINDS, UNTOUCHED, Corruptor, meaningful
from sim.perturbation.draws import stream_of
from sim.perturbation.edges import edges_of
from sim.perturbation.noise import LEVELS, _poisson, _width
from sim.perturbation.tables import SEVERITIES, TABLES
from sim.perturbation.weather import equalised

# SHA-256 of all kinds and severities of `gradients((2, 8, 8, 3))`, by table: on numpy 1.26 and 2.3 alike.
GOLDEN = {
    "cifar": "c26f22d62377004a169d78b5c74979b100c2405047b7505e83ac9d52f750c24d",
    "imagenet": "e0d86f7b348dbcb6825d3e935cd85b29c706c9ac13d86ecc6d600ba46a3c55bc",
}
EXACT = ("gaussian_blur", "defocus_blur", "zoom_blur", "contrast", "brightness", "saturate", "jpeg_compression",
         "pixelate")  # fmt: skip
OTHERWISE = ("elastic_transform", "frost")  # the package has forms of its own of them


def gradients(shape: tuple[int, ...]) -> np.ndarray:
    """Images of slopes, bars and a disc, uint8."""
    row, column = np.arange(shape[1])[:, None], np.arange(shape[2])
    image = np.arange(shape[0])[:, None, None]
    levels = (30 * image + 5 * row + 3 * column) % 200 + 40 * ((row // 3 + column // 4 + image) % 2)
    levels = np.where((row - shape[1] / 2) ** 2 + (column - shape[2] / 2) ** 2 < shape[1] * 1.5, 250 - levels, levels)
    if len(shape) == 4:
        levels = np.stack([(levels * (channel + 2) // 3 + 40 * channel) % 256 for channel in range(shape[3])], axis=3)
    return levels.astype(np.uint8)


@pytest.mark.parametrize("table", TABLES)
def test_all_kinds_are_what_they_were_on_every_machine(table: str) -> None:
    images, digest = gradients((2, 8, 8, 3)), hashlib.sha256()
    for kind in KINDS:
        for severity in SEVERITIES:
            digest.update(Corruptor(table, seed=3)(images, kind, severity, first=7).tobytes())
    assert digest.hexdigest() == GOLDEN[table]


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_does_not_depend_on_its_batch_or_on_other_kinds(kind: str) -> None:
    images, corrupt = gradients((5, 12, 9)), Corruptor(seed=1)
    whole = corrupt(images, kind, 3, first=10)
    assert np.array_equal(corrupt(images[3:], kind, 3, first=13), whole[3:])
    assert np.array_equal(corrupt(images[4::-1][:1], kind, 3, first=14), whole[4:])
    assert whole.shape == images.shape
    assert whole.dtype == np.uint8


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28, 1), (1, 32, 32, 3), (1, 61, 45, 3), (0, 9, 8)])
def test_every_size_and_colour_is_taken(shape: tuple[int, ...]) -> None:
    images = gradients(shape)
    for table in TABLES:
        for kind in KINDS:
            assert Corruptor(table)(images, kind, 5).shape == shape


def test_seeds_severities_and_images_draw_apart() -> None:
    images = np.full((2, 8, 8), 128, dtype=np.uint8)
    drawn = [
        Corruptor(seed=seed)(images, "gaussian_noise", severity)[image].tobytes()
        for seed in (0, 1) for severity in (4, 5) for image in (0, 1)
    ]  # fmt: skip
    assert len(set(drawn)) == 8
    streams = {stream_of(kind, severity, image) for kind in KINDS for severity in SEVERITIES for image in range(20)}
    assert len(streams) == len(KINDS) * 5 * 20
    assert max(streams) < 2**63


def test_floats_are_taken_to_the_nearest_level() -> None:
    images = gradients((2, 8, 8))
    for kind in ("saturate", "fog", "jpeg_compression"):
        assert np.array_equal(Corruptor()(images, kind, 2), Corruptor()(images / 255.0 + 0.001, kind, 2))


def test_grey_images_are_not_saturated_and_grey_is_a_colour_of_equal_channels() -> None:
    grey = gradients((2, 10, 10))
    colour = np.repeat(grey[..., None], 3, axis=3)
    for kind in UNTOUCHED:
        assert np.array_equal(Corruptor()(grey, kind, 5), grey)
    assert meaningful(("saturate", "fog"), grey.shape[1:]) == ("fog",)
    assert meaningful(("saturate", "fog"), colour.shape[1:]) == ("saturate", "fog")
    for kind in ("gaussian_blur", "contrast", "brightness", "fog", "zoom_blur", "pixelate"):
        corrupted = Corruptor()(colour, kind, 4)
        assert np.array_equal(corrupted[..., 0], Corruptor()(grey, kind, 4))
        assert np.ptp(corrupted.astype(int), axis=3).max() == 0


def test_counts_of_photons_have_their_mean_and_their_spread() -> None:
    for photons in (5.0, 500.0):
        table = _poisson(photons).reshape(LEVELS, _width(photons)) - np.arange(LEVELS)[:, None]
        chances = np.diff(table, axis=1, prepend=0.0)
        counts, means = np.arange(_width(photons)), np.arange(LEVELS) / 255 * photons
        assert np.abs(chances @ counts - means).max() < 1e-6
        assert np.abs(chances @ counts**2 - means**2 - means).max() < 1e-3
    flat = np.full((1, 64, 64), 100, dtype=np.uint8)
    noisy = Corruptor("imagenet")(flat, "shot_noise", 2).astype(float)
    assert abs(noisy.mean() - 100) < 1.5
    assert abs(noisy.std() / (255 / 25 * np.sqrt(25 * 100 / 255)) - 1) < 0.05


def test_impulses_are_so_many_and_half_of_them_white() -> None:
    flat = np.full((4, 64, 64), 100, dtype=np.uint8)
    noisy = Corruptor("imagenet")(flat, "impulse_noise", 5)
    assert abs((noisy == 255).mean() - 0.135) < 0.01
    assert abs((noisy == 0).mean() - 0.135) < 0.01


def test_glass_keeps_the_levels_that_change_places() -> None:
    flat = np.full((1, 16, 16), 77, dtype=np.uint8)
    assert np.abs(Corruptor("imagenet")(flat, "glass_blur", 5).astype(int) - 77).max() <= 1


def test_edges_lie_on_edges() -> None:
    square = np.zeros((12, 12))
    square[3:9, 3:9] = 200.0
    found = edges_of(square, 50, 150)
    assert found.sum() == 20  # its border, corners left out or not by the direction of the slope
    assert not found[5:7, 5:7].any()
    assert not found[0].any()
    assert not edges_of(square / 20, 50, 150).any()


def test_equalised_levels_fill_the_range() -> None:
    levels = np.repeat(np.array([10, 11, 12, 13], dtype=np.uint8), 4).reshape(4, 4)
    assert sorted(set(equalised(levels).ravel().tolist())) == [0, 85, 170, 255]
    assert np.array_equal(equalised(levels[:1]), levels[:1])


def test_photographs_of_frost_take_the_place_of_the_procedure(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no \.png or \.jpg in it"):
        Corruptor(frost=tmp_path)(gradients((1, 8, 8)), "frost", 1)
    Image.new("RGB", (20, 30), (255, 0, 0)).save(tmp_path / "a.png")
    black = np.zeros((3, 12, 12, 3), dtype=np.uint8)
    corrupt = Corruptor(frost=tmp_path)
    assert np.array_equal(np.unique(corrupt(black, "frost", 1).reshape(-1, 3), axis=0), [[51, 0, 0]])
    assert corrupt.name_of("frost") == "frost"
    assert Corruptor().name_of("frost") == "frost (procedural)"
    (tmp_path / "b.jpg").write_bytes(b"none")
    with pytest.raises(UserError, match=r"b\.jpg: no picture that can be read"):
        Corruptor(frost=tmp_path)(gradients((1, 9, 9)), "frost", 1)


@pytest.mark.parametrize(
    ("shape", "kind", "severity", "message"),
    [
        ((1, 7, 8), "fog", 1, "at least 8 pixels"), ((1, 64), "fog", 1, "at least 8 pixels"),
        ((1, 8, 8, 2), "fog", 1, "one channel or three"), ((1, 8, 8), "fogg", 1, "did you mean fog"),
        ((1, 8, 8), "fog", 6, r"severity 6 outside 1\.\.5"),
    ],
)  # fmt: skip
def test_what_cannot_be_corrupted_is_named(shape: tuple[int, ...], kind: str, severity: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Corruptor()(np.zeros(shape, dtype=np.uint8), kind, severity)
    with pytest.raises(UserError, match="table 'mnist' is unknown"):
        Corruptor("mnist")


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_the_package_imagecorruptions_changes_images_as_much(severity: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = pytest.importorskip("imagecorruptions")
    np.random.seed(0)  # noqa: NPY002 - what the package draws from
    images = gradients((200, 32, 32, 3))
    for kind in set(KINDS) - set(OTHERWISE):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = np.stack([package.corrupt(image, corruption_name=kind, severity=severity) for image in images])
        ours = Corruptor("imagenet")(images, kind, severity).astype(int)
        if kind in EXACT:
            assert np.abs(ours - theirs).max() <= 1, kind
        else:
            seen = theirs.reshape(len(images), -1).max(axis=1) > 0  # spatter without a drop divides by nothing there
            sizes = [np.abs(each - images.astype(int))[seen].mean() for each in (ours, theirs.astype(int))]
            assert abs(sizes[0] / sizes[1] - 1) < 0.15, (kind, sizes)
