"""Predictivity: a planted linear code reaches its ceiling, noise nothing, silent units do no harm."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from neuro.base.errors import UserError
from sim.brain.predictivity import METHODS, STRENGTHS, _ridge, predicted, predictivity


def features(n=200, seed=0):
    """30 rectified units, and 50 silent ones that hold the noise of rounding."""
    generator = np.random.default_rng(seed)
    active = np.maximum(generator.standard_normal((n, 30)), 0)
    return np.concatenate([active, 1e-9 * generator.standard_normal((n, 50))], axis=1)


def planted(states, noise=0.3, repeats=6, units=12):
    generator = np.random.default_rng(1)
    code = states @ generator.standard_normal((states.shape[1], units))
    return (code / code.std(axis=0))[:, :, None] + noise * generator.standard_normal((len(states), units, repeats))


@pytest.mark.parametrize("method", METHODS)
def test_a_planted_linear_code_reaches_its_ceiling_whatever_is_silent(method):
    states = features()
    found = predictivity(states, planted(states), method)
    assert found.value > 0.99 * found.ceiling > 0.98
    assert found.interval[0] <= found.value <= found.interval[1]
    assert (found.n, found.reason) == (200, "")


@pytest.mark.parametrize("method", METHODS)
def test_noise_is_not_predicted(method):
    values = [
        predictivity(features(100, seed)[:, :30], np.random.default_rng(seed + 9).standard_normal((100, 9, 1)), method)
        for seed in range(4)
    ]
    assert abs(np.mean([found.value for found in values])) < 0.05


def test_without_repeats_there_is_no_ceiling_and_it_is_said():
    states = features()
    found = predictivity(states, planted(states)[:, :, :1])
    assert found.ceiling is None
    assert found.reason == "no repeats: no ceiling"
    assert "no repeats: no ceiling" in found.describe()


def test_missing_repeats_are_left_out():
    states = features()
    responses = planted(states)
    responses[::3, :, 4:] = np.nan
    found = predictivity(states, responses)
    assert found.value > 0.99 * found.ceiling > 0.97


def test_few_images_are_refused_in_words():
    found = predictivity(features(19), planted(features(19)))
    assert found.value is None
    assert found.describe() == "none: 19 images, predictivity needs at least 20"
    assert predictivity(features(20), planted(features(20))).value is not None


def test_a_layer_that_does_not_vary_predicts_nothing():
    for method in METHODS:
        assert predictivity(np.ones((60, 5)), planted(features(60)), method).value == 0


def test_an_unknown_method_is_refused():
    with pytest.raises(UserError, match="lasso"):
        predicted(features(30), planted(features(30))[:, :, 0], np.arange(3), "lasso")


def test_ridge_is_that_of_scikit_learn():
    generator = np.random.default_rng(3)
    states = generator.standard_normal((40, 12))
    states -= states.mean(axis=0)
    responses = planted(states, noise=2.0).mean(axis=2)
    responses -= responses.mean(axis=0)
    scale = np.mean(np.square(np.linalg.svd(states)[1]))
    model = RidgeCV(np.array(STRENGTHS) * scale, fit_intercept=True, alpha_per_target=True).fit(states, responses)
    assert len(set(model.alpha_)) > 1
    np.testing.assert_allclose(_ridge(states, responses), model.coef_.T, atol=1e-10)
