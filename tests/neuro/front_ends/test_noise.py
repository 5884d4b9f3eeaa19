"""Noise on pixels: where it enters, and that clipping and the grid come after it."""

from __future__ import annotations

import numpy as np

from neuro.base.gaussian import standard_normal
from neuro.front_ends.noise import noisy_payloads
from neuro.front_ends.pixels import PixelEncoder

FINE = PixelEncoder(activation_bits=12)


def test_the_noise_has_its_mean_and_deviation_in_pixels() -> None:
    grey = np.full((1, 20, 25), 0.5)
    pixels = noisy_payloads(FINE, grey, 0.1, seed=0, stream=0, first=0, count=200) / 4096
    assert pixels.shape == (200, 500)
    assert abs(pixels.mean() - 0.5) < 4 * 0.1 / np.sqrt(pixels.size)
    assert abs(pixels.std() - 0.1) < 4 * 0.1 / np.sqrt(2 * pixels.size)


def test_it_is_added_before_clipping_and_the_grid() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 6, 6)).astype(np.uint8)
    encoder = PixelEncoder().centred_on(image)
    found = noisy_payloads(encoder, image, 0.7, seed=3, stream=4, first=5, count=50)
    noisy = np.clip(image.reshape(1, 36) / 255.0 + 0.7 * standard_normal(3, 4, 5, 50, 36), 0.0, 1.0)
    np.testing.assert_array_equal(found, encoder.encode(noisy))
    assert (noisy == 0.0).any()
    assert (noisy == 1.0).any()


def test_a_row_for_each_image_or_one_image_in_every_row() -> None:
    images = np.random.default_rng(0).random((7, 9)).astype(np.float32)
    each = noisy_payloads(FINE, images, 0.2, seed=0, stream=1, first=3, count=7)
    for row, image in enumerate(images):
        alone = noisy_payloads(FINE, image[None], 0.2, seed=0, stream=1, first=3, count=7)
        np.testing.assert_array_equal(alone[row], each[row])
