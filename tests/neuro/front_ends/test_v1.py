"""The V1 bank in integers, its names, and its files."""

import numpy as np
import pytest

from neuro.base.errors import UserError
from neuro.front_ends.named import fixed_front, front_arrays, front_from_json, front_to_json, is_fixed, stated
from neuro.front_ends.pixels import PixelEncoder
from neuro.front_ends.v1 import BASELINE, GaborBank, V1Choices, gabor_bank

SMALL = "v1:channels=5+4,stride=3,kernel=7,window=2"


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def bank(text: str = SMALL, shape: tuple[int, ...] = (12, 10), seed: int = 0) -> GaborBank:
    front = fixed_front(text, shape, seed)
    assert isinstance(front, GaborBank)
    return front


@pytest.mark.parametrize("shape", [(12, 10), (12, 10, 1), (9, 9, 3)])
def test_sums_are_those_of_the_kernels_in_their_places(shape):
    front, pixels = bank(shape=shape), images(2, *shape)
    drives = front.drives(pixels.astype(np.int32).reshape(2, *front.planes))
    padded = np.pad(pixels.reshape(2, *front.planes).astype(int), ((0, 0), (3, 3), (3, 3), (0, 0)))
    rows, columns, _ = front.shape
    assert drives.shape == (2, rows, columns, 5 + 2 * 4)
    for row, column, unit in ((0, 0, 0), (rows - 1, columns - 1, 6), (1, 2, 12)):
        window = padded[:, 3 * row : 3 * row + 7, 3 * column : 3 * column + 7, front.all_planes[unit]]
        expected = (window * front.kernels[unit].astype(int)).sum(axis=(1, 2))
        np.testing.assert_array_equal(drives[:, row, column, unit], expected)


def test_chances_rise_from_the_baseline_and_stay_below_one():
    front = bank()
    assert (front.encode(np.zeros((1, 12, 10), np.uint8)) == BASELINE).all()
    chances = front.encode(images(20, 12, 10))
    assert BASELINE == chances.min() < chances.max() <= front.limit == 2**15 - 1
    assert front.window == 32
    assert front.shape == (4, 4, 9)


def test_without_a_window_the_bank_is_free_of_noise():
    quiet, drawn = bank(SMALL.replace("window=2", "window=0")), bank(SMALL.replace("window=2", "window=1"))
    assert quiet.window == 0
    pixels = images(5, 12, 10)
    assert quiet.limit == 127
    np.testing.assert_allclose(quiet.encode(pixels), (drawn.encode(pixels) - BASELINE) / 128, atol=0.51)


def test_a_complex_cell_is_close_to_the_root_of_its_pair():
    angle = np.linspace(0, np.pi / 2, 200)
    drives = np.round(100_000 * np.stack([np.zeros_like(angle), np.cos(angle), -np.sin(angle)], axis=-1)).astype(int)
    front = GaborBank("", (9, 9), 16, 3, 1, 1, np.zeros((3, 3, 3), np.int8), np.ones(2, np.int8), np.zeros(2, np.int8))
    found = front.cells(drives)[:, 1] / (100_000 / np.sqrt(2))
    assert abs(found - 1).max() < 0.03
    assert (front.cells(-drives)[:, 1] == front.cells(drives)[:, 1]).all()


def test_floats_and_bytes_of_the_same_image_are_the_same():
    pixels = images(3, 12, 10)
    np.testing.assert_array_equal(bank().encode(pixels / 255.0), bank().encode(pixels))


def test_fields_are_the_linear_part_of_simple_cells():
    front = bank(SMALL.replace("window=2", "window=0"))
    one = np.zeros((1, 12, 10), np.uint8)
    one[0, 4, 5] = 255
    reads = front.fields.reshape(12, 10, *front.shape)[4, 5, ..., :5]
    drives = front.drives(one.astype(np.int32)[..., None])[0, ..., :5] / 255 * 2.0 ** -front.shifts[:5].astype(float)
    np.testing.assert_allclose(reads, drives)


def test_names_state_every_choice_and_the_seed_is_that_of_the_training():
    assert stated("v1") == "v1:channels=32+32,stride=4,window=4,kernel=13,filters=gabor"
    assert bank(seed=7).text.endswith("seed=7")
    np.testing.assert_array_equal(bank(SMALL + ",seed=7").kernels, bank(seed=7).kernels)
    assert not np.array_equal(bank(SMALL + ",filters=random").kernels, bank().kernels)
    assert is_fixed("v1:window=1")
    assert not is_fixed("runs/v1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v2", "front end 'v2' is unknown"),
        ("v1:windows=3", "did you mean window"),
        ("v1:window=x", "give a whole number, e.g. 4"),
        ("v1:channels=32", r"give whole numbers, e.g. 32\+32"),
        ("v1:channels=0+0", "give simple"),
        ("v1:kernel=4", "give an odd one"),
        ("v1:window=17", "window 17 outside 0..16"),
        ("v1:filters=gauss", "choose one of gabor, random"),
    ],
)
def test_what_is_no_front_end_is_refused_in_one_line(text, message):
    with pytest.raises(UserError, match=message) as error:
        fixed_front(text, (28, 28))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("shape", "message"), [((8, 8), "e.g. v1:kernel=7"), ((11, 40), "e.g. v1:kernel=11"), ((64,), "rows and columns")]
)
def test_images_that_do_not_fit_are_refused(shape, message):
    with pytest.raises(UserError, match=message):
        gabor_bank(V1Choices(), shape)


def test_images_of_another_size_are_refused():
    with pytest.raises(UserError, match=r"images hold 144 values, it takes \(12, 10\)"):
        bank().encode(images(1, 12, 12))


def test_a_front_end_comes_back_from_a_file():
    front = bank(shape=(9, 9, 3))
    back = front_from_json(front_to_json(front), front_arrays(front))
    pixels = images(2, 9, 9, 3)
    np.testing.assert_array_equal(back.encode(pixels), front.encode(pixels))
    assert (back.text, back.window, back.shape) == (front.text, front.window, front.shape)
    with pytest.raises(UserError, match="'v9' is unknown"):
        front_from_json({"kind": "v9"}, {})


def test_nothing_else_is_done_to_pixels_before_a_front_end():
    with pytest.raises(UserError, match="drop offset"):
        PixelEncoder(4, gain_bits=1, fixed=bank())


def test_squares_of_chances_hold_the_variance_of_counts():
    front = bank(SMALL.replace("window=2", "window=1"))
    payloads = np.full((1, 3), 2**15 // 16, dtype=np.int16)
    np.testing.assert_allclose(front.squares(payloads), (1 + 15 / 16) / 4.0**front.activation_bits)
