"""Features of any scale become images in [0, 1]."""

import numpy as np
import pytest

from neuro.base.errors import UserError
from neuro.data.features import FeatureRange

SAMPLES = np.array([[-3.0, 100.0, 7.0], [1.0, 300.0, 7.0], [5.0, 200.0, 7.0]])


def test_every_feature_fills_its_range():
    learned = FeatureRange.of(SAMPLES, (3,))
    images = learned.to_images(SAMPLES)
    assert images.tolist() == [[0.0, 0.0, 0.0], [0.5, 1.0, 0.0], [1.0, 0.5, 0.0]]
    assert images.dtype == np.float32
    assert learned.width.tolist() == [8.0, 200.0, 0.0]


def test_global_keeps_features_comparable():
    images = FeatureRange.of(SAMPLES, (1, 3), "global").to_images(SAMPLES)
    assert images.shape == (3, 1, 3)
    assert np.allclose(images[:, 0] * 303.0 - 3.0, SAMPLES, atol=1e-4)


def test_later_samples_are_clipped_and_constant_features_stay_silent():
    images = FeatureRange.of(SAMPLES, (3,)).to_images(np.array([[-100.0, 1e9, 8.0]]))
    assert images.tolist() == [[0.0, 1.0, 0.0]]


@pytest.mark.parametrize("scale", [1e-300, 1.7e308])
def test_scales_at_the_ends_of_all_floats(scale):
    samples = np.array([[-1.0], [0.0], [1.0]]) * scale
    assert np.allclose(FeatureRange.of(samples, (1,)).to_images(samples)[:, 0], [0.0, 0.5, 1.0])


def test_the_manifest_holds_plain_numbers():
    assert FeatureRange.of(SAMPLES, (3, 1)).to_json() == {
        "low": [-3.0, 100.0, 7.0], "high": [5.0, 300.0, 7.0], "image_shape": [3, 1],
    }  # fmt: skip


def test_what_does_not_fit_is_refused():
    with pytest.raises(UserError, match=r"image_shape \(2, 2\) holds 4 values, samples have 3 features"):
        FeatureRange.of(SAMPLES, (2, 2))
    with pytest.raises(UserError, match="scaling 'pixel' is unknown"):
        FeatureRange.of(SAMPLES, (3,), "pixel")
