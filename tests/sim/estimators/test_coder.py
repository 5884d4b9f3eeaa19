"""The coder: codes solve its problem, atoms are in the units of the features, codes go back to samples."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from neuro.base.errors import UserError
from sim.backends.protocol import get_backend
from sim.coding.measure import integer_dictionary, lasso_codes, objective
from sim.estimators import SparseCoder

DIGITS, NUMBERS = load_digits(return_X_y=True)


@pytest.fixture(scope="module")
def coder():
    return SparseCoder(n_components=32, epochs=4, scaling="global", random_state=0).fit(DIGITS[:600])


def test_codes_are_sparse_and_go_back_to_samples(coder):
    codes = coder.transform(DIGITS[600:800])
    assert codes.shape == (200, 32)
    assert (codes != 0).mean() < 0.7
    error = np.square(coder.inverse_transform(codes) - DIGITS[600:800]).mean()
    assert error < 0.3 * DIGITS[600:800].var(axis=0).mean()


def test_atoms_are_in_units_of_the_features(coder):
    codes = coder.transform(DIGITS[:5])
    assert np.allclose(coder.inverse_transform(codes), codes @ coder.components_ + coder.mean_)
    assert np.abs(coder.mean_ - DIGITS[:600].mean(axis=0)).max() <= 16 / 2**7  # pixels of 7 bits
    atoms = integer_dictionary(coder.spec_).T
    assert np.allclose(coder.components_, 16.0 * atoms)


def test_codes_are_near_the_lasso_solution(coder):
    payloads = coder.spec_.encoder.encode(coder.range_.to_images(DIGITS[:20]))
    reached = objective(coder.spec_, payloads, coder.transform(DIGITS[:20]))
    best = objective(coder.spec_, payloads, lasso_codes(coder.spec_, payloads))
    assert np.median(reached / best) < 1.05


def test_codes_are_those_of_the_reference(coder):
    from neuro.coding.sigma_delta import codes_of

    payloads = coder.spec_.encoder.encode(coder.range_.to_images(DIGITS[:5]))
    with get_backend("reference").open(coder.spec_, threads=1) as session:
        assert np.array_equal(codes_of(coder.spec_, session.run(payloads).output_states), coder.transform(DIGITS[:5]))


def test_codes_may_be_of_one_sign():
    positive = SparseCoder(n_components=16, signed=False, epochs=2, random_state=0).fit(DIGITS[:200])
    assert positive.transform(DIGITS[:50]).min() == 0.0


def test_a_higher_threshold_leaves_fewer_active():
    codes = [
        SparseCoder(n_components=16, sparsity_threshold=threshold, epochs=2, random_state=0)
        .fit(DIGITS[:200])
        .transform(DIGITS[:50])
        for threshold in (0.1, 0.8)
    ]
    assert np.count_nonzero(codes[1]) < np.count_nonzero(codes[0])


def test_kernels_code_every_place():
    coder = SparseCoder(n_components=4, patch=4, stride=2, image_shape=(8, 8), epochs=1, random_state=0)
    codes = coder.fit(DIGITS[:100]).transform(DIGITS[:10])
    assert codes.shape == (10, 4 * 9)
    assert coder.components_.shape == (36, 64)
    assert len(coder.get_feature_names_out()) == 36


def test_codes_are_features_for_a_classifier():
    pipeline = make_pipeline(
        SparseCoder(n_components=48, epochs=3, scaling="global", random_state=0), LogisticRegression(max_iter=1000)
    )
    assert pipeline.fit(DIGITS[:1000], NUMBERS[:1000]).score(DIGITS[1000:], NUMBERS[1000:]) > 0.85


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sparsity_threshold": 0.0}, "sparsity_threshold 0"),
        ({"sparsity_threshold": 1e6}, "every code would be zero"),
        ({"threshold_kind": "firm"}, "firm"),
        ({"n_components": 0}, "atoms 0 outside"),
        ({"stride": 2}, "stride 2"),
    ],
)
def test_coders_that_cannot_be_are_refused(parameters, message):
    with pytest.raises(UserError, match=message):
        SparseCoder(**parameters).fit(DIGITS[:50])


def test_codes_of_another_size_are_refused(coder):
    with pytest.raises(UserError, match="codes have 31 values, the coder has 32"):
        coder.inverse_transform(np.zeros((2, 31)))
