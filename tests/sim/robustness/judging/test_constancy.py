"""Constant payloads: the closed form against the encoder itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.errors import UserError
from neuro.front_ends.pixels import PixelEncoder
from sim.robustness.judging.constancy import constancy_radii, constant, payload_unit

ENCODERS = st.builds(PixelEncoder, activation_bits=st.integers(1, 7), gain_bits=st.integers(0, 3))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), ENCODERS, st.booleans(), st.booleans())
def test_below_the_radius_nothing_changes_and_above_it_something_can(
    seed: int, encoder: PixelEncoder, centred: bool, whole: bool
) -> None:
    generator = np.random.default_rng(seed)
    images = generator.random((6, 4))
    if whole:
        images = np.floor(images * 17).clip(0, 16) / 16
    encoder = encoder.centred_on(images) if centred else encoder
    payloads = encoder.encode(images)
    for image, radius, before in zip(images, constancy_radii(encoder, images), payloads, strict=True):
        if radius > 0:
            moved = np.clip(image + 0.999999 * radius * generator.choice([-1.0, 1.0], (50, 4)), 0.0, 1.0)
            assert (encoder.encode(moved) == before).all()
            assert constant(encoder, image[None], 0.999999 * radius).all()
        if radius < 1:
            assert not constant(encoder, image[None], radius + 1e-9).all()


def test_images_on_the_grid_have_half_a_unit_and_bytes_are_pixels_of_255() -> None:
    encoder = PixelEncoder()
    assert payload_unit(encoder) == 1 / 32
    grid = np.random.default_rng(0).integers(1, 32, (5, 9)) / 32
    np.testing.assert_allclose(constancy_radii(encoder, grid), 1 / 64, atol=1e-9)
    images = np.random.default_rng(0).integers(0, 256, (5, 9)).astype(np.uint8)
    np.testing.assert_allclose(constancy_radii(encoder, images), constancy_radii(encoder, images / 255.0))
    assert (constancy_radii(encoder, images) <= 1 / 64).all()


def test_bright_images_beyond_the_gain_are_constant_far_down() -> None:
    encoder = PixelEncoder(gain_bits=2)
    assert constancy_radii(encoder, np.ones((1, 3)))[0] == pytest.approx(1 - 0.25 * (1 - 1 / 64))


def test_encoders_that_mix_pixels_are_refused() -> None:
    encoder = replace(PixelEncoder()).contrast_normalised()
    for measure in (constancy_radii, lambda e, x: constant(e, x, 0.1)):
        with pytest.raises(UserError, match="normalises or whitens"):
            measure(encoder, np.zeros((1, 4)))
