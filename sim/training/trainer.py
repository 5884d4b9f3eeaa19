"""Chunks of images through a session, a validation after every epoch, the best epoch kept.

A trainer can stop after any chunk and go on from `Progress` and the weights alone: the order of images is a function of
seed and epoch, all randomness of seed and counters.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from neuro.base.arrays import Int16, Int32, Int64, Integers
from neuro.base.errors import UserError
from neuro.base.metrics import accuracy
from neuro.base.schema import Count
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.presentation import nudge_signs
from sim.backends.protocol import one_hot_targets
from sim.backends.record import LearningOutcome
from sim.backends.session import AnySession, Rates
from sim.training.checkpoint import require_like, restored
from sim.training.pace import Mean, Pace
from sim.training.rates import projection_rates
from sim.training.settling import MET, SOFTEST, Settled, Tally, share_at_limit, softened
from sim.training.stepwise import Stepwise
from sim.training.training_set import TrainingSet

CHUNK = 2048  # images between two looks at the clock, the keyboard and the progress bar
MEAN, SEEN = "mean of ", "images in the mean"  # in a checkpoint
USUAL = Pace()
Weights = Mapping[str, Integers]


@dataclass(frozen=True)
class Choices:
    """Hyper-parameters of a training, given by the user or chosen on the validation split (`sim.training.tune`).

    learning_rate:   of the first hidden layer, in units of 1 / E|x|^2, x the real input of the network, bias included.
    output_share:    learning rate of the layers behind it, relative to that.
    centred:         whether the encoder subtracts the mean training image.
    exponent_offset: added to the exponent of every weight: negative, larger weights fit on a coarser grid.
    """

    learning_rate: float = 1.4
    output_share: float = 0.25
    centred: bool = False
    exponent_offset: int = 0


@dataclass(frozen=True)
class Epoch:
    """One point of the learning curve. Accuracies are shares; train_accuracy is taken before each update.

    val_accuracy, spikes_per_inference: None in a training without validation images.
    settling: how the images settled that were learned; None of networks that do not settle.
    """

    epoch: int
    train_accuracy: float
    val_accuracy: float | None
    spikes_per_inference: float | None
    spikes_per_learning_image: float
    images_per_s: float
    settling: Settled | None = None


@dataclass
class Progress:
    """Where a training stands: with the weights, all that is needed to go on."""

    epoch: Count = 0
    position: Count = 0  # images of this epoch already seen
    n_correct: int = 0  # of them predicted right
    n_spikes: int = 0  # and spikes sent during all phases
    epoch_s: float = 0.0
    learn_s: float = 0.0  # time inside the learning backend, all epochs
    cpu_s: float = 0.0  # process time, all epochs
    best_epoch: int = -1
    settling: Tally = field(default_factory=Tally)  # of this epoch
    softened: Count = 0  # how often the nudge was halved
    history: list[Epoch] = field(default_factory=list)

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> Progress:
        """Rebuild from `dataclasses.asdict`."""
        return restored(content, Progress)

    def __post_init__(self) -> None:
        if len(self.history) != self.epoch or self.best_epoch >= self.epoch:
            raise UserError(f"progress: {len(self.history)} epochs told of {self.epoch}, the best {self.best_epoch}")


class Trainer(Stepwise):
    """One training of a network by its local rule, in chunks through a session; the best validated epoch is kept."""

    progress: Progress
    chunk_images = CHUNK

    def __init__(
        self,
        session: AnySession,
        data: TrainingSet,
        choices: Choices,
        n_epochs: int,
        seed: int,
        batch_size: int = 1,
        pace: Pace = USUAL,
        reopen: Callable[[NetworkSpec], AnySession] | None = None,
    ) -> None:
        self.session = session
        self.reopen = reopen
        self.pace = pace
        self.mean = Mean(pace.averaged)
        self.data = data
        self.choices = choices
        self.n_epochs = n_epochs
        self.seed = seed
        self.chunk = batch_size * max(1, self.chunk_images // batch_size)
        self.progress: Progress = Progress()
        self.best_weights: Weights = session.weights()
        self.scale = data.squared_length(session.spec)

    @property
    def n_images(self) -> int:
        """Training images per epoch."""
        return len(self.data.split.train)

    def rates(self, epoch: int) -> Rates:
        """The learning rate of every plastic projection now, in this epoch, as the session takes it."""
        base = self.choices.learning_rate / self.scale
        base *= self.pace.decay(epoch, self.progress.position / self.n_images, self.n_epochs)
        return projection_rates(self._network, base, self.choices.output_share, self.pace.bias_share)

    @property
    def _network(self) -> NetworkSpec:
        spec = self.session.spec
        assert isinstance(spec, NetworkSpec)  # networks of other kinds have trainers of their own
        return spec

    def upcoming(self) -> Int64:
        """The next images of this epoch, in the order in which they will be learned; none at its end."""
        return self._order()[self.progress.position : self.progress.position + self.chunk]

    def _order(self) -> Int64:
        return np.random.default_rng([self.seed, self.progress.epoch, 0xE90C]).permutation(self.data.split.train)

    def step(self) -> None:
        """Learn the next chunk, and count it."""
        self._learn(self.upcoming(), self.rates(self.progress.epoch))

    def _learn(self, chosen: Int64, rates: Rates) -> None:
        labels = self.data.labels[chosen]
        start, cpu_start = time.perf_counter(), time.process_time()
        targets = one_hot_targets(self.session.spec, labels)
        first = self.progress.epoch * self.n_images + self.progress.position
        outcome = self._taught(chosen, targets, rates, first)
        if outcome.settling is not None:
            signs = nudge_signs(self._network, self.seed, first, len(labels))
            met = self.progress.settling.add(self._network, outcome.settling, targets, signs)
            if met > MET * len(labels) and self.progress.softened < SOFTEST:
                self._soften()
        if self.pace.averaged:
            self.mean.add(self.session.full_weights(), len(labels))
        self._count(outcome, labels, time.perf_counter() - start, time.process_time() - cpu_start)

    def _taught(self, chosen: Int64, targets: Int32, rates: Rates, first: int) -> LearningOutcome:
        """Let the session learn the `chosen` images; first: presentations so far."""
        return self.session.learn(self._presented(chosen), targets, rates, seed=self.seed, first_image=first)

    def _soften(self, times: int = 1) -> None:
        """Halve the nudge from now on; the session is opened anew with its weights."""
        if self.reopen is None:
            return
        own = self.session.full_weights()
        self.session.close()
        self.session = self.reopen(softened(self._network, times))
        self.session.restore(own)
        self.progress.softened += times

    def stand_at(self, progress: Progress) -> None:
        """Go on from `progress`; the weights are restored next."""
        self.progress = replace(progress, softened=0)
        self._soften(progress.softened)

    def _presented(self, chosen: Int64) -> Int16:
        """The payloads of the `chosen` next images of this epoch, shifted or noisy if they are to be."""
        shift, noise, progress = self.data.shift, self.data.noise, self.progress
        if noise is not None:
            return noise.payloads(chosen, self.seed, progress.epoch, progress.position)
        if shift is None:
            return self.data.payloads[chosen]
        return shift.presented(self.data.payloads[chosen], self.seed, progress.epoch, progress.position, self.n_images)

    def _count(self, outcome: LearningOutcome, labels: Int32, wall_s: float, cpu_s: float) -> None:
        progress = self.progress
        progress.position += len(labels)
        progress.n_correct += int(np.count_nonzero(outcome.predictions == labels))
        progress.n_spikes += int(sum(counts[1:].sum() for counts in outcome.spike_counts.values()))
        progress.epoch_s += wall_s
        progress.learn_s += wall_s
        progress.cpu_s += cpu_s

    def end_epoch(self) -> None:
        """Measure the epoch, remember its weights if none was better, and move on to the next."""
        progress, start = self.progress, time.process_time()
        value, spikes = self.validation_accuracy()
        progress.history.append(
            Epoch(
                epoch=progress.epoch + 1,
                train_accuracy=progress.n_correct / self.n_images,
                val_accuracy=value,
                spikes_per_inference=spikes,
                spikes_per_learning_image=progress.n_spikes / self.n_images,
                images_per_s=self.n_images / max(progress.epoch_s, 1e-9),
                settling=progress.settling.summary(self._at_limit(), progress.softened),
            )
        )
        best = progress.history[progress.best_epoch].val_accuracy if progress.best_epoch >= 0 else None
        if value is None or best is None or value >= best:
            progress.best_epoch = progress.epoch
            self.best_weights = self.deployable()
        progress.epoch += 1
        progress.position = progress.n_correct = progress.n_spikes = 0
        progress.epoch_s = 0.0
        progress.settling = Tally()
        progress.cpu_s += time.process_time() - start

    def _at_limit(self) -> float | None:
        settles = self.progress.settling.n > 0
        return share_at_limit(self._network, self.session.weights()) if settles else None

    def deployable(self) -> Weights:
        """The weights that would be deployed if the training ended now."""
        with self._averaged():
            return self.session.weights()

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """The session with mean weights, if they are to be averaged."""
        if not self.mean.values:
            yield
            return
        own = self.session.full_weights()
        self.session.restore(self.mean.rounded())
        yield
        self.session.restore(own)

    def full_weights(self) -> Weights:
        """All arrays that a checkpoint keeps."""
        means = {MEAN + name: values for name, values in self.mean.values.items()}
        seen = {SEEN: np.array([self.mean.seen])} if self.pace.averaged else {}
        return {**self.session.full_weights(), **means, **seen}

    def synapses_in(self, full: Weights) -> Weights:
        """Of what `full_weights` returned, what every checkpoint of this training holds: no means, before the first."""
        return {name: values for name, values in full.items() if not name.startswith(MEAN)}

    def restore(self, full: Weights) -> None:
        """Set what `full_weights` returned. Raises: UserError if its means are not those of its weights."""
        own = {name: values for name, values in self.synapses_in(full).items() if name != SEEN}
        means = {name.removeprefix(MEAN): values for name, values in full.items() if name.startswith(MEAN)}
        if self.pace.averaged and int(full[SEEN][0]):
            require_like(means, own, "mean of weights")
            self.mean.seen = int(full[SEEN][0])
            self.mean.values = {name: values.astype(np.int64) for name, values in means.items()}
        self.session.restore(own)

    def validation_accuracy(self) -> tuple[float | None, float | None]:
        """The accuracy and the spikes per inference on the validation images, if any, with the present weights."""
        chosen = self.data.split.validation
        if not len(chosen):
            return None, None
        with self._averaged():
            record = self.session.run(self.data.payloads[chosen])
        value = accuracy(record.predictions, self.data.labels[chosen]).value
        return value, record.spikes_per_inference(self.session.spec)
