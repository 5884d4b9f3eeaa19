import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neuro.front_ends.pixels import PixelEncoder, gain_bits_for

law = settings(max_examples=40, deadline=None)
bits = st.integers(0, 12)
shapes = hnp.array_shapes(min_dims=2, max_dims=3, max_side=6)
bytes_images = hnp.arrays(np.uint8, shapes)
float_images = hnp.arrays(np.float32, shapes, elements=st.floats(0, 1, width=32, allow_subnormal=False))


def nearest(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


@pytest.mark.parametrize("activation_bits", range(13))
def test_every_grey_level_is_rounded_to_nearest(activation_bits):
    payloads = PixelEncoder(activation_bits).encode(np.arange(256, dtype=np.uint8)[None])
    assert payloads.tolist()[0] == [nearest(Fraction(p, 255) * 2**activation_bits) for p in range(256)]


@law
@given(float_images, bits)
def test_real_pixels_are_rounded_to_nearest(images, activation_bits):
    payloads = PixelEncoder(activation_bits).encode(images)
    assert payloads.shape == (len(images), images[0].size)
    assert payloads.dtype == np.int16
    assert payloads.ravel().tolist() == [nearest(Fraction(float(p)) * 2**activation_bits) for p in images.ravel()]


@law
@given(bytes_images, bits)
def test_bytes_and_the_same_real_pixels_give_the_same_payloads(images, activation_bits):
    encoder = PixelEncoder(activation_bits)
    np.testing.assert_array_equal(encoder.encode(images), encoder.encode(images / 255.0))


@law
@given(float_images, bits, st.data())
def test_offset_is_subtracted_and_payload_limit_is_the_tightest_bound(images, activation_bits, data):
    size = images[0].size
    offset = data.draw(hnp.arrays(np.int16, size, elements=st.integers(-5000, 5000)))
    encoder, plain = PixelEncoder(activation_bits, offset), PixelEncoder(activation_bits)
    np.testing.assert_array_equal(encoder.encode(images), plain.encode(images) - offset)
    extremes = encoder.encode(np.stack([np.zeros(size), np.ones(size)]))
    assert np.abs(encoder.encode(images)).max() <= encoder.payload_limit
    assert encoder.payload_limit == max(1, np.abs(extremes).max())


@law
@given(st.one_of(bytes_images, float_images), bits)
def test_the_mean_offset_centres_the_images(images, activation_bits):
    payloads = PixelEncoder(activation_bits).centred_on(images).encode(images)
    assert np.abs(payloads.mean(axis=0)).max() <= 1 + 1e-6  # half a unit from each of the two roundings


@law
@given(bytes_images, bits)
def test_the_mean_offset_of_equal_images_leaves_nothing_to_send(images, activation_bits):
    same = np.repeat(images[:1], 3, axis=0)
    assert not PixelEncoder(activation_bits).centred_on(same).encode(same).any()


def test_images_of_another_size_are_refused(refused):
    encoder = PixelEncoder(5, np.zeros(6, np.int16))
    with refused("encoder", "8 values", "takes 6"):
        encoder.encode(np.zeros((2, 2, 4)))


@pytest.mark.parametrize("gain_bits", range(9))
def test_gain_doubles_dark_pixels_and_clips_bright_ones(gain_bits):
    images = np.linspace(0, 1, 513)[None]
    plain = PixelEncoder(5).encode(np.minimum(images * 2.0**gain_bits, 1))
    np.testing.assert_array_equal(PixelEncoder(5, gain_bits=gain_bits).encode(images), plain)


@pytest.mark.parametrize(("brightest", "gain_bits"), [(255, 0), (200, 0), (128, 0), (127, 1), (16, 3), (1, 7), (0, 0)])
def test_the_gain_uses_the_range_without_clipping(brightest, gain_bits):
    images = np.zeros((50, 4, 4), np.uint8)
    images[:, 1, 1] = brightest
    assert gain_bits_for(images) == gain_bits
    assert gain_bits_for(images / 255.0) == gain_bits
    payloads = PixelEncoder(5, gain_bits=gain_bits).encode(images)
    assert brightest == 0 or 16 <= payloads.max() <= 32


def test_one_bright_image_in_a_thousand_does_not_set_the_gain():
    images = np.full((1000, 4), 0.1)
    images[0] = 1.0
    assert gain_bits_for(images) == 3
