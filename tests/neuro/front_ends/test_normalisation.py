"""Divisive normalisation: a relaxation that ends, where it ends, and what is refused."""

import numpy as np
import pytest

from neuro.base.errors import UserError
from neuro.front_ends.named import fixed_front, front_arrays, front_from_json, front_to_json
from neuro.front_ends.normalisation import STEPS, DivisiveNormalisation, bits_of, relaxed
from sim.oracles.normalisation import normalised


def images(*shape: int) -> np.ndarray:
    """Random pixels, a third of them black."""
    generator = np.random.default_rng(0)
    return (generator.integers(0, 256, shape) * (generator.random(shape) < 0.67)).astype(np.uint8)


def front(text: str = "dn", shape: tuple[int, ...] = (12, 9)) -> DivisiveNormalisation:
    made = fixed_front(text, shape)
    assert isinstance(made, DivisiveNormalisation)
    return made


@pytest.mark.parametrize(
    ("text", "shape"), [("dn", (12, 9)), ("dn:pool=3,sigma=5", (8, 8, 3)), ("dn:pool=9,sigma=255", (9, 9, 1)),
                        ("dn:pool=1,sigma=1", (6, 6))]
)  # fmt: skip
def test_units_settle_within_a_payload_unit_of_the_quotient(text, shape):
    made, pixels = front(text, shape), images(40, *shape)
    exact = 32 * normalised(pixels.reshape(40, *made.planes) / 255, made.pool, made.sigma / 255)
    found = made.encode(pixels)
    assert np.abs(found - np.minimum(exact, made.limit).reshape(40, -1)).max() < 0.6
    assert found.min() == 0
    assert found.max() <= made.limit


def test_the_relaxation_falls_silent_before_its_last_step():
    made = front()
    drive, leak = made.terms(images(30, 12, 9).astype(np.int64)[..., None])
    bits, state = bits_of(leak), np.zeros_like(drive)
    assert (leak < 1 << bits).all()
    assert (leak >= 1 << (bits - 1)).all()
    moves = []
    for _ in range(STEPS + 2):
        after = relaxed(state, drive, leak, bits)
        moves.append(np.count_nonzero(after != state))
        state = after
    assert moves[0] > 0
    assert moves[STEPS - 2 :] == [0, 0, 0, 0]


def test_a_uniform_image_loses_its_brightness():
    made = front("dn:pool=3,sigma=1")
    bright, dim = (made.encode(np.full((1, 12, 9), level, np.uint8)).reshape(12, 9)[3:9, 3:6] for level in (240, 60))
    assert np.abs(bright - dim).max() <= 1


def test_it_comes_back_from_a_file():
    made = front("dn:pool=3,sigma=9", (8, 8, 3))
    back = front_from_json(front_to_json(made), front_arrays(made))
    np.testing.assert_array_equal(back.encode(images(2, 8, 8, 3)), made.encode(images(2, 8, 8, 3)))


@pytest.mark.parametrize(
    ("text", "shape", "message"),
    [
        ("dn:pool=4", (9, 9), "give an odd one"),
        ("dn:sigma=0", (9, 9), "sigma 0 outside 1..255"),
        ("dn", (4, 4), "smaller than its pool of 5"),
        ("dn", (64,), "rows and columns"),
    ],
)
def test_what_cannot_be_is_refused(text, shape, message):
    with pytest.raises(UserError, match=message):
        fixed_front(text, shape)
