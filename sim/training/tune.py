"""Choose hyper-parameters from the training data: three from its statistics, two by trial on the validation split.

- Learning rates are relative to the mean squared length of the input, which carries most of the way from one data set
  to the next (`sim.training.trainer.Choices`).
- Images are centred if their mean carries more than half of that squared length: it is then the direction in which
  every hidden neuron would be pushed first. Otherwise zero pixels stay zero and cost no spike. With two or more hidden
  layers a quarter is enough: MNIST 128-128 learns faster when centred (`benchmarks.depth`). Noisy images always are,
  for clipped noise has a mean of its own, and learn from NOISE_RATE times the rates (`benchmarks.certified`).
- On small training sets the weights get a finer grid and saturate earlier (exponent_offset 1), which regularises:
  validation accuracy .984 against .981 on digits (64 hidden, 40 splits), but .978 against .980 on MNIST (3 splits).
- The learning rate, then the share of the output layer: a first guess, and a lower and a higher value each tried in a
  short training of its own. Another value replaces the first guess only if it is better by two standard errors; while
  the lowest learning rate is best, half of it is tried too.

Test images are never read. Deterministic. The figures above are measured by `python -m benchmarks.design_choices`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from neuro.base.metrics import clearly_better
from neuro.data.sets import Dataset, Split
from sim.training.compute import NATIVE, Compute
from sim.training.config import TrainConfig
from sim.training.recipe import is_small, make_trainer
from sim.training.trainer import Choices

TRIAL_PRESENTATIONS = 16_384
TRIAL_IMAGES = 8_192  # at most so many different training images
TRIAL_VALIDATION = 4_096
CENTRE_ABOVE = 0.5  # share of the squared length that the mean image carries
CENTRE_DEEP_ABOVE = 0.25  # with two or more hidden layers; of kernels only where layers update in turn
# By hidden layers (2: two, or kernels; 3: three or more); first guess first.
LEARNING_RATES = {1: (1.4, 0.7, 2.8), 2: (1.0, 0.5, 2.0), 3: (1.0, 0.5, 2.0)}
OUTPUT_SHARES = {1: (0.125, 0.0625, 0.25), 2: (0.4, 0.2, 0.8), 3: (0.2, 0.1, 0.4)}
MAP_RATES, MAP_SHARES = (2.0, 1.0, 4.0), (0.8, 0.4, 1.6)  # of maps whose layers update in turn
THREE_RATES = (0.5, 0.25, 1.0)  # of three or more layers that do
MORE_RATES = 4
FULL_RATE_BATCH = 16  # in larger batches, whose steps add up unseen by each other, the first guesses fall as 1 / size
NOISE_RATE = 4.0  # of noisy images, most of whose length says nothing
KERNEL_TRIALS = 4_096  # presentations and images of a trial of convolutional networks, which take longer


@dataclass(frozen=True)
class Trial:
    """One trial: what was tried and the validation accuracy it reached on n images."""

    choices: Choices
    val_accuracy: float
    n: int

    def beats(self, other: Trial) -> bool:
        """Whether this trial is better than `other` by more than two standard errors."""
        return clearly_better(self.val_accuracy, other.val_accuracy, self.n)


def tune(
    dataset: Dataset, config: TrainConfig, split: Split, on_trial: Callable[[Trial], None], compute: Compute = NATIVE
) -> tuple[Choices, list[Trial]]:
    """Hyper-parameters for `config` and the trials that led to them. What the user fixed stays fixed."""
    rates, shares = guesses(config)
    best = Choices(
        learning_rate=config.learning_rate or rates[0],
        output_share=config.output_share or shares[0],
        centred=wants_centring(dataset, config, split),
        exponent_offset=int(is_small(dataset)) if config.exponent_offset is None else config.exponent_offset,
    )
    trials: dict[Choices, Trial] = {}
    subset = _subset(split, config)

    def attempt(choices: Choices) -> Trial:
        if choices not in trials:
            reached = _train_briefly(dataset, config, choices, subset, compute)
            trials[choices] = Trial(choices, reached, len(subset.validation))
            on_trial(trials[choices])
        return trials[choices]

    if config.learning_rate is None:
        tried = [attempt(replace(best, learning_rate=rate)) for rate in rates]
        best = _significantly_best(tried)
        for _ in range(MORE_RATES):  # unsteady data: lower still, as long as it helps
            if best.learning_rate > min(trial.choices.learning_rate for trial in tried):
                break
            tried.append(attempt(replace(best, learning_rate=best.learning_rate / 2)))
            best = _significantly_best([trials[best], tried[-1]])
    if config.output_share is None:
        best = _significantly_best([attempt(replace(best, output_share=share)) for share in shares])
    return best, list(trials.values())


def guesses(config: TrainConfig) -> tuple[list[float], tuple[float, ...]]:
    """Learning rates and output shares that are tried with such layers and batches, the first guess first."""
    depth = min(max(len(config.hidden_layers), 1 + config.convolutional), 3)
    fall = min(1.0, FULL_RATE_BATCH / config.batch_size) * (NOISE_RATE if config.noise else 1.0)
    maps = config.convolutional and config.in_turn
    rates, shares = (MAP_RATES, MAP_SHARES) if maps else (LEARNING_RATES[depth], OUTPUT_SHARES[depth])
    if config.in_turn and depth == 3:
        rates, shares = THREE_RATES, MAP_SHARES if maps else OUTPUT_SHARES[2]
    return [rate * fall for rate in rates], shares


def untuned(config: TrainConfig) -> TrainConfig:
    """The configuration with the first guess in place of every rate left open: it takes no trials."""
    rates, shares = guesses(config)
    return replace(
        config,
        learning_rate=config.learning_rate or rates[0],
        output_share=config.output_share or shares[0],
    )


def wants_centring(dataset: Dataset, config: TrainConfig, split: Split) -> bool:
    """Whether to centre the images: as configured, else by the data and the depth of the network."""
    if config.centred is not None:
        return config.centred
    if config.noise:
        return True
    deep = len(config.hidden_layers) > 1 and (config.in_turn or not config.convolutional)
    return mean_share(dataset, split) > (CENTRE_DEEP_ABOVE if deep else CENTRE_ABOVE)


def mean_share(dataset: Dataset, split: Split) -> float:
    """The share of the mean squared length of the training images that their mean carries, in 0..1."""
    flat = dataset.x_train[split.train].reshape(len(split.train), -1).astype(np.float32)
    total = float(np.mean(np.einsum("bi,bi->b", flat, flat)))
    return float(np.sum(np.square(flat.mean(axis=0)))) / total if total > 0 else 0.0


def _significantly_best(trials: Sequence[Trial]) -> Choices:
    """The choices of the best trial if it beats the first one significantly, else of the first."""
    best = max(trials, key=lambda trial: trial.val_accuracy)
    return best.choices if best.beats(trials[0]) else trials[0].choices


def _subset(split: Split, config: TrainConfig) -> Split:
    generator = np.random.default_rng([config.seed, 0x7121])
    train = generator.permutation(split.train)[: KERNEL_TRIALS if config.convolutional else TRIAL_IMAGES]
    return Split(np.sort(train), np.sort(generator.permutation(split.validation)[:TRIAL_VALIDATION]))


def _train_briefly(dataset: Dataset, config: TrainConfig, choices: Choices, split: Split, compute: Compute) -> float:
    presentations = KERNEL_TRIALS if config.convolutional else TRIAL_PRESENTATIONS
    epochs = max(1, round(presentations / len(split.train)))
    trainer = make_trainer(dataset, config, choices, split, epochs, compute=compute)
    with trainer.session:
        trainer.run()
    return trainer.validation_accuracy()[0] or 0.0
