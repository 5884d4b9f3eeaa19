"""Neural predictivity: how well each unit's responses are predicted linearly from a layer, on images held out.

In ten folds, the responses to a tenth of the images are predicted from what the others taught; r of a unit is the mean
over folds of the Pearson correlation of predictions and responses within the fold. (One correlation over the
predictions of all folds is below 0 for noise: what is learned from nine tenths is above where the tenth left out is
below.) Features are centred, never scaled.
Source: Schrimpf et al. 2018 (Brain-Score: PLS with 25 components, ten splits, median over units).
"""

from __future__ import annotations

import warnings

import numpy as np

from neuro.base.arrays import Int64, Reals
from neuro.base.checks import require_choice
from sim.brain.ceilings import NO_REPEATS, correlations, mean_response, reliability
from sim.brain.measure import Interval, Measure

FOLDS, FEWEST_IN_FOLD, COMPONENTS, FEWEST_IMAGES = 10, 5, 25, 20
STRENGTHS = tuple(10.0**power for power in range(-6, 5))  # of the ridge, in units of the mean square singular value
DRAWS = 1000  # of units, for the interval of their median
METHODS = ("ridge", "pls")


def predicted(features: Reals, responses: Reals, held_out: Int64, method: str = "ridge") -> Reals:
    """Predictions [m, units], less the mean, of responses [n, units] to m images `held_out`, from features [n, N]."""
    require_choice("predictivity", method, METHODS)
    rest = np.setdiff1d(np.arange(len(features)), held_out)
    middle = features[rest].mean(axis=0)
    weights = (_ridge if method == "ridge" else _pls)(
        features[rest] - middle, responses[rest] - responses[rest].mean(axis=0)
    )
    answers: Reals = (features[held_out] - middle) @ weights
    return answers


def predictivity(features: Reals, responses: Reals, method: str = "ridge", seed: int = 0) -> Measure:
    """The median over units of r, with features [n, N], responses [n, units, repeats], some of each there.

    Its ceiling: the median of the root of the units' reliabilities. Refused for fewer than 20 images.
    """
    n, means = len(features), mean_response(responses)
    if n < FEWEST_IMAGES:
        return Measure(None, n=n, reason=f"{n} images, predictivity needs at least {FEWEST_IMAGES}")
    folds = [(fold, predicted(features, means, fold, method)) for fold in _folds(n, seed)]
    found: Reals = np.mean([correlations(answers, means[fold]) for fold, answers in folds], axis=0)
    value, interval, steady = float(np.median(found)), _interval(found, seed), reliability(responses)
    if steady is None:
        return Measure(value, interval, None, n, reason=NO_REPEATS)
    return Measure(value, interval, float(np.median(np.sqrt(steady))), n)


def _interval(values: Reals, seed: int) -> Interval:
    """95 % of the medians of units drawn with replacement."""
    drawn = np.random.default_rng([seed, 0xB007]).integers(0, len(values), (DRAWS, len(values)))
    low, high = np.percentile(np.median(values[drawn], axis=1), (2.5, 97.5))
    return float(low), float(high)


def _folds(n: int, seed: int) -> list[Int64]:
    """Images in ten parts; in fewer, if there are few, so that each has five."""
    return np.array_split(np.random.default_rng([seed, 0xF01D]).permutation(n), min(FOLDS, n // FEWEST_IN_FOLD))


def _ridge(features: Reals, responses: Reals) -> Reals:
    """Weights [N, units], each unit with the strength that predicts its images best when one at a time is left out.

    w = V (S^2 + strength)^-1 S U' y;  an image left out is missed by (y - H y) / (1 - H_ii)
    H = U S^2 / (S^2 + strength) U'
    """
    left, singular, right = np.linalg.svd(features, full_matrices=False)
    kept = singular > 1e-9 * max(float(singular.max(initial=0.0)), 1e-300)
    left, singular, right = left[:, kept], singular[kept], right[kept]
    shown = left.T @ responses
    scale = float(np.mean(np.square(singular))) if len(singular) else 1.0
    best = np.full(responses.shape[1], np.inf)
    weights = np.zeros((features.shape[1], responses.shape[1]))
    for strength in STRENGTHS:
        shrunk = np.square(singular) / (np.square(singular) + strength * scale)
        own = np.square(left) @ shrunk + 1.0 / len(features)  # the mean is fitted, too
        missed = np.mean(np.square((responses - left @ (shrunk[:, None] * shown)) / (1.0 - own)[:, None]), axis=0)
        better = missed < best
        best[better] = missed[better]
        weights[:, better] = right.T @ ((shrunk / singular)[:, None] * shown[:, better])
    return weights


def _pls(features: Reals, responses: Reals) -> Reals:
    """Weights [N, units] of a partial least squares regression."""
    from sklearn.cross_decomposition import PLSRegression
    from sklearn.exceptions import ConvergenceWarning

    varying = features.std(axis=0) > 0
    most = min(COMPONENTS, int(np.linalg.matrix_rank(features)), len(features) - 1)
    weights = np.zeros((features.shape[1], responses.shape[1]))
    if most:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of late components, which are noise
            model = PLSRegression(most, scale=False).fit(features[:, varying], responses)
        weights[varying] = model.coef_.T
    return weights
