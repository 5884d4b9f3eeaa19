"""Divisive normalisation and whitening: exact integers, what they promise, what they refuse."""

import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neuro.front_ends.pixels import PixelEncoder
from neuro.front_ends.whitening import FINE_BITS, Transform

law = settings(max_examples=40, deadline=None)
FINE = 1 << FINE_BITS
HALF = Fraction(1, 2)
bits = st.integers(0, 12)
seeds = st.integers(0, 2**32 - 1)
byte_images = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=3, max_side=6))


def correlated(n_images, n_values, seed=0):
    """Images in [0, 1] whose neighbouring values are alike, of shape [n_images, n_values]."""
    noise = np.random.default_rng(seed).normal(size=(n_images, n_values + 2))
    return np.clip(0.5 + 0.07 * (noise[:, 2:] + noise[:, 1:-1] + noise[:, :-2]), 0, 1)


def symmetric(size, seed):
    matrix = np.random.default_rng(seed).integers(-(2**15) + 1, 2**15, (size, size))
    return np.triu(matrix).astype(np.int16) + np.triu(matrix, 1).T.astype(np.int16)


def fine_pixels(image, offset, activation_bits):
    """Centred pixels of one byte image in units of 2**-FINE_BITS, by fractions."""
    pixels = [math.floor(Fraction(int(p), 255) * FINE + HALF) for p in image.ravel()]
    return [p - int(o) * (FINE >> activation_bits) for p, o in zip(pixels, offset, strict=True)]


@law
@given(byte_images, bits, st.integers(1, FINE), st.booleans())
def test_normalised_payloads_are_the_equation_rounded_to_nearest(images, activation_bits, floor, centred):
    encoder = PixelEncoder(activation_bits, transform=Transform(2**15 - 1, floor))
    encoder = encoder.centred_on(images) if centred else encoder
    offset = np.zeros(images[0].size) if encoder.offset is None else encoder.offset
    for image, payloads in zip(images, encoder.encode(images), strict=True):
        pixels = fine_pixels(image, offset, activation_bits)
        divisor = math.sqrt(Fraction(floor**2) + Fraction(sum(p * p for p in pixels), len(pixels)))
        exact = np.array(pixels) / divisor * 2**activation_bits
        assert np.abs(payloads - exact).max() <= 0.5 + 1e-9


@law
@given(byte_images, bits, seeds, st.integers(0, 20), st.integers(1, 2**15 - 1))
def test_whitened_payloads_are_the_exact_sum_rounded_and_clipped(images, activation_bits, seed, exponent, limit):
    matrix = symmetric(images[0].size, seed)
    encoder = PixelEncoder(activation_bits, transform=Transform(limit, 0, matrix, exponent))
    for image, payloads in zip(images, encoder.encode(images), strict=True):
        pixels = fine_pixels(image, [0] * image.size, activation_bits)
        sums = [sum(p * int(w) for p, w in zip(pixels, row, strict=True)) for row in matrix]
        unit = Fraction(2) ** (activation_bits - FINE_BITS - exponent)
        wanted = [min(max(math.floor(s * unit + HALF), -limit), limit) for s in sums]
        assert payloads.tolist() == wanted


def prepared(images, activation_bits, contrast, whiten, reach=4.0):
    encoder = PixelEncoder(activation_bits).centred_on(images)
    encoder = encoder.contrast_normalised(reach=reach) if contrast else encoder
    return encoder.whitened_on(images, reach=reach) if whiten else encoder


WAYS = [(True, False), (False, True), (True, True)]


@pytest.mark.parametrize(("contrast", "whiten"), WAYS)
@pytest.mark.parametrize("activation_bits", [3, 7])
def test_payloads_keep_the_limit_and_do_not_depend_on_type_or_company(contrast, whiten, activation_bits):
    images = np.round(correlated(1100, 9) * 255).astype(np.uint8).reshape(-1, 3, 3)
    images[:3] = 0, 255, 128
    images[0, 0, 0] = 255
    encoder = prepared(images, activation_bits, contrast, whiten, reach=1.5)
    payloads = encoder.encode(images)
    assert payloads.dtype == np.int16
    assert encoder.payload_limit == round(1.5 * 2**activation_bits)
    assert np.abs(payloads).max() == encoder.payload_limit  # clipped, and tight
    np.testing.assert_array_equal(encoder.encode(images / 255.0), payloads)
    np.testing.assert_array_equal(np.concatenate([encoder.encode(image[None]) for image in images[:40]]), payloads[:40])
    assert encoder.encode(images[:0]).shape == (0, 9)


@law
@given(seeds, st.floats(0.25, 1.0), st.booleans())
def test_normalised_images_do_not_depend_on_their_contrast_above_the_floor(seed, contrast, centred):
    patterns = np.random.default_rng(seed).uniform(-0.5, 0.5, (5, 30))
    grey = np.full(30, 64, np.int16) if centred else None
    images = np.abs(patterns) + 0.05
    encoder = PixelEncoder(7, grey).contrast_normalised(contrast_floor=0.001, reach=16)
    full, faint = (0.5 + patterns, 0.5 + contrast * patterns) if centred else (images, contrast * images)
    payloads = encoder.encode(full)
    assert np.abs(payloads - encoder.encode(faint)).max() <= 1
    np.testing.assert_allclose(np.square(payloads / 128).mean(axis=1), 1.0, atol=0.02)


def test_images_far_below_the_floor_stay_faint():
    images = np.random.default_rng(0).uniform(0, 0.01, (5, 30))
    encoder = PixelEncoder(12).contrast_normalised(contrast_floor=0.5)
    assert np.abs(encoder.encode(images) - images / 0.5 * 4096).max() <= 1
    assert not encoder.encode(np.zeros((1, 30))).any()


@pytest.mark.parametrize("contrast", [False, True])
def test_whitened_training_images_have_the_identity_as_covariance(contrast):
    images = correlated(6000, 16)
    encoder = PixelEncoder(9).centred_on(images)
    encoder = encoder.contrast_normalised(reach=16) if contrast else encoder
    before = np.cov(encoder.encode(images).T / 512)
    after = np.cov(encoder.whitened_on(images, regulariser=1e-5, reach=16).encode(images).T / 512)
    assert np.abs(before - np.eye(16) * before.mean()).max() > 0.3 * np.diag(before).mean()  # neighbours are alike
    np.testing.assert_allclose(after, np.eye(16), atol=0.01)


def test_the_whitening_is_the_regularised_inverse_root_of_the_covariance():
    images = correlated(3000, 12, seed=1)
    transform = PixelEncoder(7).centred_on(images).whitened_on(images, regulariser=0.2).transform
    covariance = np.cov(images.T, bias=True)
    wanted = np.linalg.inv(scipy.linalg.sqrtm(covariance + 0.2 * np.trace(covariance) / 12 * np.eye(12)))
    found = transform.whitening * 2.0**-transform.exponent
    np.testing.assert_allclose(found, wanted, atol=2.0**-transform.exponent + 1e-4 * np.abs(wanted).max())
    assert np.abs(transform.whitening.astype(int)).max() > 2**13  # uses its bits


def test_a_pixel_that_never_changes_is_left_silent():
    images = correlated(500, 9)
    images[:, 4] = 0.25
    payloads = PixelEncoder(7).centred_on(images).whitened_on(images).encode(images)
    assert not payloads[:, 4].any()


@pytest.mark.parametrize(("contrast", "whiten"), [(False, False), *WAYS])
@pytest.mark.parametrize("gain_bits", [0, 1])
def test_pixels_come_back_from_payloads(contrast, whiten, gain_bits):
    images = correlated(400, 9).reshape(-1, 3, 3) * 2.0**-gain_bits
    encoder = PixelEncoder(10, gain_bits=gain_bits).centred_on(images)
    encoder = encoder.contrast_normalised(reach=16) if contrast else encoder
    encoder = encoder.whitened_on(images, reach=16) if whiten else encoder
    again = encoder.pixels_of(encoder.encode(images) / 1024, images)
    np.testing.assert_allclose(again, images.reshape(-1, 9), atol=0.003)


def test_order_is_contrast_then_whitening_and_learning_anew_keeps_the_floor(refused):
    images = correlated(200, 4)
    encoder = PixelEncoder(5).contrast_normalised(0.25).whitened_on(images)
    assert encoder.transform.contrast_floor == FINE // 4
    assert encoder.whitened_on(images[:100]).transform.contrast_floor == FINE // 4
    with refused("whitens already", "contrast first"):
        encoder.contrast_normalised()


MATRIX = np.eye(4, dtype=np.int16)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Transform(5), ("neither",)),
        (lambda: Transform(0, 1), ("limit 0", "1..32767")),
        (lambda: Transform(2**15, 1), ("limit 32768",)),
        (lambda: Transform(5, -1), ("contrast_floor -1",)),
        (lambda: Transform(5, 2**17), ("contrast_floor 131072",)),
        (lambda: Transform(5, 0.5), ("contrast_floor", "integer")),
        (lambda: Transform(5, 0, MATRIX, 41), ("exponent 41",)),
        (lambda: Transform(5, 0, MATRIX[:3]), ("(3, 4)", "[N, N]")),
        (lambda: Transform(5, 0, MATRIX.astype(np.float64)), ("float64", "int16")),
        (lambda: Transform(5, 0, np.triu(np.ones((4, 4), np.int16))), ("symmetric", "whitened_on")),
        (lambda: Transform(5, 0, np.zeros((4097, 4097), np.int16)), ("4097", "4096")),
        (lambda: PixelEncoder(5).contrast_normalised(0.0), ("contrast_floor 0.0",)),
        (lambda: PixelEncoder(5).contrast_normalised(float("nan")), ("contrast_floor nan",)),
        (lambda: PixelEncoder(5).contrast_normalised(reach=float("inf")), ("reach inf",)),
        (lambda: PixelEncoder(12).contrast_normalised(reach=9.0), ("reach 9.0", "12 activation bits", "fewer bits")),
        (lambda: PixelEncoder(5).whitened_on(correlated(9, 4), 0.0), ("regulariser 0.0", "positive")),
        (lambda: PixelEncoder(5).whitened_on(correlated(1, 4)), ("1 images", "at least 2")),
        (lambda: PixelEncoder(5).whitened_on(np.zeros((0, 4))), ("0 images",)),
        (lambda: PixelEncoder(5).whitened_on(np.ones((9, 4))), ("all the same",)),
        (lambda: PixelEncoder(5).whitened_on(np.zeros((2, 4097))), ("4097", "contrast only")),
        (lambda: PixelEncoder(5, np.array([-1], np.int16), 0, Transform(5, 1)), ("0..32", "centred_on")),
        (lambda: PixelEncoder(5, np.zeros(3, np.int16), 0, Transform(5, 0, MATRIX)), ("3 values", "takes 4")),
        (lambda: PixelEncoder(5, None, 0, Transform(5, 0, MATRIX)).encode(np.ones((2, 5))), ("5 values", "takes 4")),
        (lambda: PixelEncoder(5).contrast_normalised().encode(np.ones((1, 2**18 + 1))), ("262145", "resize")),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(make, words, refused):
    with refused(*words):
        make()
