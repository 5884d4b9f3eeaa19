"""What both estimators do with samples, and with the parameters they share."""

from __future__ import annotations

import os
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from neuro.base.arrays import Float32, Reals
from neuro.base.checks import require_integers
from neuro.data.features import FeatureRange
from neuro.data.sets import Dataset
from neuro.spec.sigma_delta import NetworkSpec

if TYPE_CHECKING:
    from neuro.artifact.run_folder import Artifact
    from sim.backends.record import Record


class SettlingEstimator(BaseEstimator):
    """Samples in, integers out: a network is learned in `fit` and run by the backend `events` afterwards.

    Set by `fit`: spec_, artifact_, history_, n_iter_, range_.
    """

    image_shape: tuple[int, ...] | None
    scaling: str
    random_state: Any
    n_jobs: int | None
    spec_: NetworkSpec
    artifact_: Artifact
    history_: list[dict[str, Any]]
    n_iter_: int
    range_: FeatureRange

    def _samples(self, X: Any, **options: Any) -> Any:
        """Features as floats of shape [n, d], with y if given; images [n, h, w(, c)] are laid out flat."""
        if isinstance(X, np.ndarray) and X.ndim in (3, 4) and 0 not in X.shape:
            X = X.reshape(len(X), -1)
        return validate_data(self, X, dtype=np.float64, **options)

    def _learn_range(self, X: Any, features: Reals) -> Float32:
        """Learn the range of the checked features of X; return the images they are."""
        shape = X.shape[1:] if isinstance(X, np.ndarray) and X.ndim > 2 else features.shape[1:]
        if self.image_shape is not None:
            sizes = dict(enumerate(np.atleast_1d(self.image_shape)))
            require_integers(type(self).__name__, **{f"image_shape[{index}]": size for index, size in sizes.items()})
            shape = tuple(int(size) for size in sizes.values())
        self.range_ = FeatureRange.of(features, shape, self.scaling)
        return self.range_.to_images(features)

    def _deploy(self, artifact: Artifact, **more: Any) -> None:
        """Keep a trained network; its manifest says what its features and classes are."""
        self.artifact_ = replace(artifact, manifest={**artifact.manifest, "features": self.range_.to_json(), **more})
        self.spec_, self.history_ = cast("NetworkSpec", artifact.spec), artifact.manifest["history"]
        self.n_iter_ = artifact.manifest["chosen"]["epochs"]

    def _common(self) -> dict[str, Any]:
        """Seed and cores of a training: an integer `random_state` is the seed itself; cores as scikit-learn counts."""
        state, jobs = check_random_state(self.random_state), 1 if self.n_jobs is None else self.n_jobs
        require_integers(type(self).__name__, n_jobs=jobs)
        drawn = not isinstance(self.random_state, Integral)
        seed = int(state.randint(2**31 - 1) if drawn else self.random_state)
        return {"seed": seed, "threads": int(jobs) if jobs > 0 else max((os.cpu_count() or 1) + 1 + int(jobs), 1)}

    def _integers(self, *names: str) -> dict[str, Any]:
        """The parameters `names` as Python's integers; None stays None."""
        given = {name: getattr(self, name) for name in names}
        require_integers(type(self).__name__, **{name: value for name, value in given.items() if value is not None})
        return {name: None if value is None else int(value) for name, value in given.items()}

    def _run(self, X: Any) -> Record:
        """What the deployed integers do with samples of any form that `fit` takes."""
        from sim.backends.protocol import get_backend

        check_is_fitted(self)
        images = self.range_.to_images(self._samples(X, reset=False))
        with get_backend("events").open(self.spec_, threads=self._common()["threads"]) as session:
            return session.run(self.spec_.encoder.encode(images))


def training_set(images: Float32, labels: npt.ArrayLike) -> Dataset:
    """Images in [0, 1] with labels from 0 as a data set without test images."""
    labels = np.asarray(labels, dtype=np.int32)
    return Dataset("arrays", images, labels, images[:0], labels[:0])
