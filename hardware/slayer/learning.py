"""How SLAYER's network learns: Adam on lava-dl's loss, unrolled over all steps; rate and epoch chosen on validation.

The learning rate is chosen by short trainings before the long one, the epoch within it. Test images are never read.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from hardware.slayer.config import SlayerConfig
from hardware.slayer.network import CHUNK, SlayerModel, network_of, slayer_loss, spike_trains
from neuro.base.arrays import Images, Int16, Int32, Integers
from neuro.base.errors import UserError
from neuro.base.metrics import Accuracy, accuracy, clearly_better
from neuro.data.sets import Dataset, Split
from neuro.front_ends.pixels import PixelEncoder, gain_bits_for
from neuro.stock.feed_forward import FeedForwardNetwork

BATCH = 32
IMAGES_TO_SEE, FEWEST_EPOCHS, MOST_EPOCHS = 40_000, 5, 30
LEARNING_RATES = (0.003, 0.001, 0.01)  # first guess first
TRIAL_PRESENTATIONS = 4_000  # of a trial, of at most so many different images
TRIAL_VALIDATION = 2_000


@dataclass(frozen=True)
class SlayerEpoch:
    """What an epoch reached. images_per_s: learned per second of CPU time."""

    epoch: int
    train_accuracy: float
    val_accuracy: float
    images_per_s: float


@dataclass(frozen=True)
class SlayerTrial:
    """What a short training with a learning rate reached on n validation images."""

    learning_rate: float
    val_accuracy: float
    n: int


@dataclass(frozen=True, eq=False)
class SlayerTraining:
    """A trained network, of the best validated epoch. best_epoch counts from 1; cpu_s of the process, for learning."""

    network: FeedForwardNetwork
    val_accuracy: Accuracy
    history: list[SlayerEpoch]
    best_epoch: int
    cpu_s: float


class SlayerLearner:
    """A network that learns by gradient steps. images: of the training set, by which the encoder is scaled."""

    def __init__(self, config: SlayerConfig, dataset: Dataset, images: Images) -> None:
        self.config, self.pixels = config, dataset.image_shape
        self.encoder = PixelEncoder(gain_bits=gain_bits_for(images))
        self.model = SlayerModel(config, (math.prod(self.pixels) + 1, *config.hidden, dataset.n_classes))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.learning_rate or LEARNING_RATES[0])
        self._loss, self._frame = slayer_loss(config), self.network()

    def network(self) -> FeedForwardNetwork:
        """Return the integer network as it is now."""
        return network_of(self.model, self.config, self.encoder, self.pixels)

    def learn(self, images: Images, labels: Integers) -> int:
        """Make one gradient step on a batch; return how many of its images were right."""
        return self.learn_payloads(self.encoder.encode(images), labels)

    def learn_payloads(self, payloads: Int16, labels: Integers) -> int:
        """The same, of images that are encoded already, of shape [B, N]. Raises: UserError if the loss is infinite."""
        self.optimizer.zero_grad()
        wanted = torch.as_tensor(labels, dtype=torch.int64)
        spikes = self.model(spike_trains(self._frame, payloads))
        loss = self._loss(spikes, wanted)
        if not math.isfinite(float(loss)):
            rate = self.config.learning_rate or LEARNING_RATES[0]
            raise UserError(f"slayer: loss {self.config.loss!r} is not finite at learning rate {rate:g}; lower it")
        torch.autograd.backward(loss)
        self.optimizer.step()
        return int((spikes.sum(dim=2).argmax(dim=1) == wanted).sum())

    def measure(self, payloads: Int16, labels: Int32) -> Accuracy:
        """Return the accuracy as the network is now."""
        parts = []
        with torch.no_grad():
            for first in range(0, len(payloads), CHUNK):
                spikes = self.model(spike_trains(self._frame, payloads[first : first + CHUNK]))
                parts.append(spikes.sum(dim=2).argmax(dim=1).numpy())
        return accuracy(np.concatenate(parts), labels)


def slayer_epochs(n_images: int) -> int:
    """Return the default number of epochs."""
    return min(max(round(IMAGES_TO_SEE / n_images), FEWEST_EPOCHS), MOST_EPOCHS)


def train_slayer(
    dataset: Dataset, config: SlayerConfig, split: Split, on_epoch: Callable[[SlayerEpoch], None] = lambda epoch: None
) -> SlayerTraining:
    """Train on split.train, choose the epoch on split.validation; Adam, cosine decay; without a learning rate the first
    guess.

    Raises: UserError if lava-dl is missing, or the loss leaves all bounds.
    """
    learner = SlayerLearner(config, dataset, dataset.x_train[split.train])
    payloads, labels = learner.encoder.encode(dataset.x_train), dataset.y_train
    epochs = config.epochs or slayer_epochs(len(split.train))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(learner.optimizer, epochs)
    generator, kept = torch.Generator().manual_seed(config.seed), torch.tensor(split.train)
    best, history, began = (Accuracy(-1, 1), 0, learner.network()), list[SlayerEpoch](), time.process_time()
    for epoch in range(1, epochs + 1):
        start, n_correct = time.process_time(), 0
        for batch in kept[torch.randperm(len(kept), generator=generator)].split(BATCH):
            chosen = batch.numpy()
            n_correct += learner.learn_payloads(payloads[chosen], labels[chosen])
        schedule.step()
        spent = max(time.process_time() - start, 1e-9)
        reached = learner.measure(payloads[split.validation], labels[split.validation])
        if reached.n_correct >= best[0].n_correct:  # few validation images: of equals the later
            best = (reached, epoch, learner.network())
        history.append(SlayerEpoch(epoch, n_correct / len(kept), reached.value, len(kept) / spent))
        on_epoch(history[-1])
    return SlayerTraining(best[2], best[0], history, best[1], time.process_time() - began)


def tune_slayer(
    dataset: Dataset, config: SlayerConfig, split: Split, on_trial: Callable[[SlayerTrial], None] = lambda trial: None
) -> tuple[float, list[SlayerTrial]]:
    """Return a learning rate and the trials that led to it; that of `config` and none if it has one.

    Another rate replaces the first guess only if it is better by two standard errors, as in `sim.training.tune`. A rate
    at which the loss leaves all bounds reaches nothing.
    """
    if config.learning_rate is not None:
        return config.learning_rate, []
    generator = np.random.default_rng([config.seed, 0x51A7])
    subset = Split(
        np.sort(generator.permutation(split.train)[:TRIAL_PRESENTATIONS]),
        np.sort(generator.permutation(split.validation)[:TRIAL_VALIDATION]),
    )
    epochs = max(1, round(TRIAL_PRESENTATIONS / len(subset.train)))
    trials = []
    for rate in LEARNING_RATES:
        try:
            training = train_slayer(dataset, replace(config, learning_rate=rate, epochs=epochs), subset)
            reached = training.history[-1].val_accuracy
        except UserError:
            reached = 0.0
        trials.append(SlayerTrial(rate, reached, len(subset.validation)))
        on_trial(trials[-1])
    best = max(trials, key=lambda trial: trial.val_accuracy)
    better = clearly_better(best.val_accuracy, trials[0].val_accuracy, best.n)
    return (best if better else trials[0]).learning_rate, trials
