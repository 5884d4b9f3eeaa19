"""Data as they come, against scikit-learn's perceptron."""

import numpy as np
import pytest

from benchmarks import strangers
from neuro.data.preparation import drawn
from neuro.data.sets import prepare


@pytest.mark.parametrize("name", [*strangers.TABLES, strangers.IMAGES])
def test_all_see_the_same_split_of_raw_values(name):
    raw = strangers.source(name)
    train, test = drawn(np.asarray(raw.y_train), 3)
    dataset = prepare(raw, seed=3)
    assert dataset.y_train.tolist() == raw.y_train[train].tolist()
    assert dataset.y_test.tolist() == raw.y_train[test].tolist()
    assert raw.x_train.max() > 1.0
    assert dataset.preparation.by_feature == (name != strangers.IMAGES)
    if name == strangers.IMAGES:
        assert dataset.image_shape == (28, 28)


def test_the_better_perceptron_in_the_mean_counts():
    rows = [
        {strangers.SETTLE: 0.9, strangers.RAW: 0.5, strangers.SCALED: 0.93},
        {strangers.SETTLE: 1.0, strangers.RAW: 1.0, strangers.SCALED: 0.99},
    ]
    found = strangers.summary(rows)
    assert found["better"] == strangers.SCALED
    assert found["difference"] == pytest.approx(-0.01)
    assert found["interval"][0] < -0.01 < found["interval"][1]
    assert found["near"]
    assert not strangers.summary([{**row, strangers.SETTLE: 0.9} for row in rows])["near"]
