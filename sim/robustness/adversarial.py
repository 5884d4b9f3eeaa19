"""Adversarial training of an EP network: every image is learned as the network of the moment is attacked with it.

Source: Madry et al. 2018, with the local rule in place of backpropagation; the images come from the integer twin.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from sim.robustness.attack import Attack, Threat
from sim.robustness.twin import make_twin
from sim.train import Watcher
from sim.trainer import Trainer
from sim.tune import Trial

BATCH = 512


class AdversarialTraining:
    """A `sim.train.Watcher` that replaces images just before they are learned or validated, and tells another one.

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
        trainer.data = replace(trainer.data, payloads=trainer.data.payloads.copy())
        self._replace(trainer, trainer.upcoming())

    def on_chunk(self, trainer: Trainer) -> None:
        """Attack what comes next: the next chunk, or, where an epoch ends, the validation images."""
        self.watcher.on_chunk(trainer)
        following = trainer.upcoming()
        self._replace(trainer, following if len(following) else trainer.data.split.validation)

    def on_epoch(self, trainer: Trainer) -> None:
        """Attack the first chunk of the next epoch."""
        self.watcher.on_epoch(trainer)
        if trainer.progress.epoch < trainer.n_epochs:
            self._replace(trainer, trainer.upcoming())

    def _replace(self, trainer: Trainer, chosen: npt.NDArray[np.int64]) -> None:
        spec = trainer.session.spec.with_weights(trainer.deployable())
        twin = make_twin(spec)
        for first in range(0, len(chosen), BATCH):
            part = chosen[first : first + BATCH]
            found = self.attack(twin, self.images[part], self.labels[part], self.threat, self.seed + self.attacked)
            trainer.data.payloads[part] = spec.encoder.encode(found.images.detach().numpy())
            self.attacked += len(part)
