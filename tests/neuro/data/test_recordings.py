"""Recordings from a file: repeats, missing responses, stimuli found by their pixels, and what is refused."""

import numpy as np
import pytest

from neuro.base.errors import UserError
from neuro.data.recordings import load_recordings


@pytest.fixture
def saved(tmp_path):
    def save(**arrays):
        path = tmp_path / "recordings.npz"
        np.savez(path, **arrays)
        return path

    return save


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 3, 3)).astype(np.uint8)


def test_repeats_are_averaged_and_missing_ones_left_out_and_counted(saved):
    responses = np.arange(12.0).reshape(2, 3, 2)
    responses[0, 0, 1] = responses[1, 2, :] = np.nan
    found = load_recordings(saved(responses=responses))
    np.testing.assert_array_equal(found.means, [[0, 2.5, 4.5], [6.5, 8.5, np.nan]])
    assert found.n_missing == 1
    assert len(found.sha256) == 64


def test_stimuli_are_found_by_their_pixels_whatever_their_type_and_order(saved, images):
    responses = np.arange(4.0)[:, None]
    found = load_recordings(saved(responses=responses, stimuli=(images[[5, 0, 3, 2]] / 255.0).astype(np.float32)))
    np.testing.assert_array_equal(found.means_for(images, "x")[:, 0], [1, np.nan, 3, 2, np.nan, 0])
    np.testing.assert_array_equal(found.means_for(images.astype(np.float64) / 255, "x")[:, 0],
                                  [1, np.nan, 3, 2, np.nan, 0])  # fmt: skip


def test_without_stimuli_responses_are_to_the_training_images_in_order(saved, images):
    found = load_recordings(saved(responses=np.arange(6.0)[:, None]))
    np.testing.assert_array_equal(found.means_for(images, "x")[:, 0], np.arange(6))
    with pytest.raises(UserError, match="6 responses, x has 5 training images"):
        found.means_for(images[:5], "x")


def test_regions_are_chosen_by_name(saved):
    found = load_recordings(saved(responses=np.arange(6.0).reshape(2, 3), regions=["V1", "IT", "V1"]))
    np.testing.assert_array_equal(found.units_of("V1").means, [[0, 2], [3, 5]])
    assert found.units_of("IT").regions == ("IT",)


def test_dissimilarities_stand_in_for_responses(saved, images):
    squares = np.random.default_rng(1).random((2, 6, 6))
    squares = squares + squares.swapaxes(1, 2)
    found = load_recordings(saved(rdm=squares, stimuli=images, regions=["IT", "IT"], subjects=["a", "b"]))
    np.testing.assert_array_equal(found.geometries[1], squares[1][np.triu_indices(6, 1)])
    assert found.units_of("IT").geometries.shape == (2, 15)
    assert (found.responses.shape, found.n_missing) == ((6, 0, 1), 0)
    with pytest.raises(UserError, match="guided by `responses`"):
        found.means_for(images, "x")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"answers": np.zeros((2, 3))}, "holds answers; give `responses`"),
        ({"responses": np.zeros(3)}, "shape"),
        ({"responses": np.zeros((0, 3))}, "shape"),
        ({"responses": np.array([["a"]])}, "type"),
        ({"responses": np.array([[np.inf, 1.0]])}, "1 responses are infinite"),
        ({"responses": np.array([[np.nan, 1.0]])}, "1 of 2 units have no response at all"),
        ({"responses": np.zeros((2, 3)), "stimuli": np.zeros((3, 4))}, "as many stimuli as responses"),
        ({"responses": np.zeros((2, 3)), "stimuli": np.array([["a"], ["b"]])}, "give numbers"),
        ({"rdm": np.zeros((2, 3))}, "give .images, images. of each set"),
        ({"rdm": np.arange(9.0).reshape(3, 3)}, "not symmetric"),
        ({"responses": np.zeros((2, 3)), "regions": ["V1"]}, "a name, a text, for each of 3 units"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_line(saved, arrays, said):
    with pytest.raises(UserError, match=said) as error:
        load_recordings(saved(**arrays))
    assert "\n" not in str(error.value)


def test_stimuli_of_other_images_are_refused(saved, images):
    found = load_recordings(saved(responses=np.zeros((6, 1)) + 1, stimuli=images))
    with pytest.raises(UserError, match="none of its 6 stimuli is a training image of x") as error:
        found.means_for(255 - images, "x")
    assert "\n" not in str(error.value)
