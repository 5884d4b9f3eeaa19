"""Adversarial training of an EP network: every image is learned as the network of the moment is attacked with it.

Source: Madry et al. 2018, with the local rule in place of backpropagation; the images come from the integer twin. The
attack grows over the first half of the training: of attacks of full size from the start an EP network learns nothing
(784-128-10, 4,000 MNIST images, 8 epochs, eps .1, validation images under PGD-10: .16; of growing attacks .59,
.52 at half the learning rate, .43 at a quarter).
"""

from __future__ import annotations

from dataclasses import replace

import torch

from neuro.base.arrays import Int64
from sim.robustness.attacks.search import Attack
from sim.robustness.attacks.threats import Threat
from sim.training.trainer import Trainer
from sim.training.tune import Trial
from sim.training.watcher import Watcher
from sim.twins.make import make_twin

GROWTH = 0.5  # of the epochs, over which the attack grows to its size
FIRST = 0.01  # epochs: the first attack is not of size 0
EVERY = 256  # images learned between two attacks: more, and the network has moved away from what they deceive


class AdversarialTraining(Watcher):
    """A watcher of a training that replaces images just before they are learned or validated, and tells
    another one.

    Args: watcher, told all; images real in 0..1 of shape [n, *shape], those trained on; attack and threat; seed of the
    attack. A run that is interrupted cannot be resumed: the images it met are not kept.
    """

    def __init__(
        self, watcher: Watcher, images: torch.Tensor, labels: torch.Tensor, attack: Attack, threat: Threat, seed: int
    ) -> None:
        self.watcher, self.images, self.labels = watcher, images, labels
        self.attack, self.threat, self.seed = attack, threat, seed
        self.attacked = 0

    def on_compile(self) -> None:
        """Pass it on."""
        self.watcher.on_compile()

    def on_trial(self, trial: Trial) -> None:
        """Pass it on: learning rates are chosen on images as they are."""
        self.watcher.on_trial(trial)

    def on_stage(self, stage: str, trainer: Trainer) -> None:
        """Give the trainer payloads of its own, the first of them attacked."""
        self.watcher.on_stage(stage, trainer)
        trainer.chunk = EVERY
        trainer.data = replace(trainer.data, payloads=trainer.data.payloads.copy())
        self._replace(trainer, trainer.upcoming(), self._share(trainer))

    def on_chunk(self, trainer: Trainer) -> None:
        """Attack what comes next: the next chunk, or, where an epoch ends, the validation images."""
        self.watcher.on_chunk(trainer)
        following = trainer.upcoming()
        if len(following):
            self._replace(trainer, following, self._share(trainer))
        else:
            self._replace(trainer, trainer.data.split.validation, 1.0)

    def on_epoch(self, trainer: Trainer) -> None:
        """Attack the first chunk of the next epoch."""
        self.watcher.on_epoch(trainer)
        if trainer.progress.epoch < trainer.n_epochs:
            self._replace(trainer, trainer.upcoming(), self._share(trainer))

    def _share(self, trainer: Trainer) -> float:
        """Share of the threat that is due by now."""
        done = trainer.progress.epoch + trainer.progress.position / trainer.n_images
        return min(max(done, FIRST) / (GROWTH * trainer.n_epochs), 1.0)

    def _replace(self, trainer: Trainer, chosen: Int64, share: float) -> None:
        threat = replace(self.threat, eps=share * self.threat.eps)
        spec = trainer.session.spec.with_weights(trainer.deployable())
        twin = make_twin(spec)
        for first in range(0, len(chosen), EVERY):
            batch = chosen[first : first + EVERY]
            adversarial = self.attack(twin, self.images[batch], self.labels[batch], threat, self.seed + self.attacked)
            trainer.data.payloads[batch] = spec.encoder.encode(adversarial.images.detach().numpy())
            self.attacked += len(batch)
