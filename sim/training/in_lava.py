"""A training that really happens inside Lava's learning engine, and its proof: the chip's integers are the same.

Seconds per image, so for tens of images. The noise is Lava's, shared by all synapses; weights step by 1. All images go
through one graph; after each the state of Lava's processes is kept, from which another graph goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neuro.artifact.run_folder import Artifact
from neuro.base.arrays import Integers
from neuro.base.checks import Range
from neuro.base.errors import UserError
from neuro.base.metrics import Accuracy, accuracy
from neuro.base.shown import Lines, Shown
from neuro.data.sets import Dataset, split_validation
from neuro.stock.network import StockNetwork
from sim.backends.lava.stock.learning import LavaState, learn_stock_in_lava
from sim.backends.lava.worker.watch import STALL_S, check_installed
from sim.backends.stock.learning import learn_in_emulator
from sim.backends.stock.segments import TRACES, LearningRecord, Segment
from sim.backends.stock.session import commit_pairs
from sim.training.checkpoint import State, restored
from sim.training.config import TrainConfig, learns_on_chip
from sim.training.equilibrium import infer
from sim.training.loop import CHECKPOINT_EVERY_S, run_learner
from sim.training.stock_recipe import build_stock, stock_choices
from sim.training.watcher import NOBODY, Watcher


@dataclass(frozen=True, kw_only=True)
class InLavaConfig(TrainConfig):
    """What the user asks for; images: so many training images, in the order of the seed."""

    images: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        if not learns_on_chip(self):
            raise UserError(
                "backend lava: sigma-delta and graded units do not learn inside Lava; give --family stock --rule "
                "R1..R5, R7 or deferred"
            )
        if self.noise:
            raise UserError(f"backend lava: noise {self.noise:g} on images is not learned inside Lava; leave it out")


@dataclass(frozen=True, repr=False)
class LavaTraining(Shown):
    """What a training inside Lava did. differences: entries that differ from the chip's, by kind; all 0 if equal.

    val_accuracy: before and after, on the validation images, measured on the chip backend.
    """

    folder: Path | None
    n_images: int
    differences: dict[str, int]
    n_compared: int
    val_before: Accuracy
    val_accuracy: Accuracy
    lava_s: float
    chip_s: float
    artifact: Artifact = field(compare=False, repr=False)

    def lines(self) -> Lines:
        """See `Shown`."""
        verdict = "equal" if sum(self.differences.values()) == 0 else "DIFFERENT"
        counted = ", ".join(f"{count} {kind}" for kind, count in self.differences.items())
        return [
            ("run", "in memory" if self.folder is None else str(self.folder)),
            ("learned", f"{self.n_images} images inside Lava's learning engine"),
            ("lava = chip?", f"{verdict}: {self.n_compared:,} weights; {counted} differ"),
            ("validation accuracy before", self.val_before.describe()),
            ("validation accuracy after", self.val_accuracy.describe()),
            ("time, measured",
             f"{self.lava_s:.0f} s in Lava, {self.chip_s:.1f} s on the chip backend, compiling included"),
        ]  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """The object that `settle train ep --backend lava --json` prints."""
        return {
            "run": self.folder and str(self.folder),
            "backend": "lava",
            "images": self.n_images,
            "differences": self.differences,
            "val_accuracy": self.val_accuracy.value,
            "lava_s": self.lava_s,
            "chip_s": self.chip_s,
        }


def train_in_lava(
    dataset: Dataset,
    config: TrainConfig,
    folder: Path | None,
    n_images: int,
    stall_s: float = STALL_S,
    on_image: Callable[[int], None] = lambda done: None,
    *,
    resume: bool = False,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
) -> LavaTraining:
    """Learn `n_images` training images, in the order of the seed, in Lava and on the chip, and leave a run in `folder`.

    Interrupt it at any time; `resume=True` goes on after the last image that Lava had finished at a checkpoint.
    Raises: UserError if the network is not of the stock family, Lava is missing or hangs, or `folder` holds a run.
    """
    config = config.settled(dataset.image_shape)
    asked = InLavaConfig(**{**vars(config), "draws": "shared", "weight_lsb": 1, "images": n_images})
    check_installed()  # before anything is written
    learner = InLavaLearner(dataset, asked, stall_s, on_image)
    artifact = run_learner(learner, folder, NOBODY, resume=resume, checkpoint_every_s=checkpoint_every_s)
    return lava_training_of(folder, artifact)


class InLavaTrainer:
    """Learns images one after the other. held: where Lava stood after the last one that it finished; None: nowhere."""

    consistent = True  # `held` changes as a whole

    def __init__(self, network: StockNetwork, inputs: Any, stall_s: float, on_image: Callable[[int], None]) -> None:
        self.network, self.inputs, self.stall_s, self.on_image = network, inputs, stall_s, on_image
        self.segments = image_segments(network, len(inputs))
        self.held: LavaState | None = None
        self.lava_s = 0.0

    @property
    def position(self) -> int:
        """Images learned so far."""
        return 0 if self.held is None else self.held.steps // self.network.schedule.steps

    @property
    def stream(self) -> Any:
        """The input of all images, of shape [T, n]."""
        return self.inputs.reshape(-1, self.inputs.shape[2])

    def run(self, listener: Watcher = NOBODY) -> None:
        """Learn the images that are left."""
        start, spent, begun = time.perf_counter(), self.lava_s, self.held

        def keep(state: LavaState) -> None:
            self.held, self.lava_s = state, spent + time.perf_counter() - start
            listener.on_chunk(self)
            self.on_image(self.position)

        left = self.segments[self.position :]
        if left:
            stream = self.stream[0 if begun is None else begun.steps :]
            graph = self.network.graph
            keep(learn_stock_in_lava(graph, stream, left, self.stall_s, start=begun, on_state=keep).state)


class InLavaLearner:
    """A stock network on its way: one stage, then it is compared with the chip's integers."""

    kind = "ep in lava"
    stage = "fit"

    def __init__(self, dataset: Dataset, config: InLavaConfig, stall_s: float, on_image: Callable[[int], None]) -> None:
        self.dataset, self.config, self.stall_s, self.on_image = dataset, config, stall_s, on_image
        self.split = split_validation(dataset.y_train, config.seed)

    def prepare(self, watcher: Watcher) -> None:
        """Build the network and the trains of the images."""
        dataset, n = self.dataset, self.config.images
        most = len(self.split.train)
        Range(1, most).require(remedy=f"{dataset.name} has {most} to train on", images=n)
        network = build_stock(dataset, self.config, self.split)
        chosen = np.random.default_rng([self.config.seed, 0xE90C]).permutation(self.split.train)[:n]
        inputs = network.learning_inputs(network.encoder.encode(dataset.x_train[chosen]), dataset.y_train[chosen])
        self.network, self.trainer = network, InLavaTrainer(network, inputs, self.stall_s, self.on_image)

    def start(self, watcher: Watcher) -> None:
        """Nothing is left to choose."""

    def state(self) -> State:
        """What Lava's processes hold."""
        held = self.trainer.held
        fields = {"steps": 0 if held is None else held.steps, "lava_s": self.trainer.lava_s}
        return State({} if held is None else held.arrays, fields)

    def restore(self, state: State) -> None:
        """Stand where `state` was taken."""
        steps, self.trainer.lava_s = restored(state.fields["steps"], int), restored(state.fields["lava_s"], float)
        if steps:
            for projection in self.network.plastic:
                _ = state.arrays[f"weights.{projection.name}"]
            self.trainer.held = LavaState(steps, state.arrays)

    def history(self) -> list[dict[str, Any]]:
        """There are no epochs."""
        return []

    def next_stage(self) -> bool:
        """There is one."""
        return False

    def deployable(self) -> tuple[StockNetwork, dict[str, Any]]:
        """The network with Lava's weights, compared with the chip's."""
        trainer, start = self.trainer, time.perf_counter()
        assert trainer.held is not None  # at least one image
        expected = learn_in_emulator(self.network.graph, trainer.stream, trainer.segments)
        chip_s = time.perf_counter() - start
        arrays = trainer.held.arrays
        after = self.network.with_weights({name: arrays[f"weights.{name}"] for name in expected.weights})
        return after, {
            "chosen": {
                **asdict(stock_choices(self.config)),
                "gain_bits": after.encoder.gain_bits,
                "images": self.config.images,
            },
            "results": {
                "val": asdict(self._validate(after)),
                "val_before": asdict(self._validate(self.network)),
                "differences": differences(trainer.held, expected),
                "n_compared": sum(values.size for values in expected.weights.values()),
                "lava_s": trainer.lava_s,
                "chip_s": chip_s,
            },
            "history": self.history(),
            "best_epoch": 0,
        }

    def _validate(self, network: StockNetwork) -> Accuracy:
        record = infer(network, self.dataset.x_train[self.split.validation])
        return accuracy(record.predictions, self.dataset.y_train[self.split.validation])


def differences(state: LavaState, expected: LearningRecord) -> dict[str, int]:
    """How many integers of what learning leaves differ, by kind."""
    kinds: dict[str, dict[str, Integers]] = {
        "weights": {f"weights.{name}": values for name, values in expected.weights.items()},
        "tags": {f"tags.{name}": values for name, values in expected.tags.items()},
        "traces": {f"{key}.{name}": traces[key] for name, traces in expected.traces.items() for key in TRACES},
    }
    return {
        kind: sum(int(np.count_nonzero(state.arrays[name] != values)) for name, values in named.items())
        for kind, named in kinds.items()
    }


def image_segments(network: StockNetwork, n_images: int) -> list[Segment]:
    """One segment per image; where the rule needs a host, it commits every `commit_every` and at the end."""
    pairs, every = tuple(commit_pairs(network)), network.commit_every
    return [
        Segment(network.schedule.steps, {}, pairs if every and (k % every == 0 or k == n_images) else ())
        for k in range(1, n_images + 1)
    ]


def lava_training_of(folder: Path | None, artifact: Artifact) -> LavaTraining:
    """What the manifest of a training inside Lava says. Raises: UserError if it lacks something."""
    try:
        results = artifact.manifest["results"]
        return LavaTraining(
            folder,
            artifact.manifest["chosen"]["images"],
            results["differences"],
            results["n_compared"],
            Accuracy(**results["val_before"]),
            Accuracy(**results["val"]),
            results["lava_s"],
            results["chip_s"],
            artifact,
        )
    except (KeyError, TypeError) as error:
        raise UserError(f"run {folder}: its manifest lacks {error}; train it again") from error
