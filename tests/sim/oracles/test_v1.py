"""The integers of the V1 bank against its equations in floats."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from neuro.front_ends.v1 import BASELINE, CHANCE_OF_ONE, V1Choices, gabor_bank
from sim.oracles.v1 import mean_spikes


def digits(colours: int = 0) -> np.ndarray:
    """Digits enlarged to 28 x 28 pixels, grey or of so many different planes."""
    small = load_digits().images[:40] / 16.0
    large = np.pad(small.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))
    return large if not colours else np.stack([np.roll(large, shift, axis=0) for shift in range(colours)], axis=-1)


@pytest.mark.parametrize(("filters", "colours"), [("gabor", 0), ("random", 0), ("gabor", 3)])
def test_integers_are_within_a_hundredth_of_floats(filters, colours):
    choices = V1Choices(filters=filters, seed=0)
    pixels = np.round(digits(colours) * 255) / 255
    front = gabor_bank(choices, pixels.shape[1:])
    exact = mean_spikes(choices, pixels)
    found = front.encode(pixels) / CHANCE_OF_ONE
    assert np.abs(found - exact).mean() < 0.01 * exact.mean()
    assert 0.1 < exact.mean() < 0.5  # as the published gains give on natural images: no gain was tuned


def test_a_dark_image_is_left_to_the_spontaneous_spikes():
    exact = mean_spikes(V1Choices(seed=1), np.zeros((1, 28, 28)))
    np.testing.assert_allclose(exact, BASELINE / CHANCE_OF_ONE, rtol=0.01)
