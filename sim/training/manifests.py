"""What a finished training of each kind leaves in its manifest, as `sim.evaluate.load_run` requires it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from neuro.base.metrics import Accuracy
from neuro.base.schema import Amount, Count, Filled, Share, require_form


class LearningRow(TypedDict):
    """An epoch of a classifier."""

    epoch: Count
    train_accuracy: Share
    val_accuracy: Share | None


class CoderRow(TypedDict):
    """An epoch of a sparse coder."""

    epoch: Count
    objective: float
    active: float


class Results(TypedDict):
    """What a classifier reached."""

    test: Accuracy
    spikes_per_inference: Amount
    images_per_s: Amount


class Timed(Results, total=False):
    """And what older ones lack."""

    val: Accuracy
    train_cpu_s: Amount


class Lasso(TypedDict):
    """How a coder compares with the LASSO solution."""

    n: Count
    gap: float
    support_overlap: float


class CoderResults(TypedDict):
    """What a sparse coder reached. lasso: None with a hard threshold."""

    lasso: Lasso | None
    readout_accuracy: Share
    n_readout: Count
    n_test: Count
    spikes_per_image: Amount
    active: Amount
    converged: Share
    images_per_s: Amount


class CoderChoices(TypedDict):
    """What was chosen for a sparse coder."""

    sparsity_threshold: Amount


class LavaReached(TypedDict):
    """What a training inside Lava reached."""

    val: Accuracy


class LavaResults(LavaReached, total=False):
    """And what differs from the chip's, which older ones lack."""

    val_before: Accuracy
    differences: dict[str, Count]
    n_compared: Count
    lava_s: Amount
    chip_s: Amount


class LavaChoices(TypedDict):
    """What was chosen for a training inside Lava."""

    images: Count


class Learned(TypedDict):
    """A classifier that learned in epochs."""

    results: Timed
    history: Filled[LearningRow]
    best_epoch: int


class Coded(TypedDict):
    """A sparse coder."""

    results: CoderResults
    chosen: CoderChoices
    history: Filled[CoderRow]


class LearnedInLava(TypedDict):
    """A classifier that learned inside Lava, without epochs."""

    results: LavaResults
    chosen: LavaChoices
    best_epoch: int


class BroughtResults(TypedDict):
    """What a classifier reaches that another tool trained."""

    test: Accuracy
    spikes_per_inference: Amount


class Brought(TypedDict):
    """A classifier that another tool trained."""

    results: BroughtResults
    best_epoch: int


FORMS: dict[str, type[Learned] | type[Coded] | type[LearnedInLava] | type[Brought]] = {
    "lca": Coded,
    "ep in lava": LearnedInLava,
    "imported": Brought,
}


def require_manifest(manifest: Mapping[str, Any], owner: str) -> None:
    """Raise UserError unless a manifest holds what a training of its kind leaves. owner: the file, for errors."""
    require_form(manifest, FORMS.get(str(manifest.get("kind")), Learned), owner, "train the run again")
