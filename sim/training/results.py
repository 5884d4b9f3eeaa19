"""What a finished training reached, and how its manifest keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuro.artifact.run_folder import Artifact
from neuro.base.errors import UserError
from neuro.base.metrics import Accuracy
from neuro.base.schema import parsed
from neuro.base.shown import Lines, Shown
from neuro.data.preparation import Preparation
from neuro.data.sets import Dataset
from neuro.spec.schedule import EVEN_ODD
from sim.training.settling import Settled

PREPARATION = "preparation"  # in the "data" of a manifest


@dataclass(frozen=True, repr=False)
class TrainResult(Shown):
    """What a finished training reached. Accuracies are measured by the `events` backend on the deployed integers.

    artifact: the network and its manifest.  folder: where it lies; None: in memory only.
    """

    folder: Path | None
    val_accuracy: Accuracy
    test_accuracy: Accuracy
    train_cpu_s: float
    images_per_s: float
    spikes_per_inference: float
    artifact: Artifact = field(compare=False, repr=False)

    def lines(self) -> Lines:
        """See `Shown`."""
        return [
            ("run", "in memory" if self.folder is None else str(self.folder)),
            ("test accuracy", self.test_accuracy.describe()),
            ("best validated epoch", self.val_accuracy.describe()),
            ("spikes per inference", f"{self.spikes_per_inference:.1f}"),
            ("training speed", f"{self.images_per_s:,.0f} images/s"),
            ("CPU time", f"{self.train_cpu_s:.1f} s, choosing rates included"),
            *self._settled(),
        ]

    def _settled(self) -> Lines:
        """How the images of the best epoch settled, and what to do about it; nothing of runs that do not tell."""
        manifest = self.artifact.manifest
        try:
            row = manifest["history"][manifest["best_epoch"] - 1]["settling"]
            in_turn = manifest["config"].get("schedule") == EVEN_ODD
        except (LookupError, TypeError, AttributeError):  # another version, or edited
            return []
        if row is None:
            return []
        found = parsed(row, Settled, "manifest", "it is of another version")
        return [("settling", found.describe()), *(("warning", text) for text in found.warnings(in_turn))]

    def to_json(self) -> dict[str, Any]:
        """The object that `settle train --json` prints."""
        return {
            "run": self.folder and str(self.folder),
            "val_accuracy": self.val_accuracy.value,
            "test_accuracy": self.test_accuracy.value,
            "n_test": self.test_accuracy.n,
            "train_cpu_s": self.train_cpu_s,
            "images_per_s": self.images_per_s,
            "spikes_per_inference": self.spikes_per_inference,
        }


def describe_data(dataset: Dataset, n_validation: int) -> dict[str, Any]:
    """The data as a manifest describes it."""
    return {
        "name": dataset.name,
        "source": dataset.source,
        "sha256": dataset.sha256(),
        "n_train": len(dataset.y_train),
        "n_validation": n_validation,
        "n_test": len(dataset.y_test),
        "image_shape": list(dataset.image_shape),
        "n_classes": dataset.n_classes,
        **stated(dataset.preparation),
    }


def stated(preparation: Preparation) -> dict[str, Any]:
    """How the data were prepared, as a manifest states it: not at all where nothing was done."""
    return {} if preparation.is_identity else {PREPARATION: preparation.to_json()}


def preparation_of(data: Mapping[str, Any]) -> Preparation:
    """The preparation that a manifest states of its data."""
    return Preparation.from_json(data.get(PREPARATION, {}))


def result_of(folder: Path | None, artifact: Artifact) -> TrainResult:
    """The result that the manifest of a finished run holds."""
    try:
        results = artifact.manifest["results"]
        return TrainResult(
            folder=folder,
            val_accuracy=Accuracy(**results["val"]),
            test_accuracy=Accuracy(**results["test"]),
            train_cpu_s=results["train_cpu_s"],
            images_per_s=results["images_per_s"],
            spikes_per_inference=results["spikes_per_inference"],
            artifact=artifact,
        )
    except (KeyError, TypeError) as error:
        raise UserError(f"run {folder}: its manifest holds no training results") from error
