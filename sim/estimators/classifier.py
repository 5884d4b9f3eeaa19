"""Equilibrium propagation as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from neuro.base.arrays import AnyArray, Reals
from neuro.base.checks import require_integers
from neuro.base.errors import UserError
from neuro.base.metrics import nearest_distribution
from sim.estimators.base import SettlingEstimator, training_set

if TYPE_CHECKING:
    from sim.training.config import TrainConfig


class EPClassifier(ClassifierMixin, SettlingEstimator):
    """Classifier of spiking sigma-delta neurons that learn by equilibrium propagation: int8 weights, local rules.

    Parameters
    ----------
    hidden : tuple of int, default=(256,)
        Neurons of the hidden layers, from input to output.
    layers : str, default=""
        Hidden layers as text, convolutions among them ("conv:16x3,pool:2,dense:64"), in place of `hidden`.
    epochs : int, default=None
        Passes over the training set; None: 40 of fewer than 18,000 samples, 12 of more than 60,000.
    batch_size : int, default=1
        Samples that learn from the same weights.
    learning_rate, output_share : float, default=None
        Learning rate of the first hidden layer in units of 1 / E|x|^2, and that of later layers relative to it.
        None: the first guess of `sim.training.tune` for so many layers.
    tune : bool, default=False
        Whether short trainings on a validation split choose the rates that are None.
    rule : {"event", "end-point", "y3"}, default="event"
        Local rule of the synapses.
    shadow_bits, weight_bits : int, default=8
        Bits of the accumulator below a weight while it learns, 0..8; bits of a weight, 2..8.
    refit : bool, default=None
        Whether to train once more on all samples after a training with a tenth of them held out, which chooses the
        epoch; None: of fewer than 10,000 samples and one hidden layer.
    image_shape : tuple of int, default=None
        Shape of the image that the features of a sample are, for convolutions; None: that of X[0].
    scaling : {"feature", "global"}, default="feature"
        Range that is mapped onto [0, 1]: of every feature, or of all together (pixels). Later values are clipped.
    random_state : int, RandomState instance or None, default=None
        Decides weights, order, rounding. An integer is the seed of `settle train`.
    n_jobs : int, default=None
        Cores; None: one. Never changes a result.

    Attributes
    ----------
    classes_ : labels of shape (n_classes,).
    spec_ : the deployed network, a NetworkSpec.
    artifact_ : `spec_` with the manifest of how it came to be, for `neuro.artifact.run_folder.save_artifact`.
    history_ : one dict an epoch: training and validation accuracy, spikes, images per second.
    n_iter_ : epochs of a training.
    range_ : the range of the features and the shape of an image, as learned in `fit`.
    n_features_in_, feature_names_in_ : what the features are.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sim.estimators import EPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = EPClassifier(hidden=(16,), random_state=0).fit(X, y)
    >>> bool(classifier.score(X, y) > 0.9)
    True
    >>> classifier.spec_.weights_of(classifier.spec_.projection("input->hidden1")).dtype
    dtype('int8')

    """

    def __init__(
        self,
        hidden: int | Sequence[int] = (256,),
        *,
        layers: str = "",
        epochs: int | None = None,
        batch_size: int = 1,
        learning_rate: float | None = None,
        output_share: float | None = None,
        tune: bool = False,
        rule: str = "event",
        shadow_bits: int = 8,
        weight_bits: int = 8,
        refit: bool | None = None,
        image_shape: tuple[int, ...] | None = None,
        scaling: str = "feature",
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.hidden = hidden
        self.layers = layers
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.output_share = output_share
        self.tune = tune
        self.rule = rule
        self.shadow_bits = shadow_bits
        self.weight_bits = weight_bits
        self.refit = refit
        self.image_shape = image_shape
        self.scaling = scaling
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> EPClassifier:
        """Train on samples X of shape [n, d], or images [n, h, w(, c)], and labels y of shape [n].

        Raises: ValueError (UserError is one) if samples, labels or parameters cannot be used.
        """
        from sim.training.equilibrium import train_ep

        samples, y = self._samples(X, y=y)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise UserError("EPClassifier: y holds one class only; a classifier needs samples of at least two")
        dataset = training_set(self._learn_range(X, samples), labels)
        self._deploy(train_ep(dataset, self._config(), None).artifact, classes=[str(c) for c in self.classes_])
        return self

    def _config(self) -> TrainConfig:
        from sim.training.config import FEATURE_BITS, TrainConfig
        from sim.training.tune import untuned

        sizes = [self.hidden] if isinstance(self.hidden, (int, np.integer)) else list(self.hidden)
        require_integers("EPClassifier: hidden", **{f"layer {index}": size for index, size in enumerate(sizes, 1)})
        config = TrainConfig(
            hidden=() if self.layers else tuple(int(size) for size in sizes),
            layers=self.layers,
            rule=self.rule,
            learning_rate=self.learning_rate,
            output_share=self.output_share,
            refit=self.refit,
            code_bits=FEATURE_BITS,
            **self._integers("epochs", "batch_size", "shadow_bits", "weight_bits"),
            **self._common(),
        )
        return config if self.tune else untuned(config)

    def predict(self, X: npt.ArrayLike) -> AnyArray:
        """Classes of samples, of shape [n]: those of the largest output state, lowest index on a tie."""
        record = self._run(X)
        return np.asarray(self.classes_[record.predictions])

    def predict_proba(self, X: npt.ArrayLike) -> Reals:
        """Probabilities of classes, of shape [n, K]: the distribution nearest to the output states.

        Outputs are trained by squared error towards 1 for the label and 0 elsewhere, so that they estimate the
        probabilities themselves; there is no softmax. A sure network gives exact 0 and 1.
        """
        states = self._run(X).output_states
        return nearest_distribution(states / self.spec_.unit(self.spec_.output).one)
