"""Kinds of sparse codes, and scikit-learn's Lasso as their oracle."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import Lasso

KINDS = [{"signed": signed, "hard": hard} for signed in (False, True) for hard in (False, True)]


def lasso_codes(dictionary: np.ndarray, signals: np.ndarray, sparsity_threshold: float) -> np.ndarray:
    """Non-negative Lasso codes, of shape [B, K]; scikit-learn divides the error by the number of values."""
    alpha = sparsity_threshold / len(dictionary)
    solver = Lasso(alpha=alpha, fit_intercept=False, positive=True, tol=1e-8, max_iter=100_000)
    return np.stack([solver.fit(dictionary, signal).coef_ for signal in signals])
