"""Sparse coders that several tests need."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from neuro.base.convolution import Convolution
from neuro.coding.sigma_delta import CoderDesign, build_coder
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.sigma_delta import NetworkSpec
from sim.coding.config import LcaConfig

SIGNED_BITS = 7


def unit_atoms(n_values: int, n_atoms: int, seed: int, positive: bool = False) -> np.ndarray:
    """A random dictionary of unit norm, of shape [n_values, n_atoms]."""
    atoms = np.random.default_rng([seed, 0xD1C]).normal(size=(n_values, n_atoms))
    atoms = np.abs(atoms) if positive else atoms
    return np.asarray(atoms / np.linalg.norm(atoms, axis=0))


def centred_encoder(n_values: int) -> PixelEncoder:
    """Signals in -1/2..1/2."""
    return PixelEncoder(SIGNED_BITS, np.full(n_values, 1 << (SIGNED_BITS - 1), np.int16))


def signals(n_signals: int, n_values: int, seed: int) -> np.ndarray:
    """Payloads as `centred_encoder` gives them."""
    half = 1 << (SIGNED_BITS - 1)
    return np.random.default_rng([seed, 0x516]).integers(-half, half + 1, (n_signals, n_values)).astype(np.int16)


def dense_coder(n_values: int, n_atoms: int, seed: int = 0, **choices: Any) -> NetworkSpec:
    """A coder of a random dictionary; choices: of `CoderDesign`, threshold 0.1 by default."""
    settings: dict[str, Any] = {"sparsity_threshold": 0.1, "encoder": centred_encoder(n_values), **choices}
    return build_coder(CoderDesign((n_values,), **settings), unit_atoms(n_values, n_atoms, seed))


def kernel_coder(
    shape: tuple[int, ...], convolution: Convolution, n_atoms: int, seed: int = 0, **choices: Any
) -> NetworkSpec:
    """A coder of random kernels."""
    kernel = convolution.kernel_shape(shape, n_atoms)
    atoms = unit_atoms(int(np.prod(kernel[:-1])), n_atoms, seed).reshape(kernel)
    size = int(np.prod(shape))
    settings: dict[str, Any] = {"sparsity_threshold": 0.1, "encoder": centred_encoder(size), **choices}
    return build_coder(CoderDesign(shape, convolution=convolution, **settings), atoms)


def unrolled(spec: NetworkSpec) -> NetworkSpec:
    """The same network with every kernel, transpose and sign written out as a matrix."""
    dense = [
        replace(p, weights=spec.weights_of(p), transpose_of=None, convolution=None, sign=1) for p in spec.projections
    ]
    return replace(spec, projections=tuple(dense))


SMALL_CODER = LcaConfig(seed=3, atoms=6, epochs=2, threads=1)
SMALL_KERNELS = LcaConfig(seed=3, atoms=4, patch=2, stride=2, epochs=2, threads=1)
