"""From a data set and a configuration to a network ready to train."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from neuro.base.arrays import Integers
from neuro.base.errors import UserError
from neuro.base.scales import glorot_bound
from neuro.data.rescaling import PIXEL_COLUMNS
from neuro.data.sets import Dataset, Split
from neuro.equilibrium.design import EquilibriumDesign, design_for
from neuro.equilibrium.graded_relu import GradedDesign, GradedNetwork, open_boxes
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.front_ends.named import fixed_front
from neuro.front_ends.pixels import PixelEncoder, gain_bits_for
from neuro.spec.layers import shapes_of
from neuro.spec.network import Network
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import one_hot_targets
from sim.backends.session import AnySession
from sim.training.compute import NATIVE, Compute
from sim.training.config import FEATURE_BITS, TrainConfig, learns_on_chip
from sim.training.guided import GuidedTrainer, guide_for, guided_network
from sim.training.noise import drawn_once, noise_of, payloads_once
from sim.training.pace import Pace
from sim.training.rates import squared_length
from sim.training.shift import check_shift, shift_of
from sim.training.stock_recipe import (
    UPPER,
    StockTrainer,
    build_stock,
    stock_choices,
    stock_epochs,
)
from sim.training.trainer import USUAL, Choices, Trainer
from sim.training.training_set import TrainingSet

if TYPE_CHECKING:
    from sim.training.front_end import Front

IMAGES_TO_SEE = 720_000  # presentations of a default training: 12 epochs of 60,000 images
FEWEST_EPOCHS, MOST_EPOCHS, FEWEST_KERNEL_EPOCHS = 12, 40, 8
FEWEST_STATE_BITS = 13  # behind a fixed front end
GRADED_FREE_STEPS = 15  # as many as digits and MNIST need on a validation split (benchmarks.stock_graded)
DRIVE, MOST_GAIN = 0.4, 100.0  # 0.4: of MNIST images
SAMPLE = 4096
AVERAGED = 25_000  # presentations over which weights are averaged, at most
KERNEL_PRESENTATIONS = 440_000  # of a default training of maps: 8 epochs of 55,000 images
SMALL = 10_000  # training images; below, regularise and, after validation, train again on all of them


def n_epochs(config: TrainConfig, n_images: int) -> int:
    """The number of epochs: as configured, else enough to see `IMAGES_TO_SEE` images within bounds."""
    if config.epochs is not None:
        return config.epochs
    if learns_on_chip(config):
        return stock_epochs(n_images)
    if config.convolutional and config.in_turn:
        return min(max(round(KERNEL_PRESENTATIONS / n_images), FEWEST_KERNEL_EPOCHS), MOST_EPOCHS)
    return min(max(round(IMAGES_TO_SEE / n_images), FEWEST_EPOCHS), MOST_EPOCHS)


def is_small(dataset: Dataset) -> bool:
    """Whether the training set is so small that overfitting decides the accuracy."""
    return len(dataset.y_train) < SMALL


def wants_refit(config: TrainConfig, dataset: Dataset) -> bool:
    """Whether to train once more on all training images: if few, and if no epoch has to be chosen.

    Networks with two or more hidden layers end unsteadily; there the best of the validated epochs is worth more.
    """
    return is_small(dataset) and len(config.hidden_layers) == 1 if config.refit is None else config.refit


def build_network(dataset: Dataset, config: TrainConfig, choices: Choices, split: Split) -> Network:
    """The untrained network for a data set; gain and mean of the encoder come from split.train."""
    if learns_on_chip(config):
        return build_stock(dataset, config, split)
    images = dataset.x_train[split.train]
    encoder, more = PixelEncoder(gain_bits=gain_bits_for(images)), {}
    shape = dataset.image_shape
    if config.fixed_front:
        fixed = fixed_front(config.fixed_front, shape, config.seed)
        encoder, shape = PixelEncoder.of(fixed), fixed.shape
    elif config.front_end or config.code_bits:
        encoder = PixelEncoder(activation_bits=config.code_bits)
    if choices.centred:
        encoder = encoder.centred_on(drawn_once(images[:SAMPLE], config.noise, config.seed) if config.noise else images)
    if config.fixed_front or config.front_end or config.code_bits:
        n_first = math.prod(shapes_of(shape, config.hidden_layers)[0])
        more["hidden_gain"] = gain_for(encoder.encode(images[:SAMPLE]), encoder, n_first)
    design = design_for(
        shape,
        dataset.n_classes,
        config.hidden_layers,
        rule=config.sigma_delta_rule,
        shadow_bits=config.shadow_bits,
        weight_bits=config.weight_bits,
        exponent_offset=choices.exponent_offset,
        encoder=encoder,
        **config.settling,
        **more,
    )
    spec = _within_32_bits(design, config.seed) if config.fixed_front else build_equilibrium(design, config.seed)
    spec = guided_network(spec, dataset, config)
    return open_boxes(spec, UPPER) if config.graded else spec


def _within_32_bits(design: EquilibriumDesign, seed: int) -> NetworkSpec:
    """The network of a design with as many state bits as leave its sums 32 bits: many cells may send much at once.

    Raises: UserError if FEWEST_STATE_BITS are too many.
    """
    for bits in range(design.state_bits, FEWEST_STATE_BITS, -1):
        with contextlib.suppress(UserError):
            return build_equilibrium(replace(design, state_bits=bits), seed)
    return build_equilibrium(replace(design, state_bits=FEWEST_STATE_BITS), seed)


def pace_for(config: TrainConfig, presentations: int) -> Pace:
    """How a training of so many presentations goes on.

    Of networks whose layers update in turn: rates fall in a straight line to a fiftieth, biases of maps learn at a
    quarter of the rate of kernels, and weights are averaged over the last sixteenth of the presentations, 25,000 at
    most (`benchmarks.deep_maps` has a table of what each is worth).
    """
    if not config.in_turn:
        return USUAL
    return Pace(final_rate=0.02, linear=True, bias_share=0.25, averaged=min(presentations // 16, AVERAGED))


def behind(config: TrainConfig, front: Front) -> TrainConfig:
    """The configuration of a network behind a front end."""
    return replace(
        config, front_end=front.sha256, code_bits=front.encoder.activation_bits, centred=config.centred or False
    )


def suited(config: TrainConfig, dataset: Dataset) -> TrainConfig:
    """The configuration for what the data are: features of a table are presented in FEATURE_BITS, pixels as they are.

    Few features carry little each: iris is read at .983 with 7 bits, at .950 with 5 (10 splits, first guesses of the
    rates); against other classifiers: `benchmarks.strangers`.
    """
    table = (
        is_table(dataset)
        and config.family == "sigma-delta"
        and not (config.front_end or config.code_bits or config.fixed_front)
    )
    return replace(config, code_bits=FEATURE_BITS) if table else config


def is_table(dataset: Dataset) -> bool:
    """Whether images are features, each of a meaning of its own, rather than pixels."""
    images, rescaling = dataset.x_train, dataset.preparation.rescaling
    if rescaling is not None:
        return rescaling.by_feature
    return images.ndim == 2 and images.dtype.kind == "f" and images.shape[1] < PIXEL_COLUMNS


def gain_for(payloads: Integers, encoder: PixelEncoder, n_hidden: int) -> float:
    """The gain of initial weights that gives hidden units a drive of standard deviation DRIVE, at least 1.

    Codes and small sets of features are short where images are long: with Glorot weights of gain 1 nothing would reach
    the hidden layer.
    """
    length = math.sqrt(squared_length(encoder, payloads) - 1.0)
    drive = glorot_bound(payloads.shape[1], n_hidden) / math.sqrt(3.0) * length
    return min(max(DRIVE / drive if drive > 0 else 1.0, 1.0), MOST_GAIN)


def deployed(spec: Network, config: TrainConfig) -> Network:
    """The network that is deployed: graded ones are trained as sigma-delta networks, and run as stock ones."""
    if config.graded and isinstance(spec, NetworkSpec):
        return GradedNetwork(spec, GradedDesign(free_steps=GRADED_FREE_STEPS))
    return spec


def check_rates(dataset: Dataset, config: TrainConfig, split: Split) -> None:
    """Raise UserError, before anything is done, if the learning engine cannot hold the rates asked for.

    Or if the layers or shifts do not fit the images.
    """
    if learns_on_chip(config):
        build_stock(dataset, config, split)
    else:
        shape = dataset.image_shape
        maps = fixed_front(config.fixed_front, shape, config.seed).shape if config.fixed_front else shape
        shapes_of(maps, config.hidden_layers)
        check_shift(config.pixels_shifted(dataset.image_shape), dataset.image_shape, config.flip)


def compile_kernels(dataset: Dataset, config: TrainConfig, compute: Compute = NATIVE) -> None:
    """Run every kernel of a training once, so that compiling (once per installation) is not timed as training."""
    few, choices = np.arange(2), Choices()
    if learns_on_chip(config):
        config = replace(config, learning_rate=None, output_share=None)  # two images are no measure for the user's
        choices = stock_choices(config)
    trainer = make_trainer(dataset, config, choices, Split(few, few), 1, compute=compute)
    with trainer.session as session:
        payloads, targets = trainer.data.payloads, one_hot_targets(session.spec, trainer.data.labels)
        session.learn(payloads, targets, trainer.rates(0), seed=config.seed, first_image=0)
        session.run(payloads)


def make_trainer(
    dataset: Dataset,
    config: TrainConfig,
    choices: Choices,
    split: Split,
    epochs: int,
    spec: Network | None = None,
    compute: Compute = NATIVE,
) -> Trainer:
    """A trainer on the images of `split`, at its start. spec: the untrained network, default `build_network`."""
    spec = spec or build_network(dataset, config, choices, split)
    used = np.union1d(split.train, split.validation)
    data = TrainingSet(
        payloads=payloads_once(spec.encoder, dataset.x_train[used], config.noise, config.seed),
        labels=dataset.y_train[used],
        split=Split(np.searchsorted(used, split.train), np.searchsorted(used, split.validation)),
        shift=shift_of(config.pixels_shifted(dataset.image_shape), dataset.image_shape, spec.encoder, config.flip),
        noise=noise_of(config.noise, dataset.x_train[used], spec.encoder),
    )

    def opened(network: Network) -> AnySession:
        return compute.open(network, config.threads, config.batch_size)

    guide = guide_for(dataset, config, spec, used)
    kind: Callable[..., Trainer] = StockTrainer if learns_on_chip(config) else Trainer
    if guide is not None:
        kind = partial(GuidedTrainer, guide=guide)
    pace = pace_for(config, epochs * len(split.train))
    reopen = opened if config.in_turn else None
    return kind(opened(spec), data, choices, epochs, config.seed, config.batch_size, pace, reopen)
