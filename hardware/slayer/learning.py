"""How SLAYER's network learns: Adam on lava-dl's loss, unrolled over all steps; rate and epoch chosen on validation.

The learning rate is chosen by short trainings before the long one, the epoch within it. Test images are never read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hardware.slayer.config import SlayerConfig
from hardware.slayer.trainer import LEARNING_RATES, SlayerTrainer
from neuro.base.errors import UserError
from neuro.base.metrics import clearly_better
from neuro.data.sets import Dataset, Split

TRIAL_PRESENTATIONS = 4_000  # of a trial, of at most so many different images
TRIAL_VALIDATION = 2_000


@dataclass(frozen=True)
class SlayerTrial:
    """What a short training with a learning rate reached on n validation images."""

    learning_rate: float
    val_accuracy: float
    n: int


def train_slayer(dataset: Dataset, config: SlayerConfig, split: Split) -> SlayerTrainer:
    """Train on split.train to the end; the epoch is chosen on split.validation. The trainer holds what it reached.

    Raises: UserError if lava-dl is missing, or the loss leaves all bounds.
    """
    trainer = SlayerTrainer(dataset, config, split)
    trainer.run()
    return trainer


def tune_slayer(
    dataset: Dataset, config: SlayerConfig, split: Split, on_trial: Callable[[SlayerTrial], None] = lambda trial: None
) -> tuple[float, list[SlayerTrial]]:
    """A learning rate and the trials that led to it; that of `config` and none if it has one.

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
            trainer = train_slayer(dataset, replace(config, learning_rate=rate, epochs=epochs), subset)
            val_accuracy = trainer.progress.history[-1].val_accuracy
        except UserError:
            val_accuracy = 0.0
        trials.append(SlayerTrial(rate, val_accuracy, len(subset.validation)))
        on_trial(trials[-1])
    best = max(trials, key=lambda trial: trial.val_accuracy)
    better = clearly_better(best.val_accuracy, trials[0].val_accuracy, best.n)
    return (best if better else trials[0]).learning_rate, trials
