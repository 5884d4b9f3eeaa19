"""Raw images and labels as networks take them: what was learned of the training part, recorded, and applied again.

A `Preparation` is all that happened to a source: where its channels were, what became 0..1, what its classes are
called, how its test part was drawn. It is learned once, stands in the manifest of the run, and prepares every later
image in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import numpy as np

from neuro.base.arrays import AnyArray, Array, Images, Int64
from neuro.base.errors import UserError
from neuro.base.schema import Positive, Share, parsed
from neuro.data.channels import FIRST, LAST, channels_last, fitted
from neuro.data.features import FeatureRange
from neuro.data.labels import NUMBERED, Classes
from neuro.data.rescaling import Rescaling, as_they_are, numbers

TEST_SHARE = 0.2
DRAW = 0xD161  # of the test part


class RescalingForm(TypedDict):
    """A rescaling in a manifest; numbers where all features are alike."""

    rule: str
    low: float | list[float]
    high: float | list[float]
    image_shape: list[Positive]


class PreparationForm(TypedDict, total=False):
    """A preparation in a manifest."""

    rescaling: RescalingForm
    channels: Literal["first", "last"]
    classes: list[str | int]
    binary: bool
    test_share: Share
    kept: bool


@dataclass(frozen=True, eq=False)
class Preparation:
    """What is done to every image and label of a source.

    rescaling:  how values become pixels; None: they are.
    channels:   "first" or "last", where the source has them.
    classes:    their names, where they are not the numbers 0..n-1.
    binary:     whether whole numbers are the pixels 0 and 1 themselves, and no bytes.
    test_share: of every class, drawn by the seed of the run; 0 where the source has a test part.
    kept:       whether the images that lie in the folder of the run are prepared already.
    """

    rescaling: Rescaling | None = None
    channels: str = LAST
    classes: Classes = NUMBERED
    binary: bool = False
    test_share: float = 0.0
    kept: bool = False

    @property
    def is_identity(self) -> bool:
        """Whether nothing is done, so that manifests need not say it."""
        return not self.to_json()

    @property
    def by_feature(self) -> bool:
        """Whether images are tables of features, each rescaled from units of its own."""
        return self.rescaling is not None and self.rescaling.by_feature

    def images(
        self, images: Array, shape: tuple[int, ...] | None, where: str = "images", strict: bool = False
    ) -> tuple[Images, int]:
        """Pixels of images [n, ...] in the units and channel order of the source, and how many values were clipped.

        Args:   shape: of one image, as the network takes it; None: as the order of channels makes it; strict: whether
                images that are no pixels already are refused, where nothing is rescaled.
        Raises: UserError, naming `where`, if they are no images of this kind.
        """
        values = numbers(np.asarray(images), where)
        if shape is None:
            values = channels_last(values, self.channels)
        else:
            values = fitted(values, shape, self.channels)
        if self.rescaling is None:
            return as_they_are(values, where, strict, self.binary)
        scale = self.rescaling.range
        if values.shape[1:] != scale.image_shape:
            raise UserError(f"{where}: images of shape {values.shape[1:]}, needed {scale.image_shape}; reshape them")
        flat: AnyArray = values.reshape(len(values), -1)
        return scale.to_images(flat), scale.outside(flat)

    def to_json(self) -> dict[str, Any]:
        """Plain objects, for a manifest; {} if nothing is done."""
        fields: dict[str, Any] = {}
        if self.rescaling is not None:
            fields["rescaling"] = {"rule": self.rescaling.rule, **self.rescaling.range.to_json()}
        if self.channels == FIRST:
            fields["channels"] = FIRST
        if self.classes.names:
            fields["classes"] = list(self.classes.names)
        if self.binary:
            fields["binary"] = True
        if self.test_share:
            fields["test_share"] = self.test_share
        if fields and self.kept:
            fields["kept"] = True
        return fields

    @staticmethod
    def from_json(fields: Any) -> Preparation:
        """The preparation that `to_json` wrote. Raises: UserError if it is none."""
        form = parsed(fields, PreparationForm, "manifest: data.preparation", "train the run again")
        rescaling = form.get("rescaling")
        return Preparation(
            None if rescaling is None else Rescaling(FeatureRange.from_json(rescaling), rescaling["rule"]),
            form.get("channels", LAST), Classes(tuple(form.get("classes", ()))), form.get("binary", False),
            form.get("test_share", 0.0), form.get("kept", False),
        )  # fmt: skip


IDENTITY = Preparation()


def stratified_sample(labels: Array, share: float, generator: np.random.Generator) -> Int64:
    """Sorted indices of a random sample that holds `share` of the images of every class, at least one image."""
    chosen = []
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        chosen.append(members[: round(len(members) * share)])
    sample = np.sort(np.concatenate(chosen)).astype(np.int64)
    return sample if len(sample) else generator.integers(len(labels), size=1)


def drawn(labels: Array, seed: int, share: float = TEST_SHARE) -> tuple[Int64, Int64]:
    """Indices of the training and of the test part of data that have none: a share of every class, by the seed."""
    test = stratified_sample(labels, share, np.random.default_rng([seed, DRAW]))
    return np.setdiff1d(np.arange(len(labels)), test), test
