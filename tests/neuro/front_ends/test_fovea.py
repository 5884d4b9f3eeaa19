"""Retinal samples: where they lie, what they weigh, and what is refused."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d, map_coordinates

from neuro.base.errors import UserError
from neuro.front_ends.fovea import (
    FIXATIONS,
    RATIO,
    UNIFORM,
    WEIGHT_EXPONENT,
    FoveaChoices,
    n_samples,
    places,
    resampling,
)
from neuro.front_ends.named import choices_of, is_fixed, is_named, stated

ONE = 1 << WEIGHT_EXPONENT
CENTRE = FoveaChoices(fixations=1, scales=1)


def test_samples_are_dense_at_the_fixation():
    at, distance = places(40, 0.0, 28, "foveal")
    assert distance.max() / distance.min() == pytest.approx(RATIO, rel=0.1)
    np.testing.assert_allclose(np.diff(at), (distance[1:] + distance[:-1]) / 2, rtol=0.02)
    np.testing.assert_allclose(at, 27 - at[::-1])
    moved, _ = places(40, 0.5, 28, "foveal")
    np.testing.assert_allclose(moved - at, 7.0)
    even, apart = places(40, 0.0, 28, UNIFORM)
    np.testing.assert_allclose(np.diff(even), apart[:-1])
    assert apart[0] == pytest.approx(distance.mean(), rel=0.01)


def test_a_sample_inside_has_weights_that_sum_to_one():
    weights = resampling(CENTRE, (28, 28)).astype(int)
    assert weights.min() >= 0
    middle = weights.reshape(784, 14, 14)[:, 3:11, 3:11]
    np.testing.assert_array_equal(middle.sum(axis=0), ONE)


def test_samples_are_those_of_a_blurred_and_resampled_image():
    line = np.random.default_rng(0).random((1, 28))
    image = np.repeat(line, 28, axis=0)
    at, distance = places(14, 0.0, 28, UNIFORM)
    blurred = gaussian_filter1d(line[0], 0.5 * distance[0], truncate=5)
    expected = map_coordinates(blurred, [at[4:10]], order=3)
    found = image.ravel() @ resampling(FoveaChoices(fixations=1, scales=1, sampling=UNIFORM), (28, 28)) / ONE
    np.testing.assert_allclose(found.reshape(14, 14)[6, 4:10], expected, atol=0.03)


def test_every_fixation_and_scale_is_a_block():
    choices = FoveaChoices()
    weights = resampling(choices, (28, 28))
    assert weights.shape == (784, n_samples(choices, (28, 28))) == (784, 5 * (14**2 + 7**2 + 3**2))
    rows, columns = np.divmod(np.arange(784), 28)
    for index, fixation in enumerate(FIXATIONS):
        block = weights[:, index * 254 : index * 254 + 196].astype(float)
        centre = [(block.sum(axis=1) * axis).sum() / block.sum() for axis in (rows, columns)]
        assert [np.sign(round(c - 13.5, 1)) for c in centre] == [np.sign(f) for f in fixation]


def test_colours_are_sampled_apart():
    weights = resampling(CENTRE, (8, 8, 3)).reshape(64, 3, 16, 3)
    plane = resampling(CENTRE, (8, 8)).reshape(64, 16)
    for channel in range(3):
        np.testing.assert_array_equal(weights[:, channel, :, channel], plane)
        assert not weights[:, channel, :, channel - 1].any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fovea:fixations=6", "fixations 6 outside 1..5"),
        ("fovea:scales=0", "scales 0 outside 1..4"),
        ("fovea:sampling=log", "choose one of foveal, uniform"),
        ("fovea:window=1", "'window' is unknown"),
    ],
)
def test_what_is_no_choice_is_refused(text, message):
    with pytest.raises(UserError, match=message):
        choices_of(text)


def test_images_too_small_or_without_rows_are_refused():
    with pytest.raises(UserError, match="images of 4 x 4 pixels; give at least 6"):
        resampling(CENTRE, (4, 4))
    with pytest.raises(UserError, match="rows and columns"):
        resampling(CENTRE, (64,))


def test_names_are_stated():
    assert stated("fovea:scales=2") == "fovea:fixations=5,scales=2,grid=0,sampling=foveal"
    assert is_named("fovea")
    assert not is_fixed("fovea")
    assert not is_named("runs/fovea")
