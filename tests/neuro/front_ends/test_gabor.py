"""Published distributions: drawn as they stand, the same for every number of filters."""

import numpy as np
import pytest

from neuro.base.errors import UserError
from neuro.front_ends.gabor import (
    FREQUENCY_EDGES,
    FREQUENCY_SHARES,
    ORIENTATION_SHARES,
    SIZE_SHARES,
    draw_channels,
    draw_gabors,
    histogram_quantiles,
    normal_shares,
    random_kernels,
)

MANY = 8_000
FINE = 28.0  # pixels a degree: every frequency


def test_parameters_follow_the_published_histograms():
    drawn = draw_gabors(MANY, FINE, 0)
    found, _ = np.histogram(drawn.frequency * FINE, FREQUENCY_EDGES)
    np.testing.assert_allclose(found / MANY, np.array(FREQUENCY_SHARES) / sum(FREQUENCY_SHARES), atol=0.02)
    turned = (np.rad2deg(drawn.orientation) + 22.5) % 180.0
    found, _ = np.histogram(turned, (0, 45, 90, 135, 180))
    np.testing.assert_allclose(found / MANY, np.array(ORIENTATION_SHARES) / sum(ORIENTATION_SHARES), atol=0.02)


def test_sizes_are_drawn_jointly_and_go_with_the_frequency():
    drawn = draw_gabors(MANY, FINE, 0)
    sizes = [np.log10(width * drawn.frequency) for width in (drawn.width_x, drawn.width_y)]
    found, *_ = np.histogram2d(*sizes, bins=[(-1.0, -0.76, -0.52, -0.28, -0.04, 0.2)] * 2)
    np.testing.assert_allclose(found / MANY, np.array(SIZE_SHARES) / np.sum(SIZE_SHARES), atol=0.02)
    ranks = [np.argsort(np.argsort(values)) for values in (sizes[0], drawn.frequency)]
    assert np.corrcoef(*ranks)[0, 1] == pytest.approx(0.734, abs=0.03)  # of a Gaussian copula of .75


def test_frequencies_are_those_that_the_pixels_can_hold():
    assert draw_gabors(MANY, 14.0, 0).frequency.max() <= 0.4
    with pytest.raises(UserError, match="give larger images"):
        draw_gabors(1, 1.0, 0)


def test_a_filter_is_a_function_of_the_seed_and_its_number():
    few, more = draw_gabors(3, 14.0, 1).kernels(7), draw_gabors(5, 14.0, 1).kernels(7)
    np.testing.assert_array_equal(few, more[:3])
    assert not np.allclose(few, draw_gabors(3, 14.0, 2).kernels(7))


def test_partners_are_in_quadrature():
    drawn = draw_gabors(50, 14.0, 0)
    first, partner = drawn.kernels(25), drawn.kernels(25, quadrature=True)
    envelope = np.sqrt(first**2 + partner**2)
    middle = envelope[:, 12, 12]
    np.testing.assert_allclose(middle, 1 / (2 * np.pi * drawn.width_x * drawn.width_y))
    assert (envelope.max(axis=(1, 2)) == middle).all()


def test_random_filters_have_the_same_norms():
    kernels = draw_gabors(6, 14.0, 0).kernels(9)
    noise = random_kernels(kernels, 0)
    np.testing.assert_allclose((noise**2).sum(axis=(1, 2)), (kernels**2).sum(axis=(1, 2)))
    assert abs(np.corrcoef(noise.ravel(), kernels.ravel())[0, 1]) < 0.2


def test_every_filter_reads_one_channel():
    assert set(draw_channels(60, 3, 0)) == {0, 1, 2}
    assert set(draw_channels(60, 1, 0)) == {0}


def test_quantiles_of_histograms_and_of_the_normal():
    np.testing.assert_allclose(histogram_quantiles((0, 1, 2, 4), (1, 0, 3), (0.125, 0.25, 0.625)), (0.5, 2.0, 3.0))
    np.testing.assert_allclose(normal_shares(np.array([-1.959964, 0.0, 1.0])), (0.025, 0.5, 0.841345), atol=3e-7)
