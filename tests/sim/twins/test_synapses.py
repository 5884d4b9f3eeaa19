"""Synapses of a twin, of whatever kind: the products with the matrix of all pairs, both ways; their largest sums."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.contract.sigma_delta import any_spec
from sim.twins.synapses import KernelSynapses, largest_input, synapses_of


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_products_are_those_of_the_matrix(seed: int) -> None:
    spec, generator = any_spec(seed), np.random.default_rng(seed)
    for projection in spec.projections:
        matrix = spec.weights_of(projection).astype(np.int64)
        synapses = synapses_of(spec, projection, 4.0, torch.float64)
        assert isinstance(synapses, KernelSynapses) == (spec.original_of(projection).convolution is not None)
        sent = generator.integers(-64, 65, (3, matrix.shape[0]))
        np.testing.assert_array_equal(synapses(torch.tensor(sent).double()).numpy(), 4 * (sent @ matrix))
        assert synapses(torch.zeros(0, matrix.shape[0]).double()).shape == (0, matrix.shape[1])  # a batch may be empty
        received = generator.integers(-64, 65, (3, matrix.shape[1]))
        np.testing.assert_array_equal(synapses.back(torch.tensor(received).double()).numpy(), 4 * (received @ matrix.T))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_largest_input_is_that_of_payloads_at_their_limit(seed: int) -> None:
    spec = any_spec(seed)
    for projection in spec.projections:
        limit = spec.population(projection.source).neuron.payload_limit << spec.shift_of(projection)
        wanted = limit * np.abs(spec.weights_of(projection).astype(np.int64)).sum(axis=0)
        found, convolution = largest_input(spec, projection), spec.original_of(projection).convolution
        if convolution is None or not convolution.pooled:
            np.testing.assert_array_equal(found, wanted)
        else:
            assert (found >= wanted).all()  # weights of a window may cancel
