"""A finished run in the hand: what it reached, and what one does with it. Light to import: every call imports late."""

from __future__ import annotations

import shutil
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from neuro.base.errors import UserError
from neuro.base.shown import Lines
from sim.face.measures import Measures

if TYPE_CHECKING:
    from neuro.artifact.run_folder import Artifact
    from neuro.base.arrays import AnyArray
    from neuro.base.metrics import Accuracy
    from neuro.data.preparation import Preparation
    from neuro.data.sets import Dataset
    from neuro.spec.network import Network
    from sim.coding.training import CoderResult
    from sim.evaluate import Evaluation
    from sim.face.data import Data
    from sim.training.results import TrainResult

AnyRun = TypeVar("AnyRun", bound="Run")
SLOW_BACKENDS = {"lava": 100, "reference": 1000, "loihi2": 100}  # images they evaluate by default


class Run(Measures):
    """A finished training: a network of integers and the manifest of how it came to be.

    artifact: both.  folder: where it lies, None for a run in memory (`save` writes it).  dataset: what it was trained
    on, found again by the manifest if None.
    """

    def __init__(self, artifact: Artifact, folder: Path | None = None, dataset: Dataset | None = None) -> None:
        self.artifact, self.folder = artifact, folder
        self._dataset = dataset
        self._temporary: Path | None = None

    @classmethod
    def load(cls: type[AnyRun], folder: str | Path) -> AnyRun:
        """The finished run in `folder`. Raises: UserError if there is none, or it is damaged."""
        from sim.evaluate import load_run

        return cls(load_run(Path(folder)), Path(folder))

    @property
    def spec(self) -> Network:
        """The network: frozen, integers."""
        return self.artifact.spec

    @property
    def manifest(self) -> dict[str, Any]:
        """Seed, configuration, choices, data hash, versions, results: what replays the run."""
        return self.artifact.manifest

    @property
    def history(self) -> list[dict[str, Any]]:
        """One entry an epoch: accuracies or objective, images a second."""
        return list(self.manifest["history"])

    @property
    def is_coder(self) -> bool:
        """Whether it is a sparse coder: it has codes, and no classes."""
        from sim.evaluate import is_coder

        return is_coder(self.artifact)

    @property
    def results(self) -> TrainResult | CoderResult:
        """What the training reached, as measured once at its end."""
        from sim.coding.training import coder_result
        from sim.training.results import result_of

        return (coder_result if self.is_coder else result_of)(self.folder, self.artifact)

    @property
    def accuracy(self) -> Accuracy:
        """Accuracy on the test set, with its interval, measured at the end of the training.

        Raises: UserError for a sparse coder, which has no classes.
        """
        from sim.training.results import result_of

        if self.is_coder:
            raise UserError(f"run {self.name}: a sparse coder has no classes; see .results.readout_accuracy")
        return result_of(self.folder, self.artifact).test_accuracy

    @property
    def dataset(self) -> Dataset:
        """The data set it was trained on. Raises: UserError if it cannot be found or is no longer the same."""
        from sim.evaluate import data_of

        if self._dataset is None:
            self._dataset = data_of(self.artifact)
        return self._dataset

    @property
    def preparation(self) -> Preparation:
        """What was done to its data before the network saw them, and is done to every later image."""
        from sim.training.results import preparation_of

        return preparation_of(self.manifest["data"])

    @property
    def name(self) -> str:
        """Its folder, in words if it has none."""
        return "in memory" if self.folder is None else str(self.folder)

    def lines(self) -> Lines:
        """See `Shown`."""
        return self.results.lines()

    def save(self, folder: str | Path) -> Path:
        """Write the run, and the images if they came as arrays, into `folder`; it has a folder from then on.

        Raises: UserError if the folder holds a run already, or cannot be written.
        """
        self.folder = self._write(Path(folder))
        return self.folder

    def evaluate(
        self,
        backend: str | None = None,
        *,
        images: int | None = None,
        check: str | None = None,
        data: Data | None = None,
        device: str = "cpu",
        threads: int | None = None,
        stall_s: float = 120.0,
        progress: bool = True,
    ) -> Evaluation:
        """Accuracy and spikes on a backend, measured; with `check`, how many spikes, states and predictions differ.

        Args:   backend: events, torch, reference, snntorch, lava, loihi2, or chip; None for that of the family; images:
                test images, from the first, None for all (100 where one takes seconds); check: a backend to compare
                with; data: other data than it was trained on; device: of backend torch; stall_s: seconds after which
                Lava is given up.
        Raises: UserError if a backend or data is unknown or cannot take this network.
        """
        from sim.backends.protocol import get_backend
        from sim.evaluate import add_result, evaluate
        from sim.screens.training import ImageProgress, say, shown

        backend = backend or self.spec.native_backend
        if device != "cpu" and backend != "torch":
            raise UserError(f"--device {device}: only backend torch computes there; give --backend torch too")
        chosen, other = get_backend(backend), get_backend(check) if check else None
        dataset = self.dataset if data is None else self._like_mine(data)
        if images is None and backend in SLOW_BACKENDS:
            images = min(SLOW_BACKENDS[backend], len(dataset.y_test))
        options: dict[str, Any] = {"threads": threads}
        with shown(progress), ImageProgress(backend, images or len(dataset.y_test)) as bar:
            say(dataset.notes if data is not None else ())
            if backend in ("lava", "loihi2"):
                options.update(stall_s=stall_s, on_image=bar.on_image)
            if backend == "torch":
                options.update(device=device)
            evaluation = evaluate(self.artifact, self.name, dataset, chosen, images, other, **options)
        if data is None and self.folder is not None:
            add_result(self.folder, self.artifact, evaluation)
        return evaluation

    def predict(self, images: Any, backend: str | None = None, *, threads: int | None = None) -> AnyArray:
        """The class of every image, of shape [n]: its name, where the labels of the training had names.

        Args:   images: of shape [n, ...], in the units, and in either order of channels, of the data it was trained on.
        Raises: UserError if it is a sparse coder, or these are no images for it.
        """
        from neuro.data.readers.arrays import as_array
        from sim.backends.protocol import get_backend

        if self.is_coder:
            raise UserError(f"run {self.name}: a sparse coder has no classes; train a classifier behind it")
        preparation = self.preparation
        pixels, _ = preparation.images(as_array(images, "images"), self.spec.image_shape)
        if pixels.shape[1:] != self.spec.image_shape:
            raise UserError(
                f"images of shape {pixels.shape[1:]}: the network takes {self.spec.image_shape}; reshape them"
            )
        with get_backend(backend or self.spec.native_backend).open(self.spec, threads=threads) as session:
            record = session.run(self.spec.encoder.encode(pixels), seed=self.manifest["seed"])
        return preparation.classes.named(record.predictions)

    def _like_mine(self, data: Data) -> Dataset:
        """Other data, prepared as its own were."""
        from sim.face.data import dataset_of

        return dataset_of(data, self.manifest["seed"], like=self.preparation, shape=self.spec.image_shape)

    def report(self, out: str | Path | None = None, *others: Run) -> Path:
        """Write one self-contained HTML page about this run and `others`; default report.html in its folder.

        Raises: UserError if it is in memory and `out` is not given.
        """
        from sim.reports.page import write_report

        path = self.file("report.html", out)
        return write_report([run.on_disk() for run in (self, *others)], path)

    @classmethod
    def of(cls: type[AnyRun], run: str | Path | Run) -> AnyRun | Run:
        """A run, given it or its folder."""
        return run if isinstance(run, Run) else cls.load(run)

    def file(self, name: str, out: str | Path | None) -> Path:
        """Where a result is written: `out`, by default `name` in the folder. Raises: UserError without either."""
        if out is None and self.folder is None:
            raise UserError(f"run in memory: nowhere to write {name}; give a file, or save(folder) the run first")
        return Path(out) if out is not None else Path(self.name) / name

    def on_disk(self) -> Path:
        """The folder of the run; one in memory is written to a temporary folder, which goes with it."""
        if self.folder is not None:
            return self.folder
        if self._temporary is None:
            from neuro.base.scratch import scratch_folder

            self._temporary = scratch_folder("run")
            weakref.finalize(self, shutil.rmtree, self._temporary, ignore_errors=True)
            self._write(self._temporary)
        return self._temporary

    def _write(self, folder: Path) -> Path:
        from neuro.artifact.run_folder import MANIFEST, Artifact, load_artifact, save_artifact
        from neuro.base.files import is_file
        from sim.face.data import keep_arrays
        from sim.training.results import stated

        if is_file(folder / MANIFEST):
            raise UserError(f"run {folder}: already finished; give another folder")
        kept = keep_arrays(self.dataset, folder)
        data = {**self.manifest["data"], "source": kept.source, **stated(kept.preparation)}
        manifest = {**self.manifest, "data": data}
        save_artifact(folder, Artifact(self.spec, manifest))
        self.artifact = load_artifact(folder)
        return folder
