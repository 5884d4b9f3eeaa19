"""Dictionaries of sparse codes: unit-norm atoms, what makes them hard to code with, and how signals are prepared.

A dictionary D is of shape [N, K], one atom a column; the kernels of a convolutional one (`neuro.base.convolution`) of
shape (extent..., channels, K), one atom along the last axis. A code a of a signal x minimises the Lasso objective

    1/2 |x - D a|^2 + sparsity_threshold * sum |a|         with a >= 0, unless codes are signed.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from neuro.base.arrays import AnyArray
from neuro.base.convolution import OUTSIDE, Convolution
from neuro.base.errors import UserError

NORM_TOLERANCE = 1e-3  # atoms whose norm is this near to 1 count as normalised
MAX_COHERENCE = 0.99  # two atoms more alike than this are one atom twice: codes are then not unique
RANK_TOLERANCE = 1e-10  # a Gram matrix with an eigenvalue below this share of the largest is rank deficient
POWER_STEPS = 50  # of the power iteration for the norm of a convolutional Gram matrix


class DictionaryWarning(UserWarning):
    """A dictionary or a threshold with which coding is possible, but slow, ambiguous or void."""


def unit_norm(dictionary: AnyArray) -> AnyArray:
    """The dictionary with every atom (last axis) of Euclidean norm 1. Raises: UserError on zero atoms."""
    norms = _checked_norms(dictionary)
    return np.asarray(dictionary / norms, dtype=dictionary.dtype)


def random_dictionary(shape: tuple[int, ...], seed: int, dtype: npt.DTypeLike = np.float64) -> AnyArray:
    """Normal random atoms of unit norm, one along the last axis of `shape`."""
    return unit_norm(np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def _checked_norms(dictionary: AnyArray) -> AnyArray:
    """Norms of the atoms, of shape [K]."""
    if dictionary.ndim < 2 or 0 in dictionary.shape:
        raise UserError(f"dictionary: shape {dictionary.shape}; needs [N, K] or (extent..., channels, K), none 0")
    if not np.all(np.isfinite(dictionary)):
        raise UserError("dictionary: holds NaN or infinity; lower the learning rate, or remove those values")
    norms = np.sqrt(np.square(dictionary.reshape(-1, dictionary.shape[-1]).astype(np.float64)).sum(axis=0))
    zero = np.flatnonzero(norms == 0)
    if len(zero):
        raise UserError(
            f"dictionary: {len(zero)} of {len(norms)} atoms are zero, first {zero[0]}; remove or redraw them"
        )
    return np.asarray(norms)


@dataclass(frozen=True)
class Coherence:
    """How alike the atoms are. coherence: largest |<d_i, d_j>| / (|d_i| |d_j|), i != j (shifts of one atom included).

    gram_norm: largest eigenvalue of D^T D. With a time constant of half of it (in steps) or more the objective of LCA
               never rises; with less, codes may oscillate.
    """

    coherence: float
    gram_norm: float


def check_dictionary(
    dictionary: AnyArray,
    tau_steps: float | None = None,
    convolution: Convolution | None = None,
    image_shape: tuple[int, ...] | None = None,
) -> Coherence:
    """Refuse a useless dictionary, warn of a difficult one, and return its coherence.

    Args:   dictionary of shape [N, K], or kernels with their `convolution` and `image_shape`.
            tau_steps, the time constant of the coder in steps; without it stability is not judged.
    Raises: UserError for NaN and zero atoms.
    Warns:  DictionaryWarning for atoms not of unit norm, (near) duplicates, linearly dependent atoms, and a time
            constant too small for the dictionary.
    """
    norms = _checked_norms(dictionary)
    real = dictionary.astype(np.float64)
    deficient = False
    if convolution is None:
        gram = real.T @ real
        largest_pair = _largest_off_diagonal(gram / np.outer(norms, norms))
        eigenvalues = np.linalg.eigvalsh(gram if real.shape[1] <= real.shape[0] else real @ real.T)
        largest = float(eigenvalues[-1])
        deficient = real.shape[1] <= real.shape[0] and float(eigenvalues[0]) < RANK_TOLERANCE * largest
    else:
        if image_shape is None:
            raise UserError("dictionary: kernels are checked for images of a shape; give image_shape")
        wanted = convolution.kernel_shape(image_shape, real.shape[-1])
        if real.shape != wanted:
            raise UserError(f"dictionary: kernels of shape {real.shape} for images {image_shape}; needs {wanted}")
        largest_pair = _shifted_coherence(real / norms, convolution.stride)
        largest = gram_norm(real, convolution, image_shape)
    found = Coherence(largest_pair, largest)
    _warn(found, norms, deficient, tau_steps)
    return found


def _warn(found: Coherence, norms: AnyArray, deficient: bool, tau_steps: float | None) -> None:
    """One warning that names all that makes the dictionary difficult."""
    faults = []
    if float(np.abs(norms - 1.0).max()) > NORM_TOLERANCE:
        faults.append(f"atoms have norms {norms.min():.3g}..{norms.max():.3g}, not 1: normalise them (unit_norm)")
    if deficient:
        faults.append("atoms are linearly dependent, codes not unique: use fewer atoms")
    if found.coherence > MAX_COHERENCE:
        faults.append("some atoms are nearly the same: use fewer atoms or subtract the mean of the training signals")
    if tau_steps is not None and tau_steps < found.gram_norm / 2:
        faults.append(
            f"a time constant of {tau_steps:g} steps can oscillate: use {found.gram_norm / 2:.3g} or more, fewer "
            "atoms, or subtract the mean of the training signals"
        )
    if faults:
        figures = f"largest coherence {found.coherence:.3f}, ||D^T D|| = {found.gram_norm:.3g}"
        warnings.warn(f"dictionary: {figures}; {'; '.join(faults)}", DictionaryWarning, stacklevel=3)


def _largest_off_diagonal(matrix: AnyArray) -> float:
    return float(np.abs(matrix - np.diag(np.diag(matrix))).max())


def _shifted_coherence(kernel: AnyArray, stride: tuple[int, ...]) -> float:
    """Largest |<d_i, d_j shifted>| over all shifts by strides at which two kernels overlap."""
    extents, features = kernel.shape[: len(stride)], kernel.shape[-1]
    reach = [range(1 - extent, extent) for extent in extents]
    largest = 0.0
    for shift in product(*reach):
        if any(s % step for s, step in zip(shift, stride, strict=True)):
            continue
        first = tuple(slice(max(s, 0), e + min(s, 0)) for s, e in zip(shift, extents, strict=True))
        other = tuple(slice(max(-s, 0), e - max(s, 0)) for s, e in zip(shift, extents, strict=True))
        gram = kernel[first].reshape(-1, features).T @ kernel[other].reshape(-1, features)
        largest = max(largest, float(np.abs(gram).max()) if any(shift) else _largest_off_diagonal(gram))
    return largest


def gram_norm(
    dictionary: AnyArray, convolution: Convolution | None = None, image_shape: tuple[int, ...] | None = None
) -> float:
    """The largest eigenvalue |D^T D|; of kernels by the power method over a whole image, atoms cropped by it.

    Args: dictionary of shape [N, K], or kernels with their `convolution` and `image_shape`.
    """
    if convolution is None or image_shape is None:
        gram = dictionary.T @ dictionary if dictionary.shape[0] > dictionary.shape[1] else dictionary @ dictionary.T
        return float(np.linalg.eigvalsh(gram)[-1])
    taps = convolution.taps(image_shape)
    kernel, size = dictionary.reshape(-1, dictionary.shape[-1]), math.prod(image_shape)
    inside = np.where(taps == OUTSIDE, size, taps)
    code = np.random.default_rng(0).random((len(taps), kernel.shape[1]))
    largest = 0.0
    for _ in range(POWER_STEPS):
        code /= np.linalg.norm(code)
        image = np.bincount(inside.ravel(), (code @ kernel.T).ravel(), minlength=size + 1)
        image[size] = 0.0
        code = image[inside] @ kernel
        largest = float(np.linalg.norm(code))
    return largest


def check_threshold(sparsity_threshold: float, dictionary: AnyArray, signals: AnyArray, signed: bool = False) -> float:
    """Refuse a threshold that is not positive; warn of one at which every code is zero. Returns the largest useful one.

    A code is all zero if no atom's drive D^T x exceeds the threshold.

    Args:  dictionary of shape [N, K] and signals [B, N], or kernels and `patches_of(images)`, [B, positions, N].
    """
    if not np.isfinite(sparsity_threshold) or sparsity_threshold <= 0:
        raise UserError(f"sparsity threshold {sparsity_threshold!r}: must be positive and finite, e.g. 0.1")
    atoms = dictionary.reshape(-1, dictionary.shape[-1])
    if signals.size == 0 or signals.shape[-1] != len(atoms):
        raise UserError(f"signals of shape {signals.shape} for atoms of {len(atoms)} values; they must agree")
    drive = signals.reshape(-1, len(atoms)) @ atoms
    largest = float(np.abs(drive).max() if signed else max(drive.max(), 0.0))
    if sparsity_threshold >= largest:
        warnings.warn(
            f"sparsity threshold {sparsity_threshold:g}: every code of the {len(signals)} signals is zero; the largest "
            f"useful threshold lies below {largest:.4g}",
            DictionaryWarning,
            stacklevel=2,
        )
    return largest


def patches_of(images: AnyArray, convolution: Convolution, image_shape: tuple[int, ...]) -> AnyArray:
    """The patches that the positions of a convolution read, of shape [B, positions, taps]; zero outside of the image.

    Args: images of shape [B, N] or [B, ...] with the N values of `image_shape` each.
    """
    flat = images.reshape(len(images), -1)
    if flat.shape[1] != int(np.prod(image_shape)):
        raise UserError(f"images hold {flat.shape[1]} values, those of shape {image_shape} hold {np.prod(image_shape)}")
    padded = np.concatenate([flat, np.zeros((len(flat), 1), flat.dtype)], axis=1)
    return np.asarray(padded[:, convolution.taps(image_shape)])  # OUTSIDE = -1 is the last value


def with_padding_observed(
    images: AnyArray, convolution: Convolution, image_shape: tuple[int, ...]
) -> tuple[AnyArray, Convolution, tuple[int, ...]]:
    """Flat zero-padded images, [B, N'], with the unpadded convolution and image shape that read them alike.

    Atoms that reach over a border must then explain the zeros there, so all positions compete in the same way (the
    lateral kernel of the usual public code). Without it what lies outside of an image is free, and atoms are cropped.
    """
    axes = len(convolution.kernel)
    widths = [(0, 0), *convolution.padding, *((0, 0) for _ in image_shape[axes:])]
    padded = np.pad(images.reshape(len(images), *image_shape), widths)
    bare = Convolution(convolution.kernel, convolution.stride, ((0, 0),) * axes)
    return padded.reshape(len(images), -1), bare, tuple(padded.shape[1:])
