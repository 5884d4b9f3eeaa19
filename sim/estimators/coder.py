"""Sparse coding by LCA as a scikit-learn transformer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from neuro.base.arrays import Reals
from neuro.base.errors import UserError
from sim.estimators.base import SettlingEstimator, training_set

if TYPE_CHECKING:
    from sim.coding.config import LcaConfig


class SparseCoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, SettlingEstimator):
    """Sparse codes of a dictionary that is learned by local rules, both in spiking neurons: LCA with int8 weights.

    Codes a of a sample x (in [0, 1], less the mean sample) minimise |x - D a|^2 / 2 + threshold |a|_1.

    Parameters
    ----------
    n_components : int, default=64
        Atoms of the dictionary; with `patch`, of every place.
    sparsity_threshold : float, default=None
        Real threshold of the codes, in units of scaled features; None: 0.07 of the median length of a sample.
    signed : bool, default=True
        Whether codes may be negative.
    threshold_kind : {"soft", "hard"}, default="soft"
        "soft" solves the LASSO, "hard" penalises the number of active codes.
    patch, stride : int, default=None
        Side of square kernels and their distance (None: half of the side), for images; None: whole samples.
    epochs : int, default=None
        Passes over the training set; None: enough for 120,000 samples, 2..40.
    shadow_bits : int, default=8
        Bits of the accumulator below a weight while it learns, 0..8.
    solver : {"lca", "fista"}, default="lca"
        Whose codes teach the dictionary: those of the spiking coder, or exact solutions in floats. It codes as LCA.
    image_shape, scaling, random_state, n_jobs :
        As of :class:`EPClassifier`.

    Attributes
    ----------
    components_ : atoms of shape (n_codes, n_features_in_), in units of the features.
    mean_ : what a sample without any active code is taken to be, of shape (n_features_in_,).
    sparsity_threshold_ : the threshold in use.
    spec_ : the deployed network, a NetworkSpec.
    artifact_ : `spec_` with the manifest of how it came to be, for `neuro.artifact.run_folder.save_artifact`.
    history_ : one dict an epoch: objective, active codes, spikes.
    n_iter_ : epochs of the training.
    range_ : the range of the features, as learned in `fit`.
    n_features_in_, feature_names_in_ : what the features are.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sim.estimators import SparseCoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> coder = SparseCoder(n_components=32, epochs=2, scaling="global", random_state=0).fit(X[:500])
    >>> codes = coder.transform(X[500:600])
    >>> codes.shape
    (100, 32)
    >>> bool(((coder.inverse_transform(codes) - X[500:600]) ** 2).mean() < 0.5 * X[500:600].var(axis=0).mean())
    True

    """

    def __init__(
        self,
        n_components: int = 64,
        *,
        sparsity_threshold: float | None = None,
        signed: bool = True,
        threshold_kind: str = "soft",
        patch: int | None = None,
        stride: int | None = None,
        epochs: int | None = None,
        shadow_bits: int = 8,
        solver: str = "lca",
        image_shape: tuple[int, ...] | None = None,
        scaling: str = "feature",
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.sparsity_threshold = sparsity_threshold
        self.signed = signed
        self.threshold_kind = threshold_kind
        self.patch = patch
        self.stride = stride
        self.epochs = epochs
        self.shadow_bits = shadow_bits
        self.solver = solver
        self.image_shape = image_shape
        self.scaling = scaling
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: npt.ArrayLike, y: object = None) -> SparseCoder:
        """Learn a dictionary of samples X of shape [n, d], or images [n, h, w(, c)]; y is ignored.

        Raises: ValueError (UserError is one) if samples or parameters cannot be used.
        """
        from sim.coding.unlabelled import UnlabelledLearner
        from sim.training.loop import run_learner
        from sim.training.watcher import NOBODY

        samples = self._samples(X, ensure_min_samples=2)
        dataset = training_set(self._learn_range(X, samples), np.zeros(len(samples)))
        self._deploy(run_learner(UnlabelledLearner(dataset, self._config()), None, NOBODY))
        self.sparsity_threshold_ = self.artifact_.manifest["chosen"]["sparsity_threshold"]
        self._n_features_out = self.spec_.population(self.spec_.output).size
        return self

    def _config(self) -> LcaConfig:
        from sim.coding.config import LcaConfig

        counts = self._integers("n_components", "patch", "stride", "epochs", "shadow_bits")
        return LcaConfig(
            atoms=counts.pop("n_components"),
            sparsity_threshold=self.sparsity_threshold,
            signed=bool(self.signed),
            threshold_kind=self.threshold_kind,
            solver=self.solver,
            **counts,
            **self._common(),
        )

    def transform(self, X: npt.ArrayLike) -> Reals:
        """Codes of samples, of shape [n, n_codes]."""
        from neuro.coding.sigma_delta import codes_of

        record = self._run(X)
        return codes_of(self.spec_, record.output_states)

    def inverse_transform(self, X: npt.ArrayLike) -> Reals:
        """Samples of shape [n, d] that codes X of shape [n, n_codes] stand for: X @ components_ + mean_."""
        check_is_fitted(self)
        codes = check_array(X, dtype=np.float64)
        if codes.shape[1] != self._n_features_out:
            raise UserError(f"SparseCoder: codes have {codes.shape[1]} values, the coder has {self._n_features_out}")
        return np.asarray(codes @ self.components_ + self.mean_)

    @property
    def components_(self) -> Reals:
        """Atoms of shape [n_codes, d], in units of the features."""
        from sim.coding.measure import integer_dictionary

        check_is_fitted(self)
        return np.asarray(integer_dictionary(self.spec_).T * self._unit)

    @property
    def mean_(self) -> Reals:
        """What a sample without any active code is taken to be, of shape [d]."""
        check_is_fitted(self)
        encoder = self.spec_.encoder
        offset = 0 if encoder.offset is None else encoder.offset
        return np.asarray(offset * 2.0**-encoder.activation_bits * self._unit + self.range_.low)

    @property
    def _unit(self) -> Reals:
        """The signal 1 of the coder in units of the features, of shape [d]."""
        return self.range_.width * 2.0**-self.spec_.encoder.gain_bits
