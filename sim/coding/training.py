"""Learn a sparse coder, and measure it: resumable, replayable, interruptible, by the loop of `sim.training.loop`.

The artifact is that of the coder or, behind a front end, of the whole stack.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neuro.artifact.run_folder import Artifact
from neuro.base.arrays import Int16
from neuro.base.errors import UserError
from neuro.base.files import sha256
from neuro.base.shown import Lines, Shown
from neuro.data.sets import Dataset, split_validation
from neuro.spec.network import Network
from neuro.spec.stack import stack
from sim.backends.protocol import get_backend
from sim.coding.config import LcaConfig
from sim.coding.learner import deployed_design
from sim.coding.measure import codes, codes_of, readout_accuracy
from sim.coding.recipe import coder_epochs, design_coder, make_learner
from sim.coding.stock import stock_coder_of
from sim.coding.trainer import LcaProgress, LcaTrainer
from sim.families import of_kind
from sim.training.checkpoint import State
from sim.training.front_end import Front
from sim.training.loop import CHECKPOINT_EVERY_S, run_learner
from sim.training.watcher import NOBODY, Watcher

LASSO_SIGNALS, CONVERGED_SIGNALS, READOUT_IMAGES = 40, 200, 20_000
ATOMS = "atoms"


@dataclass(frozen=True, repr=False)
class CoderResult(Shown):
    """What a finished coder reached, measured on the deployed integers.

    objective_gap: None with a hard threshold (no LASSO).
    artifact: the coder and its manifest.  folder: where it lies; None: in memory only.
    """

    folder: Path | None
    objective_gap: float | None
    readout_accuracy: float
    spikes_per_image: float
    active: float
    converged: float
    images_per_s: float
    sparsity_threshold: float
    artifact: Artifact = field(compare=False, repr=False)

    def lines(self) -> Lines:
        """See `Shown`."""
        gap = "not defined for a hard threshold"
        if self.objective_gap is not None:
            gap = f"{100 * self.objective_gap:.2f} % above the LASSO solution, median"
        return [
            ("run", "in memory" if self.folder is None else str(self.folder)),
            ("objective", gap),
            ("linear readout, test", f"{self.readout_accuracy:.4f}"),
            ("spikes per image", f"{self.spikes_per_image:.1f}, of {self.active:.1f} active units"),
            ("converged", f"{100 * self.converged:.1f} % of images, within 1 % of the objective at twice the steps"),
            ("sparsity threshold", f"{self.sparsity_threshold:g}"),
            ("training speed", f"{self.images_per_s:,.0f} images/s"),
        ]

    def to_json(self) -> dict[str, Any]:
        """The object that `settle train lca --json` prints."""
        figures = {k: v for k, v in vars(self).items() if k not in ("folder", "artifact")}
        return {"run": self.folder and str(self.folder), **figures}


def train_lca(
    dataset: Dataset,
    config: LcaConfig,
    folder: Path | None,
    watcher: Watcher = NOBODY,
    front: Front | None = None,
    *,
    resume: bool = False,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
) -> CoderResult:
    """Learn a dictionary on `dataset` (on the codes of `front`, if given) and leave a finished run in `folder`.

    Interrupt it at any time; `resume=True` goes on from the last checkpoint. Without a folder it learns in memory:
    nothing is written, the artifact of the result is all there is.
    Raises: UserError if `folder` holds another run, or a checkpoint of another configuration or data set.
    """
    learner = CoderLearner(dataset, config, front)
    artifact = run_learner(learner, folder, watcher, resume=resume, checkpoint_every_s=checkpoint_every_s)
    return coder_result(folder, artifact)


class CoderLearner:
    """A sparse coder on its way: one stage, then it is measured."""

    kind = "lca"
    stage = "fit"

    def __init__(self, dataset: Dataset, config: LcaConfig, front: Front | None = None) -> None:
        self.dataset, self.config = dataset, config
        self.front = front.stacked() if front else None
        self.split = split_validation(dataset.y_train, config.seed)

    def prepare(self, watcher: Watcher) -> None:
        """Encode what is learned from, and design the coder."""
        self.learned = self.front.codes(self.dataset, self.config.threads) if self.front else self.dataset
        design = design_coder(self.learned, self.config, self.split.train, self.front)
        learner = make_learner(design, self.config)
        payloads = design.encoder.encode(self.learned.x_train[self.split.train])
        epochs = coder_epochs(self.config, len(payloads))
        self.trainer = LcaTrainer(learner, payloads, epochs, self.config.normalise, self.config.threads)

    def start(self, watcher: Watcher) -> None:
        """Nothing is left to choose."""

    def state(self) -> State:
        """Atoms with their accumulators, leak and progress."""
        fields = {
            "progress": self.trainer.progress.to_json(),
            "leak": list(self.trainer.learner.leak),
            "whitening": _whitening_hash(self.trainer),
        }
        return State({ATOMS: self.trainer.learner.full}, fields)

    def restore(self, state: State) -> None:
        """Stand where `state` was taken. Raises: UserError if this machine whitens otherwise."""
        atoms, leak = state.arrays[ATOMS], state.fields["leak"]
        if state.fields.get("whitening", "") != _whitening_hash(self.trainer):
            raise UserError("checkpoint: this machine rounds the whitening differently; go on where it was begun")
        learner = self.trainer.learner
        if (atoms.dtype, atoms.shape) != (learner.full.dtype, learner.full.shape):
            raise TypeError(f"atoms of type {atoms.dtype} and shape {atoms.shape}")
        progress = LcaProgress.from_json(state.fields["progress"])
        if len(progress.sums) != len(LcaProgress().sums) or len(progress.used) not in (0, learner.shape[-1]):
            raise TypeError("sums and atoms in use of another coder")
        learner.full, learner.leak = atoms.astype(np.int32), (int(leak[0]), int(leak[1]))
        self.trainer.progress = progress

    def history(self) -> list[dict[str, Any]]:
        """The epochs so far."""
        return [asdict(epoch) for epoch in self.trainer.progress.history]

    def next_stage(self) -> bool:
        """There is one."""
        return False

    def deployable(self) -> tuple[Network, dict[str, Any]]:
        """The coder with room for its largest code, measured; the test set is read once."""
        learner = self.trainer.learner
        held = learner.design.encoder.encode(self.learned.x_train[self.split.validation])
        largest = float(np.abs(codes(learner.spec(), held, self.config.threads)).max(initial=0.0))
        if largest == 0.0:
            raise UserError(
                f"coder: with sparsity_threshold {learner.design.sparsity_threshold:g} every code is zero; lower it"
            )
        design = learner.design = deployed_design(learner.design, learner.leak, largest)
        spec = learner.spec()
        coder: Network = stock_coder_of(self.config.form, spec, largest) if self.config.form else spec
        deployed = stack(self.front.spec, spec) if self.front else coder
        return deployed, {
            "chosen": {"sparsity_threshold": design.sparsity_threshold, "reach": design.reach,
                       "activation_bits": design.activation_bits, "epochs": self.trainer.n_epochs,
                       "steps": coder.free_steps},
            "results": self._measure(coder, deployed, held),
            "history": self.history(),
        }  # fmt: skip

    def _measure(self, coder: Network, deployed: Network, held: Int16) -> dict[str, Any]:
        """Measure the coder; on test images as it is deployed, behind its front end while that still settles."""
        encoder, threads, seed = coder.encoder, self.config.threads, self.config.seed
        gap = None
        if self.config.threshold_kind == "soft":
            gap = asdict(of_kind("quality", coder)(coder, held[:LASSO_SIGNALS]))
        shown = np.random.default_rng([seed, 0x5EE]).permutation(self.split.train)[:READOUT_IMAGES]
        with get_backend(deployed.native_backend).open(deployed, threads=threads) as session:
            record = session.run(deployed.encoder.encode(self.dataset.x_test))
        readout = readout_accuracy(
            codes(coder, encoder.encode(self.learned.x_train[shown]), threads), self.learned.y_train[shown],
            codes_of(coder, record.output_states), self.learned.y_test, seed,
        )  # fmt: skip
        progress = self.trainer.progress
        return {
            "lasso": gap,
            "readout_accuracy": readout,
            "n_readout": len(shown),
            "n_test": len(self.dataset.y_test),
            "spikes_per_image": float(record.spike_counts[deployed.output].sum(axis=1).mean()),
            "active": float(np.count_nonzero(codes(coder, held, threads), axis=1).mean()),
            "converged": of_kind("converged share", coder)(coder, held[:CONVERGED_SIGNALS]),
            "train_cpu_s": progress.cpu_s,
            "images_per_s": self.trainer.n_images * progress.epoch / max(progress.learn_s, 1e-9),
        }


def _whitening_hash(trainer: LcaTrainer) -> str:
    """The SHA-256 of the whitening, "" for none: its eigenvectors may differ in the last bit elsewhere."""
    transform = trainer.learner.design.encoder.transform
    return "" if transform is None or transform.whitening is None else sha256(transform.whitening.tobytes())


def coder_result(folder: Path | None, artifact: Artifact) -> CoderResult:
    """The result that the manifest of a finished coder holds. Raises: UserError if it lacks something."""
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
            artifact,
        )
    except (KeyError, TypeError) as error:
        raise UserError(f"run {folder}: its manifest lacks {error}; train it again") from error
