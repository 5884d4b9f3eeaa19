"""How SLAYER's network goes through a training: batches by Adam on lava-dl's loss, epochs with cosine decay.

All it needs to go on is plain arrays and numbers: parameters, Adam's moments, the place of the decay, the state of the
generator that draws the order of an epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hardware.slayer.config import SlayerConfig
from hardware.slayer.network import CHUNK, SlayerModel, network_of, quiet, slayer_loss, spike_trains
from neuro.base.arrays import Array, Images, Int16, Int32, Integers
from neuro.base.errors import UserError
from neuro.base.metrics import Accuracy, accuracy
from neuro.base.schema import Count
from neuro.data.sets import Dataset, Split
from neuro.front_ends.pixels import PixelEncoder, gain_bits_for
from neuro.stock.feed_forward import FeedForwardNetwork
from sim.training.checkpoint import State, restored
from sim.training.stepwise import Stepwise

BATCH = 32
IMAGES_TO_SEE, FEWEST_EPOCHS, MOST_EPOCHS = 40_000, 5, 30
LEARNING_RATES = (0.003, 0.001, 0.01)  # first guess first
MODEL, ADAM, BEST, ORDER = "model.", "adam.", "best.", "order"  # of arrays in a checkpoint


@dataclass(frozen=True)
class SlayerEpoch:
    """What an epoch reached. images_per_s: learned per second of CPU time."""

    epoch: int
    train_accuracy: float
    val_accuracy: float
    images_per_s: float


@dataclass
class SlayerProgress:
    """Where a training stands. best_epoch counts from 1; best_correct: validation images it had right."""

    epoch: Count = 0
    position: Count = 0
    n_correct: int = 0
    epoch_s: float = 0.0  # CPU time spent on learning in this epoch
    cpu_s: float = 0.0
    best_epoch: int = 0
    best_correct: int = -1
    history: list[SlayerEpoch] = field(default_factory=list)

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> SlayerProgress:
        """Rebuild from `dataclasses.asdict`."""
        return restored(content, SlayerProgress)


class SlayerLearner:
    """A network that learns by gradient steps. images: of the training set, by which the encoder is scaled."""

    def __init__(self, config: SlayerConfig, dataset: Dataset, images: Images) -> None:
        self.config, self.pixels = config, dataset.image_shape
        self.encoder = PixelEncoder(gain_bits=gain_bits_for(images))
        self.model = SlayerModel(config, (math.prod(self.pixels) + 1, *config.hidden, dataset.n_classes))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.learning_rate or LEARNING_RATES[0])
        self._loss, self._frame = slayer_loss(config), self.network()

    def network(self) -> FeedForwardNetwork:
        """The integer network as it is now."""
        return network_of(self.model, self.config, self.encoder, self.pixels)

    def learn(self, images: Images, labels: Integers) -> int:
        """Make one gradient step on a batch; return how many of its images were right."""
        return self.learn_payloads(self.encoder.encode(images), labels)

    def learn_payloads(self, payloads: Int16, labels: Integers) -> int:
        """The same, of images that are encoded already, of shape [B, N]. Raises: UserError if the loss is infinite."""
        self.optimizer.zero_grad()
        classes = torch.as_tensor(labels, dtype=torch.int64)
        spikes = self.model(spike_trains(self._frame, payloads))
        loss = self._loss(spikes, classes)
        if not math.isfinite(float(loss)):
            rate = self.config.learning_rate or LEARNING_RATES[0]
            raise UserError(f"slayer: loss {self.config.loss!r} is not finite at learning rate {rate:g}; lower it")
        torch.autograd.backward(loss)
        self.optimizer.step()
        return int((spikes.sum(dim=2).argmax(dim=1) == classes).sum())

    def measure(self, payloads: Int16, labels: Int32) -> Accuracy:
        """The accuracy of the network as it is now."""
        predictions = []
        with torch.no_grad():
            for first in range(0, len(payloads), CHUNK):
                spikes = self.model(spike_trains(self._frame, payloads[first : first + CHUNK]))
                predictions.append(spikes.sum(dim=2).argmax(dim=1).numpy())
        return accuracy(np.concatenate(predictions), labels)


def slayer_epochs(n_images: int) -> int:
    """The default number of epochs."""
    return min(max(round(IMAGES_TO_SEE / n_images), FEWEST_EPOCHS), MOST_EPOCHS)


class SlayerTrainer(Stepwise):
    """One training on split.train; of equally good epochs on split.validation the later is kept: images are few."""

    def __init__(self, dataset: Dataset, config: SlayerConfig, split: Split) -> None:
        self.split, self.labels = split, dataset.y_train
        self.learner = SlayerLearner(config, dataset, dataset.x_train[split.train])
        self.payloads = self.learner.encoder.encode(dataset.x_train)
        self.n_epochs = config.epochs or slayer_epochs(len(split.train))
        self.decay = torch.optim.lr_scheduler.CosineAnnealingLR(self.learner.optimizer, self.n_epochs)
        self.progress: SlayerProgress = SlayerProgress()
        self.best = self.learner.network()
        self._generator = torch.Generator().manual_seed(config.seed)
        self._shuffle()

    @property
    def n_images(self) -> int:
        """Training images per epoch."""
        return len(self.split.train)

    def _shuffle(self) -> None:
        """Draw the order of the next epoch."""
        self._before = self._generator.get_state()
        self._order = torch.tensor(self.split.train)[torch.randperm(self.n_images, generator=self._generator)]

    def step(self) -> None:
        """Make one gradient step."""
        start, progress = time.process_time(), self.progress
        chosen = self._order[progress.position : progress.position + BATCH].numpy()
        progress.n_correct += self.learner.learn_payloads(self.payloads[chosen], self.labels[chosen])
        progress.position += len(chosen)
        spent = time.process_time() - start
        progress.epoch_s, progress.cpu_s = progress.epoch_s + spent, progress.cpu_s + spent

    def end_epoch(self) -> None:
        """Decay the learning rate, validate, and keep the network if none was better."""
        start, progress, validation = time.process_time(), self.progress, self.split.validation
        with quiet():  # resumed here, torch misses the optimiser's last step
            self.decay.step()
        val_accuracy = self.learner.measure(self.payloads[validation], self.labels[validation])
        progress.epoch += 1
        if val_accuracy.n_correct >= progress.best_correct:
            progress.best_correct, progress.best_epoch = val_accuracy.n_correct, progress.epoch
            self.best = self.learner.network()
        speed = self.n_images / max(progress.epoch_s, 1e-9)
        line = SlayerEpoch(progress.epoch, progress.n_correct / self.n_images, val_accuracy.value, speed)
        progress.history.append(line)
        progress.position, progress.n_correct, progress.epoch_s = 0, 0, 0.0
        self._shuffle()
        progress.cpu_s += time.process_time() - start

    @property
    def val_accuracy(self) -> Accuracy:
        """What the best epoch reached on the validation images."""
        return Accuracy(self.progress.best_correct, len(self.split.validation))

    def state(self) -> State:
        """All that is needed to go on."""
        adam = self.learner.optimizer.state_dict()
        arrays: dict[str, Array] = {ORDER: self._before.numpy()}
        arrays.update({MODEL + name: _array(values) for name, values in self.learner.model.state_dict().items()})
        for index, moments in adam["state"].items():
            arrays.update({f"{ADAM}{index}.{name}": _array(values) for name, values in moments.items()})
        arrays.update({BEST + projection.name: projection.weights for projection in self.best.projections})
        return State(
            arrays,
            {"progress": asdict(self.progress), "adam": adam["param_groups"], "decay": self.decay.state_dict()},
        )

    def restore(self, state: State) -> None:
        """Stand where `state` was taken. Raises: KeyError, TypeError or UserError if it is of another training."""
        moments: dict[int, dict[str, Tensor]] = {}
        for name, values in state.named(ADAM).items():
            index, _, kind = name.partition(".")
            moments.setdefault(int(index), {})[kind] = torch.from_numpy(values)
        model = {name: torch.from_numpy(values) for name, values in state.named(MODEL).items()}
        try:
            self.learner.model.load_state_dict(model)
            self.learner.optimizer.load_state_dict({"state": moments, "param_groups": state.fields["adam"]})
            self._generator.set_state(torch.from_numpy(state.arrays[ORDER]))
        except (RuntimeError, ValueError) as error:  # of torch: names or shapes that do not fit
            raise TypeError(str(error)) from error
        self.decay.load_state_dict(state.fields["decay"])
        self.best = self.best.with_weights(state.named(BEST))
        self.progress = SlayerProgress.from_json(state.fields["progress"])
        self._shuffle()


def _array(values: Tensor) -> Array:
    copied: Array = values.detach().numpy().copy()
    return copied
