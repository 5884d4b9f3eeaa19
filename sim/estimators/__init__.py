"""scikit-learn estimators: networks of local rules in pipelines, grid searches and cross-validation.

`fit` is the training of `settle train` in memory, and what is fitted are the integers that go to the chip: predictions
and codes are those of the backend `events` on `spec_`. Importing this package loads neither torch nor numba.
"""

from sim.estimators.classifier import EPClassifier
from sim.estimators.coder import SparseCoder

__all__ = ["EPClassifier", "SparseCoder"]
