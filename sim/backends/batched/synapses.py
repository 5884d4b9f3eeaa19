"""Weights of a spec as tensors: integer products computed in floats that hold every sum exactly.

GPUs multiply no matrices of 32-bit integers. A product of whole numbers is exact in floats, in whatever order it is
added up, as long as no partial sum can exceed 2**24 (float32) or 2**53 (float64): `exact_type` chooses by a bound that
holds whatever the weights become. Reduced-precision modes (TF32, bfloat16) are switched off by `exact_products`.
Convolutions are gathered by the indices of `neuro.base.convolution` and multiplied as matrices: libraries compute small
kernels by transforms (Winograd) that are not exact.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from neuro.base.arrays import Float32, Int64
from neuro.base.convolution import OUTSIDE, Convolution
from neuro.base.fixed_point import INT32_MAX
from neuro.spec.projection import Projection
from neuro.spec.sigma_delta import NetworkSpec
from neuro.spec.validate import largest_sum
from sim.backends.checks import n_sharing

FLOAT32_INTEGERS = 1 << 24


def exact_type(largest: int) -> torch.dtype:
    """A float type in which whole numbers up to `largest`, and all sums on the way, are exact."""
    if largest > INT32_MAX:
        raise ValueError(f"exact_type: {largest} exceeds 32 bits")  # check_spec and check_rates refuse it before
    return torch.float32 if largest <= FLOAT32_INTEGERS else torch.float64


@contextlib.contextmanager
def exact_products() -> Iterator[None]:
    """Compute float32 products in float32 and keep no graph, whatever the caller has set; undone afterwards."""
    before = torch.get_float32_matmul_precision()
    if before != "highest":
        torch.set_float32_matmul_precision("highest")
    try:
        with torch.no_grad():
            yield
    finally:
        if before != "highest":
            torch.set_float32_matmul_precision(before)


class Synapses(Protocol):
    """The weights of one projection, used by itself and by its transposes."""

    shape: tuple[int, ...]  # of the weights
    gathered: int  # values that a product gathers for each image

    def load(self, weights: Tensor) -> None:
        """Take integers of the shape of the weights, in place: views and captured graphs stay valid."""
        ...

    def product(self, values: Tensor, transposed: bool) -> Tensor:
        """The product values @ W (W^T if transposed), int32; values int32 of shape [B, N]."""
        ...

    def local_products(self, pre: Tensor, post: Tensor) -> Tensor:
        """The sums of pre_i post_j over the synapses ij that share a weight, int32 of shape [B, weights]."""
        ...


class DenseSynapses:
    """A matrix [N_source, N_target]."""

    gathered = 0

    def __init__(self, shape: tuple[int, ...], kind: torch.dtype, device: torch.device) -> None:
        self.shape = shape
        self._matrix = torch.zeros(shape, dtype=kind, device=device)

    def load(self, weights: Tensor) -> None:
        """See `Synapses.load`."""
        self._matrix.copy_(weights)

    def product(self, values: Tensor, transposed: bool) -> Tensor:
        """See `Synapses.product`."""
        matrix = self._matrix.T if transposed else self._matrix
        return (values.to(matrix.dtype) @ matrix).to(torch.int32)

    def local_products(self, pre: Tensor, post: Tensor) -> Tensor:
        """See `Synapses.local_products`."""
        return (pre[:, :, None] * post[:, None, :]).flatten(1)


class SharedSynapses:
    """A kernel (extent..., channels, features) shared by all positions of a convolution, pooled or not.

    taps of shape [P * T]: the source neuron that tap t of the (widened) kernel reads at position p, N for the padding.
    back of shape [N * O]: the entries p * T + t that read source neuron i, at most O of them, P * T for none.
    pool of shape [E', E]: the sum over a window of positions, as a map from the kernel's extent to the widened one.
    """

    def __init__(
        self, shape: tuple[int, ...], convolution: Convolution, images: tuple[int, ...], kind: torch.dtype,
        change_kind: torch.dtype, device: torch.device,
    ) -> None:  # fmt: skip
        taps = convolution.taps(images)
        self.shape, self._size = shape, math.prod(images)
        self._positions, self._n_taps = taps.shape
        self._taps = torch.tensor(np.where(taps == OUTSIDE, self._size, taps).ravel(), device=device)
        back = readers(taps, self._size)
        self._back, self._n_readers = torch.tensor(back.ravel(), device=device), back.shape[1]
        self.gathered = max(taps.size, back.size)
        self._kernel = torch.zeros((self._n_taps, shape[-1]), dtype=kind, device=device)
        self._change_kind = change_kind
        self._pool = torch.tensor(pooling(convolution), device=device) if convolution.widens else None

    def load(self, weights: Tensor) -> None:
        """See `Synapses.load`."""
        if self._pool is not None:
            weights = self._pool.to(self._kernel.dtype) @ weights.to(self._kernel.dtype).view(self._pool.shape[1], -1)
        self._kernel.copy_(weights.reshape(self._kernel.shape))

    def _patches(self, values: Tensor) -> Tensor:
        """The values that every tap reads at every position, of shape [B, P, T]."""
        padded = torch.nn.functional.pad(values, (0, 1))
        return padded.index_select(1, self._taps).view(len(values), self._positions, self._n_taps)

    def product(self, values: Tensor, transposed: bool) -> Tensor:
        """See `Synapses.product`."""
        values = values.to(self._kernel.dtype)
        if not transposed:
            return (self._patches(values) @ self._kernel).flatten(1).to(torch.int32)
        sent = values.view(len(values), self._positions, self.shape[-1]) @ self._kernel.T
        padded = torch.nn.functional.pad(sent.flatten(1), (0, 1))
        read = padded.index_select(1, self._back).view(len(values), self._size, self._n_readers)
        return read.sum(dim=2).to(torch.int32)

    def local_products(self, pre: Tensor, post: Tensor) -> Tensor:
        """See `Synapses.local_products`."""
        patches = self._patches(pre.to(self._change_kind))
        maps = post.to(self._change_kind).view(len(post), self._positions, self.shape[-1])
        products = patches.transpose(1, 2) @ maps
        if self._pool is not None:
            products = self._pool.T.to(products.dtype) @ products.view(len(pre), len(self._pool), -1)
        return products.flatten(1).to(torch.int32)


def pooling(convolution: Convolution) -> Float32:
    """`Convolution.widened` of one channel as a matrix of zeros and ones, [extent widened, extent]."""
    extent = math.prod(convolution.kernel)
    each = np.eye(extent, dtype=np.float32).reshape(*convolution.kernel, 1, extent)
    return convolution.widened(each).reshape(-1, extent)


def readers(taps: Int64, size: int) -> Int64:
    """The entries of the flat `taps` that read each neuron, of shape [size, O]; taps.size fills up."""
    flat = taps.ravel()
    entries = np.flatnonzero(flat != OUTSIDE)
    order = entries[np.argsort(flat[entries], kind="stable")]
    counts = np.bincount(flat[order], minlength=size)
    first = np.cumsum(counts) - counts
    back = np.full((size, max(int(counts.max(initial=0)), 1)), taps.size, dtype=np.int64)
    back[flat[order], np.arange(len(order)) - first[flat[order]]] = order
    return back


def make_synapses(spec: NetworkSpec, projection: Projection, device: torch.device) -> Synapses:
    """The weights of `projection`, which has some of its own, ready for every projection that uses them."""
    assert projection.weights is not None  # no transpose
    users = [p for p in spec.projections if spec.original_of(p) is projection]
    kind = exact_type(max(spec.population(p.source).neuron.payload_limit * largest_sum(spec, p) for p in users))
    shape, convolution = projection.weights.shape, projection.convolution
    if convolution is None:
        return DenseSynapses(shape, kind, device)
    images = spec.population(projection.source).shape
    largest = n_sharing(spec, projection) * _product_limit(spec, projection)
    return SharedSynapses(shape, convolution, images, kind, exact_type(min(largest, INT32_MAX)), device)


def _product_limit(spec: NetworkSpec, projection: Projection) -> int:
    """Largest product of a trace and the change of another."""
    pre, post = (spec.population(name).neuron.payload_limit for name in (projection.source, projection.target))
    return pre * 2 * post
