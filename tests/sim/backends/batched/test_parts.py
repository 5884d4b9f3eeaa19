"""The parts of the torch backend, one by one: moves, random bits, exact products."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.fixed_point import saturate, synapse_bits
from sim.backends.batched.plasticity import Move, random_bits, signed32
from sim.backends.batched.synapses import FLOAT32_INTEGERS, exact_products, exact_type, make_synapses, readers
from sim.contract.sigma_delta import random_spec

SEEDS = st.integers(0, 2**32 - 1)
CPU = torch.device("cpu")


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 40), st.integers(1, 300), st.integers(1, 4))
def test_a_composed_move_is_its_steps_one_after_the_other(seed: int, limit: int, size: int, n_workers: int) -> None:
    generator = np.random.default_rng(seed)
    weights = np.arange(-limit, limit + 1)
    steps = generator.integers(-size, size + 1, (n_workers, 5, len(weights)))
    wanted = weights
    for step in steps.reshape(-1, len(weights)):
        wanted = saturate(wanted + step, -limit, limit)
    found = torch.tensor(weights, dtype=torch.int32)
    for share in torch.tensor(steps, dtype=torch.int32):
        move = Move(*(torch.full_like(found, end) for end in (0, -limit, limit)))
        for step in share:
            for register in move.registers(limit):
                register.add(step)
        move.apply(found)
    np.testing.assert_array_equal(found.numpy(), wanted)


@given(SEEDS, st.integers(0, 2**20))
def test_random_bits_are_those_of_fixed_point(stream: int, first: int) -> None:
    keys = np.array([stream, 0, 2**32 - 1, 2**31], dtype=np.uint32)
    numbers = torch.arange(first, first + 50, dtype=torch.int32)
    found = random_bits(torch.from_numpy(signed32(keys))[:, None], numbers).numpy().view(np.uint32)
    index = np.arange(first, first + 50, dtype=np.uint32)
    np.testing.assert_array_equal(found, np.stack([synapse_bits(key, index) for key in keys]))


def test_products_at_the_bound_are_exact() -> None:
    assert exact_type(FLOAT32_INTEGERS) == torch.float32
    assert exact_type(FLOAT32_INTEGERS + 1) == torch.float64
    with pytest.raises(ValueError, match="32 bits"):
        exact_type(1 << 31)
    for seed in range(20):
        spec = random_spec(seed)
        for projection in spec.projections:
            if projection.weights is None:
                continue
            synapses = make_synapses(spec, projection, CPU)
            extreme = np.full(projection.weights.shape, projection.limit if projection.rule else 0)
            synapses.load(torch.tensor(extreme))
            limit = spec.population(projection.source).neuron.payload_limit
            values = torch.full((2, spec.population(projection.source).size), limit, dtype=torch.int32)
            matrix = spec.matrix_of(projection, extreme).astype(np.int64)
            np.testing.assert_array_equal(synapses.product(values, False).numpy(), values.numpy() @ matrix)


def test_readers_lists_who_reads_a_neuron() -> None:
    taps = np.array([[0, 2], [2, -1], [3, 0]])
    np.testing.assert_array_equal(readers(taps, 5), [[0, 5], [6, 6], [1, 2], [4, 6], [6, 6]])


def test_the_precision_of_the_caller_is_left_as_it_was() -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with exact_products():
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.is_grad_enabled()
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.is_grad_enabled()
