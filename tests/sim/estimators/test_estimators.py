"""What scikit-learn asks of every estimator, of both of ours; that they are light to import and travel well."""

import doctest
import importlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from neuro.base.errors import UserError
from sim.estimators import EPClassifier, SparseCoder

SMALL = [EPClassifier(hidden=(16,)), SparseCoder(n_components=8, epochs=3)]
SAMPLES = np.random.default_rng(0).normal(size=(60, 5)) + 3.0 * (np.arange(60) % 2)[:, None]
LABELS = np.arange(60) % 2


def fitted(estimator):
    return clone(estimator).set_params(random_state=0).fit(SAMPLES, LABELS)


def outcome(estimator):
    return estimator.predict(SAMPLES) if hasattr(estimator, "predict") else estimator.transform(SAMPLES)


def same(first, second):
    return np.array_equal(outcome(first), outcome(second))


@parametrize_with_checks(SMALL)
def test_scikit_learn_finds_nothing_wrong(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", SMALL, ids=repr)
def test_a_pickled_estimator_says_the_same(estimator):
    before = fitted(estimator)
    assert same(before, pickle.loads(pickle.dumps(before)))


@pytest.mark.parametrize("estimator", SMALL, ids=repr)
@pytest.mark.parametrize("scale", [1e-9, 255.0, 1e200])
def test_the_scale_of_features_does_not_matter(estimator, scale):
    scaled = clone(estimator).set_params(random_state=0).fit(SAMPLES * scale, LABELS)
    last = scaled.predict(SAMPLES * scale) if hasattr(scaled, "predict") else scaled.transform(SAMPLES * scale)
    assert np.mean(last == outcome(fitted(estimator))) > 0.95  # the last bits of a range are rounded otherwise


@pytest.mark.parametrize("estimator", SMALL, ids=repr)
def test_threads_change_nothing(estimator):
    assert same(fitted(estimator), fitted(clone(estimator).set_params(n_jobs=2)))


@pytest.mark.parametrize("estimator", SMALL, ids=repr)
def test_a_random_state_of_numpy_is_drawn_from(estimator):
    twice = [clone(estimator).set_params(random_state=np.random.RandomState(5)).fit(SAMPLES, LABELS) for _ in range(2)]
    assert same(*twice)
    assert twice[0].artifact_.manifest["seed"] == np.random.RandomState(5).randint(2**31 - 1)


@pytest.mark.parametrize("estimator", SMALL, ids=repr)
def test_images_may_keep_their_shape(estimator):
    images = np.random.default_rng(1).integers(0, 256, (30, 3, 4), dtype=np.uint8)
    first = clone(estimator).set_params(random_state=0).fit(images, np.arange(30) % 3)
    flat = (
        clone(estimator).set_params(random_state=0, image_shape=(3, 4)).fit(images.reshape(30, 12), np.arange(30) % 3)
    )
    assert first.range_.image_shape == flat.range_.image_shape == (3, 4)
    assert first.spec_.population("input").shape == (3, 4)
    assert np.array_equal(
        first.predict(images) if hasattr(first, "predict") else first.transform(images),
        flat.predict(images.reshape(30, 12)) if hasattr(flat, "predict") else flat.transform(images.reshape(30, 12)),
    )


@pytest.mark.parametrize("estimator", SMALL, ids=repr)
def test_the_manifest_says_how_features_become_pixels(estimator):
    manifest = fitted(estimator).artifact_.manifest
    assert manifest["features"]["low"] == SAMPLES.min(axis=0).tolist()
    assert manifest["features"]["image_shape"] == [5]
    assert (manifest["seed"], manifest["data"]["n_train"], manifest["data"]["n_test"]) == (0, 60, 0)


@pytest.mark.parametrize("estimator", SMALL, ids=repr)
def test_what_is_not_fitted_says_so(estimator):
    with pytest.raises(NotFittedError):
        outcome(clone(estimator))


@pytest.mark.parametrize("estimator", SMALL, ids=repr)
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"scaling": "features"}, "scaling 'features' is unknown; did you mean feature"),
        ({"image_shape": (2, 3)}, "image_shape .* holds 6 values, samples have 5 features"),
        ({"image_shape": (2.5, 2)}, "must be an integer"),
        ({"epochs": 0}, "epochs 0 outside"),
        ({"epochs": 2.5}, "epochs 2.5 must be an integer"),
        ({"n_jobs": "all"}, "n_jobs 'all' must be an integer"),
        ({"shadow_bits": 9}, "shadow.bits"),
        ({"random_state": -1}, "Seed must be between"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused(estimator, parameters, message):
    with pytest.raises(ValueError, match=message):
        clone(estimator).set_params(**parameters).fit(SAMPLES, LABELS)


def test_a_users_mistake_is_a_value_error():
    assert issubclass(UserError, ValueError)


@pytest.mark.parametrize("estimator", SMALL, ids=repr)
def test_names_of_columns_are_kept(estimator):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(SAMPLES, columns=list("abcde"))
    named = clone(estimator).set_params(random_state=0).fit(frame, LABELS)
    assert list(named.feature_names_in_) == list("abcde")
    assert same(named.__class__.fit(clone(named), SAMPLES, LABELS), fitted(estimator))


@pytest.mark.parametrize("name", ["classifier", "coder"])
def test_examples_run(name):
    result = doctest.testmod(importlib.import_module(f"sim.estimators.{name}"))
    assert result.attempted > 3
    assert result.failed == 0


def test_importing_the_estimators_loads_neither_torch_nor_numba():
    code = "import sim.estimators, sys; print([name for name in ('torch', 'numba', 'lava') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
