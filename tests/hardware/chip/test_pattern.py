"""Connectivity by groups against the matrix it stands for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.chip.pattern import full, of_kernel, of_matrix, transposed
from neuro.base.convolution import Convolution, same_padding

SEEDS = st.integers(0, 2**31)


def check(pattern, matrix, generator):
    """matrix of shape [n_source, n_target], true where there is a synapse."""
    assert (pattern.n_source, pattern.n_target) == matrix.shape
    np.testing.assert_array_equal(pattern.fan_in(), matrix.sum(axis=0))
    for _ in range(5):
        first, last = np.sort(generator.choice(matrix.shape[1] + 1, 2, replace=False))
        part = matrix[:, first:last]
        assert pattern.synapses(first, last) == part.sum()
        by_neuron = np.repeat(pattern.fan_out(first, last), pattern.source_group)
        np.testing.assert_array_equal(by_neuron, part.sum(axis=1))


@given(SEEDS)
def test_a_matrix_of_synapses(seed):
    generator = np.random.default_rng(seed)
    matrix = generator.random(tuple(generator.integers(1, 20, 2))) < generator.random()
    if matrix.any():
        check(of_matrix(matrix), matrix, generator)
        check(transposed(of_matrix(matrix)), matrix.T, generator)


@given(SEEDS)
def test_all_to_all(seed):
    generator = np.random.default_rng(seed)
    matrix = np.ones(tuple(generator.integers(1, 20, 2)), dtype=bool)
    check(full(*matrix.shape), matrix, generator)
    check(transposed(full(*matrix.shape)), matrix.T, generator)


@pytest.mark.parametrize(("shape", "features"), [((9,), 1), ((6, 5), 3), ((5, 6, 2), 4)])
@given(SEEDS)
def test_a_shared_kernel(shape, features, seed):
    generator = np.random.default_rng(seed)
    lengths = shape[:2]
    extents = tuple(int(generator.integers(1, min(length, 4), endpoint=True)) for length in lengths)
    strides = tuple(int(generator.integers(1, extent, endpoint=True)) for extent in extents)
    padding = tuple(same_padding(*sizes) for sizes in zip(lengths, extents, strides, strict=True))
    convolution = Convolution(extents, strides, padding)
    kernel = np.ones(convolution.kernel_shape(shape, features), dtype=np.int64)
    matrix = convolution.matrix(kernel, shape) > 0
    pattern = of_kernel(convolution, shape, features)
    check(pattern, matrix, generator)
    check(transposed(pattern), matrix.T, generator)
