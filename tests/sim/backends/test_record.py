"""Synaptic operations, counted spike by spike and synapse by synapse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_coders import dense_coder, kernel_coder, signals, unrolled

from neuro.base.convolution import Convolution, square
from neuro.spec.projection import Projection
from neuro.spec.sigma_delta import NetworkSpec
from neuro.spec.validate import fan_in, fan_out
from sim.backends.protocol import get_backend
from sim.backends.record import Record
from sim.contract.sigma_delta import random_images, random_spec

pytestmark = pytest.mark.filterwarnings(
    "ignore::neuro.coding.dictionary.DictionaryWarning"
)  # random ones are difficult


def synapses(spec: NetworkSpec, projection: Projection) -> np.ndarray:
    """Which neurons are joined, of shape [N_source, N_target]: a kernel of ones, unrolled."""
    original = spec.original_of(projection)
    assert original.weights is not None
    return spec.matrix_of(projection, np.ones(original.weights.shape, np.int64)) != 0


def brute_force(spec: NetworkSpec, record: Record) -> dict[str, np.ndarray]:
    """Walk through every spike and add the synapses of its neuron."""
    assert record.spikes is not None
    columns = record.spike_counts[spec.input].shape[1]
    phase = spec.schedule.phase_of_step()
    totals = {}
    for projection in spec.projections:
        joined, total = synapses(spec, projection).sum(axis=1), np.zeros((record.n_images, columns), np.int64)
        for image, step, population, neuron, _ in record.spikes.rows().tolist():
            if population == spec.population_index[projection.source]:
                total[image, phase[step] + 1] += joined[neuron]
        totals[projection.name] = total
    return totals


def check(spec: NetworkSpec, record: Record) -> None:
    found, wanted = record.synaptic_operations(spec), brute_force(spec, record)
    assert list(found) == [p.name for p in spec.projections]
    for name, total in wanted.items():
        assert found[name].dtype == np.int64
        np.testing.assert_array_equal(found[name], total, err_msg=name)


@st.composite
def geometries(draw: st.DrawFn) -> tuple[tuple[int, ...], Convolution]:
    shape = draw(st.sampled_from([(9,), (6, 5), (5, 6, 2)]))
    extent = draw(st.integers(1, 3))
    return shape, square(shape, extent, draw(st.integers(1, extent)), same=True)


@settings(max_examples=12, deadline=None)
@given(geometries(), st.integers(1, 4), st.integers(0, 100))
def test_kernels_count_the_synapses_that_spikes_reach(
    geometry: tuple[tuple[int, ...], Convolution], n_atoms: int, seed: int
) -> None:
    shape, convolution = geometry
    spec = kernel_coder(shape, convolution, n_atoms, seed, steps=8)
    with get_backend("events").open(spec, threads=1) as session:
        record = session.run(signals(3, spec.n_inputs, seed), keep_spikes=True)
    check(spec, record)
    for projection in spec.projections:
        joined = synapses(spec, projection)
        np.testing.assert_array_equal(fan_out(spec, projection), joined.sum(axis=1))
        assert fan_in(spec, projection) >= joined.sum(axis=0).max()


@pytest.mark.parametrize("seed", range(4))
def test_every_phase_is_counted(seed: int) -> None:
    spec = random_spec(seed)
    with get_backend("events").open(spec, threads=1) as session:
        record = session.run(*random_images(spec, seed, 5), seed=seed, keep_spikes=True)
    check(spec, record)


def test_counts_are_enough_where_all_neurons_reach_as_many() -> None:
    for spec in (dense_coder(6, 4, steps=8), dense_coder(6, 4, layout="residual", steps=8)):
        payloads = signals(5, 6, 1)
        with get_backend("events").open(spec, threads=1) as session:
            kept, counted = session.run(payloads, keep_spikes=True), session.run(payloads)
        for name, total in kept.synaptic_operations(spec).items():
            np.testing.assert_array_equal(counted.synaptic_operations(spec)[name], total)


def test_without_spikes_a_border_cannot_be_counted() -> None:
    spec = kernel_coder((6, 6), square((6, 6), 3, 2, True), 3, steps=8)
    with get_backend("events").open(spec, threads=1) as session:
        record = session.run(signals(2, 36, 0))
    with pytest.raises(ValueError, match="keep_spikes"):
        record.synaptic_operations(spec)


def test_a_kernel_takes_fewer_operations_than_its_matrix() -> None:
    spec = kernel_coder((6, 6), square((6, 6), 3, 3, False), 3, steps=8)
    totals = []
    for network in (spec, unrolled(spec)):
        with get_backend("events").open(network, threads=1) as session:
            operations = session.run(signals(2, 36, 0), keep_spikes=True).synaptic_operations(network)
        totals.append(sum(int(count.sum()) for count in operations.values()))
    assert totals[0] < totals[1] / 4
