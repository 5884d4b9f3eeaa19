"""Learn a sparse coder into a run folder: resumable, replayable, interruptible, as `sim.training.equilibrium` does
networks.

While training the folder holds checkpoint.npz and log.jsonl; once finished, the artifact of the coder, or, behind a
front end, of the whole stack.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from neuro.artifact.run_folder import MANIFEST, Artifact, installed_versions, load_artifact, save_artifact
from neuro.base.arrays import Int16
from neuro.base.errors import UserError
from neuro.base.files import array_bytes, parse_arrays, parse_json, read_bytes, sha256, write_atomically
from neuro.base.shown import Lines, Shown
from neuro.coding.sigma_delta import codes_of
from neuro.data.sets import Dataset, split_validation
from neuro.spec.sigma_delta import NetworkSpec
from neuro.spec.stack import stack
from sim.backends.protocol import get_backend
from sim.coding.learner import deployed_design
from sim.coding.measure import codes, converged_share, measure_quality, readout_accuracy
from sim.coding.recipe import LcaConfig, coder_epochs, design_coder, make_learner
from sim.coding.trainer import LcaProgress, LcaTrainer
from sim.training.checkpoint import CHECKPOINT, STATE, remove_checkpoint
from sim.training.equilibrium import CHECKPOINT_EVERY_S, LOG
from sim.training.front_end import FrontEnd
from sim.training.identity import check_identity, identity_of
from sim.training.results import describe_data

LASSO_SIGNALS, CONVERGED_SIGNALS, READOUT_IMAGES = 40, 200, 20_000
ATOMS = "atoms"
BEFORE = {"whiten": False, "normalise_contrast": False}  # what runs were before they stated it


@dataclass(frozen=True, repr=False)
class CoderResult(Shown):
    """What a finished coder reached, measured on `events`. objective_gap: None with a hard threshold (no LASSO)."""

    folder: Path
    objective_gap: float | None
    readout_accuracy: float
    spikes_per_image: float
    active: float
    converged: float
    images_per_s: float
    sparsity_threshold: float

    def lines(self) -> Lines:
        """See `Shown`."""
        gap = "not defined for a hard threshold"
        if self.objective_gap is not None:
            gap = f"{100 * self.objective_gap:.2f} % above the LASSO solution, median"
        return [
            ("run", str(self.folder)),
            ("objective", gap),
            ("linear readout, test", f"{self.readout_accuracy:.4f}"),
            ("spikes per image", f"{self.spikes_per_image:.1f}, of {self.active:.1f} active units"),
            ("converged", f"{100 * self.converged:.1f} % of images, within 1 % of the objective at twice the steps"),
            ("sparsity threshold", f"{self.sparsity_threshold:g}"),
            ("training speed", f"{self.images_per_s:,.0f} images/s"),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the object that `settle train lca --json` prints."""
        return {"run": str(self.folder), **{k: v for k, v in asdict(self).items() if k != "folder"}}


class LcaWatcher(Protocol):
    """Who shows a training to people."""

    def on_start(self, trainer: LcaTrainer) -> None:
        """It starts or goes on."""
        ...

    def on_batch(self, trainer: LcaTrainer) -> None:
        """A batch has been learned."""
        ...

    def on_epoch(self, trainer: LcaTrainer) -> None:
        """An epoch is over."""
        ...

    def on_measure(self) -> None:
        """The coder is being measured against the LASSO solution and by a linear readout."""
        ...


def train_lca(
    dataset: Dataset,
    config: LcaConfig,
    folder: Path,
    watcher: LcaWatcher,
    front: FrontEnd | None = None,
    *,
    resume: bool = False,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
) -> CoderResult:
    """Learn a dictionary on `dataset` (on the codes of `front`, if given) and leave a finished run in `folder`.

    Interrupt it at any time; `resume=True` goes on from the last checkpoint.
    Raises: UserError if `folder` holds another run, or a checkpoint of another configuration or data set.
    """
    identity = {**asdict(config), "data_sha256": dataset.sha256()}
    del identity["threads"]
    if (folder / MANIFEST).is_file():
        if not resume:
            raise UserError(f"run {folder}: already finished; give another --out, or --resume to see its result")
        artifact = load_artifact(folder)
        check_identity(folder, {**BEFORE, **identity_of(artifact)}, identity)
        return coder_result(folder, artifact)
    if (folder / CHECKPOINT).is_file() and not resume:
        raise UserError(f"run {folder}: holds an unfinished training; give --resume to go on, or another --out")
    return _LcaRun(dataset, config, folder, watcher, front, identity, checkpoint_every_s).complete()


class _LcaRun:
    """One run folder on its way from nothing to an artifact."""

    def __init__(
        self,
        dataset: Dataset,
        config: LcaConfig,
        folder: Path,
        watcher: LcaWatcher,
        front: FrontEnd | None,
        identity: dict[str, Any],
        every_s: float,
    ) -> None:
        self.source, self.config, self.folder, self.watcher, self.front = dataset, config, folder, watcher, front
        self.identity, self.every_s = identity, every_s
        self.data = front.codes(dataset, config.threads) if front else dataset
        self.split = split_validation(dataset.y_train, config.seed)
        self._saved_at = time.monotonic()

    def complete(self) -> CoderResult:
        """Learn, measure, write."""
        design = design_coder(self.data, self.config, self.split.train, self.front)
        learner = make_learner(design, self.config)
        payloads = design.encoder.encode(self.data.x_train[self.split.train])
        epochs = coder_epochs(self.config, len(payloads))
        trainer = LcaTrainer(learner, payloads, epochs, self.config.normalise, self.config.threads)
        self._load(trainer)
        self.watcher.on_start(trainer)
        try:
            self._save(trainer)
            trainer.run(self)
        except KeyboardInterrupt:
            if trainer.consistent:
                self._save(trainer)
            raise
        self.watcher.on_measure()
        return self._finish(trainer)

    def on_batch(self, trainer: LcaTrainer) -> None:
        self.watcher.on_batch(trainer)
        if time.monotonic() - self._saved_at >= self.every_s:
            self._save(trainer)

    def on_epoch(self, trainer: LcaTrainer) -> None:
        lines = "".join(json.dumps(asdict(epoch)) + "\n" for epoch in trainer.progress.history)
        write_atomically(self.folder / LOG, lines.encode())
        self.watcher.on_epoch(trainer)

    def _save(self, trainer: LcaTrainer) -> None:
        atoms = trainer.learner.full
        state = {
            "identity": self.identity,
            "progress": trainer.progress.to_json(),
            "leak": list(trainer.learner.leak),
            "sha256": sha256(atoms.tobytes()),
            "whitening": _whitening_hash(trainer),
        }
        arrays = {ATOMS: atoms, STATE: np.frombuffer(json.dumps(state).encode(), dtype=np.uint8)}
        write_atomically(self.folder / CHECKPOINT, array_bytes(arrays))
        self._saved_at = time.monotonic()

    def _load(self, trainer: LcaTrainer) -> None:
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return
        arrays = parse_arrays(read_bytes(path), path)
        try:
            state, atoms = parse_json(arrays[STATE].tobytes(), path), arrays[ATOMS]
            check_identity(self.folder, {**BEFORE, **state["identity"]}, self.identity)
            if sha256(np.ascontiguousarray(atoms).tobytes()) != state["sha256"] or atoms.dtype != np.int32:
                raise UserError(f"{path}: damaged, its atoms differ from their hash; delete it and train again")
            if state.get("whitening", "") != _whitening_hash(trainer):
                raise UserError(f"{path}: this machine rounds the whitening differently; go on where it was begun")
            trainer.learner.full = atoms.astype(np.int32)
            trainer.learner.leak = (int(state["leak"][0]), int(state["leak"][1]))
            trainer.progress = LcaProgress.from_json(state["progress"])
        except (KeyError, TypeError) as error:
            raise UserError(f"{path}: no checkpoint of this version; delete it and train again") from error

    def _finish(self, trainer: LcaTrainer) -> CoderResult:
        """Give the coder room for its largest code, measure it, read the test set once, write the artifact."""
        learner = trainer.learner
        held = learner.design.encoder.encode(self.data.x_train[self.split.validation])
        largest = float(np.abs(codes(learner.spec(), held, self.config.threads)).max(initial=0.0))
        if largest == 0.0:
            raise UserError(
                f"run {self.folder}: with sparsity_threshold {learner.design.sparsity_threshold:g} every code is zero; "
                "lower it"
            )
        learner.design = deployed_design(learner.design, learner.leak, largest)
        spec = learner.spec()
        deployed = stack(self.front.spec, spec) if self.front else spec
        results = self._measure(spec, deployed, held, trainer)
        manifest = {
            "kind": "lca",
            "seed": self.config.seed,
            "config": asdict(self.config),
            "chosen": {"sparsity_threshold": learner.design.sparsity_threshold, "reach": learner.design.reach,
                       "activation_bits": learner.design.activation_bits, "epochs": trainer.n_epochs,
                       "steps": spec.schedule.last_step},
            "data": describe_data(self.source, len(self.split.validation)),
            "versions": installed_versions(),
            "results": results,
            "history": [asdict(epoch) for epoch in trainer.progress.history],
        }  # fmt: skip
        artifact = Artifact(deployed, manifest)
        save_artifact(self.folder, artifact)
        remove_checkpoint(self.folder)
        return coder_result(self.folder, artifact)

    def _measure(self, spec: NetworkSpec, deployed: NetworkSpec, held: Int16, trainer: LcaTrainer) -> dict[str, Any]:
        """Measure the coder; on test images as it is deployed, behind its front end while that still settles."""
        encoder, threads, seed = spec.encoder, self.config.threads, self.config.seed
        gap = None
        if self.config.threshold_kind == "soft":
            gap = asdict(measure_quality(spec, held[:LASSO_SIGNALS]))
        shown = np.random.default_rng([seed, 0x5EE]).permutation(self.split.train)[:READOUT_IMAGES]
        with get_backend("events").open(deployed, threads=threads) as session:
            record = session.run(deployed.encoder.encode(self.source.x_test))
        readout = readout_accuracy(
            codes(spec, encoder.encode(self.data.x_train[shown]), threads), self.data.y_train[shown],
            codes_of(spec, record.output_states), self.data.y_test, seed,
        )  # fmt: skip
        progress = trainer.progress
        return {
            "lasso": gap,
            "readout_accuracy": readout,
            "n_readout": len(shown),
            "n_test": len(self.data.y_test),
            "spikes_per_image": float(record.spike_counts[deployed.output].sum(axis=1).mean()),
            "active": float(np.count_nonzero(codes(spec, held, threads), axis=1).mean()),
            "converged": converged_share(spec, held[:CONVERGED_SIGNALS]),
            "train_cpu_s": progress.cpu_s,
            "images_per_s": trainer.n_images * progress.epoch / max(progress.learn_s, 1e-9),
        }


def _whitening_hash(trainer: LcaTrainer) -> str:
    """Return the SHA-256 of the whitening, "" for none: its eigenvectors may differ in the last bit elsewhere."""
    transform = trainer.learner.design.encoder.transform
    return "" if transform is None or transform.whitening is None else sha256(transform.whitening.tobytes())


def coder_result(folder: Path, artifact: Artifact) -> CoderResult:
    """Return what the manifest of a finished coder says. Raises: UserError if it lacks something."""
    try:
        results, chosen = artifact.manifest["results"], artifact.manifest["chosen"]
        return CoderResult(
            folder,
            None if results["lasso"] is None else results["lasso"]["gap"],
            results["readout_accuracy"],
            results["spikes_per_image"],
            results["active"],
            results["converged"],
            results["images_per_s"],
            chosen["sparsity_threshold"],
        )
    except (KeyError, TypeError) as error:
        raise UserError(f"run {folder}: its manifest lacks {error}; train it again") from error
