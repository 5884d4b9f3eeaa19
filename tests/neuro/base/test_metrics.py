import math
from statistics import NormalDist

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.metrics import (
    Accuracy,
    accuracy,
    clearly_better,
    confusion_matrix,
    cosine,
    nearest_distribution,
)

law = settings(max_examples=60, deadline=None)
Z = NormalDist().inv_cdf(0.975)

counts = st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
labelled = st.integers(2, 12).flatmap(
    lambda k: st.tuples(
        st.just(k), st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=1, max_size=60)
    )
)
reals = st.floats(-1024, 1024, width=32, allow_subnormal=False)
vectors = st.lists(st.tuples(reals, reals), min_size=1, max_size=20)


@law
@given(counts)
def test_interval_ends_solve_the_score_equation(count):
    n_correct, n = count
    b, c = -(2 * n_correct + Z * Z) / (n + Z * Z), n_correct**2 / (n * (n + Z * Z))
    root = math.sqrt(max(b * b - 4 * c, 0.0))
    assert Accuracy(n_correct, n).interval == pytest.approx(((-b - root) / 2, (-b + root) / 2), abs=1e-9)


@pytest.mark.parametrize(
    ("n_correct", "n", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17:857, table I, score method without continuity correction.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_interval_agrees_with_the_published_table(n_correct, n, low, high):
    assert Accuracy(n_correct, n).interval == pytest.approx((low, high), abs=5e-5)


@law
@given(counts)
def test_interval_holds_the_value_and_mirrors_when_right_and_wrong_swap(count):
    n_correct, n = count
    low, high = Accuracy(n_correct, n).interval
    assert 0 <= low <= n_correct / n + 1e-12
    assert n_correct / n - 1e-12 <= high <= 1
    mirrored = Accuracy(n - n_correct, n).interval
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_nothing_measured_is_no_value_and_the_widest_interval():
    assert math.isnan(Accuracy(0, 0).value)
    assert Accuracy(0, 0).interval == (0.0, 1.0)


def test_accuracy_prints_value_interval_and_count():
    assert str(Accuracy(81, 263)) == "0.3080 [0.2553, 0.3662] (n = 263)"


@law
@given(labelled)
def test_confusion_matrix_is_that_of_scikit_learn(case):
    n_classes, pairs = case
    predictions, labels = (np.array(column, dtype=np.int32) for column in zip(*pairs, strict=True))
    matrix = confusion_matrix(predictions, labels, n_classes)
    expected = sklearn.metrics.confusion_matrix(labels, predictions, labels=range(n_classes))
    np.testing.assert_array_equal(matrix, expected)
    assert accuracy(predictions, labels) == Accuracy(int(matrix.trace()), len(pairs))


@law
@given(vectors, st.floats(0.01, 100))
def test_cosine_is_bounded_symmetric_and_blind_to_size(pairs, scale):
    a, b = (np.array(column) for column in zip(*pairs, strict=True))
    value = cosine(a, b)
    assert -1 - 1e-9 <= value <= 1 + 1e-9
    assert value == pytest.approx(cosine(b, a))
    if np.linalg.norm(a) > 1e-6 and np.linalg.norm(b) > 1e-6:
        assert cosine(scale * a, b) == pytest.approx(value, abs=1e-9)
        assert cosine(-a, b) == pytest.approx(-value, abs=1e-9)
        assert cosine(a, a) == pytest.approx(1)


def test_cosine_of_known_angles():
    assert cosine([1, 0], [1, 1]) == pytest.approx(math.cos(math.pi / 4))
    assert cosine([[1, 0], [0, 0]], [[0, 1], [0, 0]]) == 0
    assert cosine([0, 0], [1, 2]) == 0


@given(st.integers(1, 500), st.floats(0, 1), st.floats(0, 1))
def test_clearly_better_is_a_strict_order_that_more_images_make_finer(n, first, second):
    assert not clearly_better(first, first, n)
    assert not (clearly_better(first, second, n) and clearly_better(second, first, n))
    if clearly_better(first, second, n):
        assert clearly_better(first, second, 4 * n)


def test_clearly_better_is_two_standard_errors():
    assert not clearly_better(0.95, 0.9, 100)  # an error is 0.03
    assert clearly_better(0.97, 0.9, 100)
    assert not clearly_better(1.0, 0.99, 100)  # one image


@law
@given(st.lists(st.lists(reals, min_size=3, max_size=3), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_no_distribution_is_nearer(rows, seed):
    scores = np.array(rows)
    nearest = nearest_distribution(scores)
    assert nearest.min() >= 0
    assert np.allclose(nearest.sum(axis=1), 1.0)
    other = np.random.default_rng(seed).dirichlet(np.ones(3), len(scores))
    assert (np.square(scores - nearest).sum(1) <= np.square(scores - other).sum(1) * (1 + 1e-9)).all()


def test_distributions_stay_and_far_scores_become_sure():
    assert nearest_distribution(np.array([[0.2, 0.3, 0.5]])) == pytest.approx(np.array([[0.2, 0.3, 0.5]]))
    assert nearest_distribution(np.array([[1.5, 0.0], [-1.0, -0.5]])).tolist() == [[1.0, 0.0], [0.25, 0.75]]
