"""Data sets: images and labels that are split, checked, and ready to learn from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from neuro.base.arrays import Array, Images, Int64, Labels, Reals
from neuro.base.checks import Range
from neuro.data.options import DEFAULTS, DataOptions
from neuro.data.preparation import IDENTITY, Preparation, stratified_sample
from neuro.data.preparing import prepared
from neuro.data.raw import RawData
from neuro.data.sources import read_raw

KEYS = ("x_train", "y_train", "x_test", "y_test")
OWN_DATA = "data.npz"  # as a source: this file in the folder of the run, written where images came as arrays


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images in [0, 1] (uint8 0..255 or float32) and labels 0..n_classes-1, split into training and test.

    x_train, x_test of shape [n, ...]; y_train, y_test of shape [n].

    source:      what `load_dataset` finds it by again.
    preparation: what was done to the source, and is done to every later image.
    notes:       what a user should know of that, one line each.
    recordings:  what neurons answered to the training images, of shape [n, units], NaN where missing; None: not known.
    """

    name: str
    x_train: Images
    y_train: Labels
    x_test: Images
    y_test: Labels
    source: str = ""
    preparation: Preparation = IDENTITY
    notes: tuple[str, ...] = ()
    recordings: Reals | None = None

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of one image, e.g. (28, 28)."""
        return tuple(self.x_train.shape[1:])

    @property
    def n_classes(self) -> int:
        """Number of classes: the largest training label plus one."""
        return int(self.y_train.max()) + 1

    def sha256(self) -> str:
        """A hash of the content: names the data in manifests, independent of the file it came from."""
        digest = hashlib.sha256()
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Split:
    """Training images divided into a part to learn from and a part to choose hyper-parameters on (validation)."""

    train: Int64
    validation: Int64


def load_dataset(name: str, seed: int = 0, options: DataOptions = DEFAULTS, like: Preparation | None = None) -> Dataset:
    """The data set in whatever `name` is (see `neuro.data.sources`), prepared as `options` say.

    like: the preparation of a run, which is applied as it is; see `prepare`.

    `seed` draws the test split (20 %) of digits and of all that has no split of its own; it changes nothing else.
    Raises: UserError if the name is unknown, the file unusable, or a download impossible.
    """
    return prepare(read_raw(name), options, seed, like)


def prepare(
    raw: RawData, options: DataOptions = DEFAULTS, seed: int = 0, like: Preparation | None = None,
    shape: tuple[int, ...] | None = None,
) -> Dataset:  # fmt: skip
    """The data set that raw images and labels make.

    Args:   seed: draws the test part, a fifth of every class, of a source that has none; like: the preparation of a
            run, which is applied as it is; None: it is learned of the training part; shape: of one image of that run.
    Raises: UserError naming the array, the limit and the remedy.
    """
    parts = prepared(raw, options, seed, like, shape)
    return Dataset(
        raw.name, parts.x_train, parts.y_train, parts.x_test, parts.y_test, raw.source, parts.preparation, parts.notes
    )


def require_test_images(dataset: Dataset, n_images: int | None) -> None:
    """Raise UserError unless the test set has as many images; None stands for all."""
    available = len(dataset.y_test)
    Range(1, available).require(remedy=f"the test set of {dataset.name} has {available}", images=n_images)


def split_validation(labels: Labels, seed: int, share: float = 0.1, limit: int = 10_000) -> Split:
    """A random split of the training set: `share` of every class, about `limit` at most, to validate on."""
    share = min(share, limit / len(labels))
    validation = stratified_sample(labels, share, np.random.default_rng([seed, 0x5E77]))
    return Split(np.setdiff1d(np.arange(len(labels)), validation), validation)


def checked_dataset(name: str, x_train: Images, y_train: Array, x_test: Images, y_test: Array) -> Dataset:
    """A Dataset of arrays, tensors or lists, prepared as by default. Raises: UserError as `prepare` does."""
    raw = RawData(name, np.asarray(x_train), np.asarray(y_train), np.asarray(x_test), np.asarray(y_test))
    return prepare(raw)
