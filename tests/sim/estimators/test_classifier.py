"""The classifier: any labels, what its probabilities are, searches and pipelines; its integers are those of a run."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris, make_circles
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from neuro.artifact.run_folder import load_artifact, save_artifact
from neuro.base.errors import UserError
from neuro.front_ends.pixels import PixelEncoder
from sim.backends.protocol import get_backend
from sim.estimators import EPClassifier

IRIS, SPECIES = load_iris(return_X_y=True)
DIGITS, NUMBERS = load_digits(return_X_y=True)


@pytest.fixture(scope="module")
def iris():
    return EPClassifier(hidden=(16,), random_state=0).fit(IRIS, SPECIES)


def test_flowers_are_told_apart(iris):
    assert iris.score(IRIS, SPECIES) > 0.95
    assert iris.n_iter_ == len(iris.history_) == 40


def test_circles_need_the_hidden_layer_and_scaled_weights():
    samples, labels = make_circles(400, noise=0.1, factor=0.5, random_state=0)
    train, test, y_train, y_test = train_test_split(samples, labels, random_state=0)
    assert EPClassifier(hidden=(64,), random_state=0).fit(train, y_train).score(test, y_test) > 0.95


@pytest.mark.parametrize(
    "names",
    [np.array(["setosa", "versicolor", "virginica"]), np.array([-7, 0, 40]), np.array([2.0, 3.0, 5.0])],
    ids=["text", "integers", "whole floats"],
)
def test_labels_are_what_the_user_calls_them(iris, names):
    named = EPClassifier(hidden=(16,), random_state=0).fit(IRIS, names[SPECIES])
    assert list(named.classes_) == list(names)
    assert np.array_equal(named.predict(IRIS), names[iris.predict(IRIS)])


def test_one_class_is_none():
    with pytest.raises(UserError, match="one class only"):
        EPClassifier().fit(IRIS, np.zeros(150))


def test_probabilities_are_the_nearest_to_the_outputs(iris):
    probabilities = iris.predict_proba(IRIS)
    with get_backend("events").open(iris.spec_, threads=1) as session:
        record = session.run(iris.spec_.encoder.encode(iris.range_.to_images(IRIS)))
    outputs = record.output_states / iris.spec_.unit("output").one
    assert np.allclose(probabilities.sum(axis=1), 1.0)
    assert np.array_equal(iris.classes_[probabilities.argmax(axis=1)], iris.predict(IRIS))
    target = np.eye(3)[SPECIES]
    assert np.square(probabilities - target).sum() <= np.square(outputs - target).sum()


def test_predictions_are_those_of_the_reference_on_the_saved_network(iris, tmp_path):
    save_artifact(tmp_path, iris.artifact_)
    spec = load_artifact(tmp_path).spec
    with get_backend("reference").open(spec, threads=1) as session:
        record = session.run(spec.encoder.encode(iris.range_.to_images(IRIS[::10])))
    assert np.array_equal(iris.classes_[record.predictions], iris.predict(IRIS[::10]))


def test_search_in_a_pipeline_on_two_processes():
    pipeline = make_pipeline(StandardScaler(), EPClassifier(hidden=(16,), epochs=10, random_state=0))
    search = GridSearchCV(pipeline, {"epclassifier__hidden": [(8,), (16,)]}, cv=2, n_jobs=2).fit(IRIS, SPECIES)
    assert search.best_score_ > 0.9
    assert search.best_estimator_.predict(IRIS[:3]).shape == (3,)


def test_cross_validation_on_two_threads():
    from joblib import parallel_backend

    alone = cross_val_score(EPClassifier(hidden=(8,), epochs=5, random_state=0), IRIS, SPECIES, cv=3)
    with parallel_backend("threading", n_jobs=2):
        together = cross_val_score(EPClassifier(hidden=(8,), epochs=5, random_state=0), IRIS, SPECIES, cv=3)
    assert np.array_equal(alone, together)


def test_kernels_on_images():
    images = DIGITS[:300].reshape(-1, 8, 8)
    classifier = EPClassifier(layers="conv:4x3,pool:2,dense:16", scaling="global", epochs=3, random_state=0)
    classifier.fit(images, NUMBERS[:300])
    assert classifier.spec_.population("hidden1").shape == (4, 4, 4)
    assert classifier.score(images, NUMBERS[:300]) > 0.5


def test_two_layers_take_their_own_first_guess():
    classifier = EPClassifier(hidden=(16, 8), epochs=2, random_state=0).fit(IRIS, SPECIES)
    chosen = classifier.artifact_.manifest["chosen"]
    assert (chosen["learning_rate"], chosen["output_share"]) == (1.0, 0.4)
    assert classifier.artifact_.manifest["trials"] == []


def test_tuning_tries_what_is_left_open():
    classifier = EPClassifier(hidden=(8,), epochs=2, tune=True, output_share=0.125, random_state=0)
    trials = classifier.fit(DIGITS[:400], NUMBERS[:400]).artifact_.manifest["trials"]
    assert {trial["choices"]["output_share"] for trial in trials} == {0.125}
    assert len(trials) >= 3


def test_weights_have_the_bits_asked_for():
    spec = EPClassifier(hidden=(8,), weight_bits=4, epochs=2, random_state=0).fit(IRIS, SPECIES).spec_
    assert np.abs(spec.weights_of(spec.projection("input->hidden1"))).max() <= 7
    assert isinstance(spec.encoder, PixelEncoder)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden": (0,)}, "hidden layers .0,."),
        ({"hidden": (2.5,)}, "must be an integer"),
        ({"rule": "backprop"}, "learning rule 'backprop' is unknown"),
        ({"weight_bits": 9}, "weight_bits 9 outside"),
        ({"layers": "conv:4"}, "conv:4"),
        ({"learning_rate": -1.0}, "learning_rate -1.0 outside"),
    ],
)
def test_networks_that_cannot_be_are_refused(parameters, message):
    with pytest.raises(UserError, match=message):
        EPClassifier(**parameters).fit(IRIS, SPECIES)
