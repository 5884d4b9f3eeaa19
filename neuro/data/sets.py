"""Data sets: images and labels that are split, checked, and ready to learn from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from neuro.base.arrays import Array, Images, Int64, Labels
from neuro.base.checks import Range
from neuro.base.errors import UserError
from neuro.data.options import DEFAULTS, DataOptions
from neuro.data.raw import RawData
from neuro.data.sources import read_raw

KEYS = ("x_train", "y_train", "x_test", "y_test")
OWN_DATA = "data.npz"  # as a source: this file in the folder of the run, written where images came as arrays
MAX_CLASSES = 4096
MIN_TRAINING_IMAGES = 10
TEST_SHARE = 0.2


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images in [0, 1] (uint8 0..255 or float32) and labels 0..n_classes-1, split into training and test.

    x_train, x_test of shape [n, ...]; y_train, y_test of shape [n]. source: what `load_dataset` finds it by again.
    """

    name: str
    x_train: Images
    y_train: Labels
    x_test: Images
    y_test: Labels
    source: str = ""

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


def load_dataset(name: str, seed: int = 0, options: DataOptions = DEFAULTS) -> Dataset:
    """The data set in whatever `name` is (see `neuro.data.sources`), prepared as `options` say.

    `seed` draws the test split (20 %) of digits and of all that has no split of its own; it changes nothing else.
    Raises: UserError if the name is unknown, the file unusable, or a download impossible.
    """
    return prepare(read_raw(name), options, seed)


def prepare(raw: RawData, options: DataOptions = DEFAULTS, seed: int = 0) -> Dataset:
    """The data set that raw images and labels make.

    Args:   seed: draws the test part, a fifth of every class, of a source that has none.
    Raises: UserError naming the array, the limit and the remedy.
    """
    if raw.x_test is None or raw.y_test is None:
        parts = _divided(raw, seed)
    else:
        parts = (raw.x_train, raw.y_train, raw.x_test, raw.y_test)
    return replace(checked_dataset(raw.name, *parts), source=raw.source)


def _divided(raw: RawData, seed: int) -> tuple[Array, Array, Array, Array]:
    """x_train, y_train, x_test, y_test of data without a test part, drawn by the seed."""
    images, labels = raw.x_train, raw.y_train
    if labels.ndim != 1 or len(images) != len(labels):
        raise UserError(
            f"data {raw.name}: {len(images)} images, labels of shape {labels.shape}; give one label an image"
        )
    test = stratified_sample(labels, TEST_SHARE, np.random.default_rng([seed, 0xD161]))
    train = np.setdiff1d(np.arange(len(labels)), test)
    return images[train], labels[train], images[test], labels[test]


def require_test_images(dataset: Dataset, n_images: int | None) -> None:
    """Raise UserError unless the test set has as many images; None stands for all."""
    available = len(dataset.y_test)
    Range(1, available).require(remedy=f"the test set of {dataset.name} has {available}", images=n_images)


def split_validation(labels: Labels, seed: int, share: float = 0.1, limit: int = 10_000) -> Split:
    """A random split of the training set: `share` of every class, about `limit` at most, to validate on."""
    share = min(share, limit / len(labels))
    validation = stratified_sample(labels, share, np.random.default_rng([seed, 0x5E77]))
    return Split(np.setdiff1d(np.arange(len(labels)), validation), validation)


def stratified_sample(labels: Array, share: float, generator: np.random.Generator) -> Int64:
    """Sorted indices of a random sample that holds `share` of the images of every class, at least one image."""
    chosen = []
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        chosen.append(members[: round(len(members) * share)])
    sample = np.sort(np.concatenate(chosen)).astype(np.int64)
    return sample if len(sample) else generator.integers(len(labels), size=1)


def checked_dataset(name: str, x_train: Images, y_train: Images, x_test: Images, y_test: Images) -> Dataset:
    """A Dataset from raw arrays after checking shapes, ranges and labels.

    Raises: UserError naming the array, the limit and the remedy.
    """
    images = {"x_train": _checked_images(name, "x_train", x_train), "x_test": _checked_images(name, "x_test", x_test)}
    if images["x_train"].shape[1:] != images["x_test"].shape[1:]:
        raise UserError(
            f"data {name}: x_train images have shape {images['x_train'].shape[1:]}, x_test images "
            f"{images['x_test'].shape[1:]}; make them equal"
        )
    if len(images["x_train"]) < MIN_TRAINING_IMAGES:
        raise UserError(f"data {name}: {len(images['x_train'])} training images; at least {MIN_TRAINING_IMAGES} needed")
    labels = {
        "y_train": _checked_labels(name, "y_train", y_train, len(images["x_train"])),
        "y_test": _checked_labels(name, "y_test", y_test, len(images["x_test"])),
    }
    n_classes = int(labels["y_train"].max()) + 1
    if n_classes < 2:
        raise UserError(f"data {name}: y_train holds one class only; a classifier needs at least two")
    if int(labels["y_test"].max()) >= n_classes:
        raise UserError(
            f"data {name}: y_test holds label {int(labels['y_test'].max())}, y_train only 0..{n_classes - 1}; "
            "use the same classes in both"
        )
    return Dataset(name, images["x_train"], labels["y_train"], images["x_test"], labels["y_test"])


def _checked_images(name: str, key: str, images: Images) -> Images:
    if not 2 <= images.ndim <= 4 or 0 in images.shape:
        raise UserError(f"data {name}: {key} has shape {images.shape}; needs [n, d] or [n, h, w(, c)] with n >= 1")
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images)
    if not np.issubdtype(images.dtype, np.floating):
        raise UserError(f"data {name}: {key} is {images.dtype}; use uint8 (0..255) or float in [0, 1]")
    if not np.all(np.isfinite(images)):
        raise UserError(f"data {name}: {key} holds NaN or infinity; remove or replace those values")
    low, high = float(images.min()), float(images.max())
    if low < 0.0 or high > 1.0:
        raise UserError(f"data {name}: {key} spans [{low:g}, {high:g}], outside [0, 1]; rescale it")
    return np.ascontiguousarray(images, dtype=np.float32)


def _checked_labels(name: str, key: str, labels: Images, count: int) -> Labels:
    if labels.shape != (count,):
        raise UserError(f"data {name}: {key} has shape {labels.shape}, its images need ({count},)")
    if not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"data {name}: {key} is {labels.dtype}; labels must be integers from 0")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= MAX_CLASSES:
        raise UserError(f"data {name}: {key} spans {low}..{high}, outside 0..{MAX_CLASSES - 1}; renumber the classes")
    return np.ascontiguousarray(labels, dtype=np.int32)
