"""From a data set and a configuration to a sparse coder ready to learn its dictionary."""

from __future__ import annotations

import math

import numpy as np

from neuro.base.arrays import Array, Int64, Reals
from neuro.base.convolution import Convolution, square
from neuro.base.errors import UserError
from neuro.coding.dictionary import patches_of
from neuro.coding.sigma_delta import CoderDesign
from neuro.data.sets import Dataset
from neuro.front_ends.pixels import REACH, PixelEncoder, gain_bits_for
from sim.coding.config import FISTA, LcaConfig
from sim.coding.learner import DictionaryLearner
from sim.coding.solved_learner import SolvedLearner
from sim.training.front_end import FrontEnd

DENSE_ATOMS, KERNEL_ATOMS = 256, 64
SHARE_OF_LENGTH = 0.07  # default threshold relative to the median length of a signal: about 15 of 256 atoms on MNIST
STEPS_PER_THRESHOLD = 4  # payload units in a threshold, at least
IMAGES_TO_SEE, FEWEST_EPOCHS, MOST_EPOCHS = 120_000, 2, 40
SAMPLE = 1024
INPUT_BITS = 7


def coder_epochs(config: LcaConfig, n_images: int) -> int:
    """The number of epochs: as configured, else enough to see IMAGES_TO_SEE images within bounds."""
    return config.epochs or min(max(round(IMAGES_TO_SEE / n_images), FEWEST_EPOCHS), MOST_EPOCHS)


def geometry(config: LcaConfig, image_shape: tuple[int, ...]) -> Convolution | None:
    """The convolution of the kernels, None for whole images."""
    if config.patch is None:
        return None
    convolution = square(image_shape, config.patch, config.stride or max(config.patch // 2, 1), config.same)
    convolution.positions(image_shape)  # refuses what does not tile
    return convolution


def design_encoder(images: Array, config: LcaConfig) -> PixelEncoder:
    """The encoder of training images [B, ...]: centred, then as configured.

    Normalised and whitened values have a size of about 1 and reach REACH; they take coarser units, so that payloads,
    and with them the sums on the chip, are no larger than those of pixels.
    """
    if not (config.whiten or config.normalise_contrast):
        return PixelEncoder(INPUT_BITS, None, gain_bits_for(images)).centred_on(images)
    bits = INPUT_BITS - math.ceil(math.log2(REACH))
    encoder = PixelEncoder(bits, None, gain_bits_for(images)).centred_on(images)
    if config.normalise_contrast:
        encoder = encoder.contrast_normalised()
    return encoder.whitened_on(images) if config.whiten else encoder


def design_coder(dataset: Dataset, config: LcaConfig, train: Int64, front: FrontEnd | None) -> CoderDesign:
    """The design for the images `train` of the training set: encoder, threshold and scales follow from them."""
    images = dataset.x_train[train]
    encoder = front.encoder if front else design_encoder(images, config)
    convolution = geometry(config, dataset.image_shape)
    sample = encoder.encode(images[:: max(1, len(images) // SAMPLE)]) * 2.0**-encoder.activation_bits
    lengths = signal_lengths(sample, dataset.image_shape, convolution)
    threshold = config.sparsity_threshold
    if threshold is None:
        threshold = float(f"{SHARE_OF_LENGTH * float(np.median(lengths[lengths > 0])):.1g}") if lengths.any() else 0.1
    if threshold >= float(lengths.max(initial=0.0)):
        raise UserError(
            f"sparsity_threshold {threshold:g}: every code would be zero, no signal is longer than "
            f"{float(lengths.max(initial=0.0)):.3g}; choose one below, about {SHARE_OF_LENGTH} of it"
        )
    bits = config.activation_bits
    return CoderDesign(
        dataset.image_shape,
        threshold,
        convolution,
        config.layout,
        config.signed,
        config.threshold_kind,
        reach=2.0 ** math.ceil(math.log2(max(float(lengths.max()), 1.0))),
        activation_bits=min(max(math.ceil(math.log2(STEPS_PER_THRESHOLD / threshold)), 0), 10)
        if bits is None
        else bits,
        encoder=encoder,
    )


def signal_lengths(images: Reals, shape: tuple[int, ...], convolution: Convolution | None) -> Reals:
    """The lengths |x| of all signals in real images [B, N]: of whole images or of patches."""
    if convolution is None:
        return np.asarray(np.linalg.norm(images, axis=1))
    lengths: Reals = np.sqrt(patches_of(np.square(images), convolution, shape).sum(axis=2)).ravel()
    return lengths


def make_learner(design: CoderDesign, config: LcaConfig) -> DictionaryLearner:
    """The learner at its start."""
    default = DENSE_ATOMS if design.convolution is None else KERNEL_ATOMS
    kind = SolvedLearner if config.solver == FISTA else DictionaryLearner
    return kind(design, config.atoms or default, config.seed, config.shadow_bits)
