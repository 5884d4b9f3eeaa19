"""Sparse coders run: against the LASSO solution, layout against layout, kernel against matrix."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_coders import dense_coder, kernel_coder, signals, unrolled

from neuro.base.convolution import Convolution, square
from neuro.coding.sigma_delta import CODE, LAYOUTS, CoderDesign, build_coder
from neuro.data.sets import load_dataset
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend
from sim.backends.record import compare
from sim.coding.measure import (
    codes,
    converged_share,
    integer_dictionary,
    lasso_codes,
    measure_quality,
    objective,
    threshold_of,
)
from sim.contract.sigma_delta import run_fully

pytestmark = pytest.mark.filterwarnings(
    "ignore::neuro.coding.dictionary.DictionaryWarning"
)  # random ones are difficult

STEPS = 400


def gaps(spec: NetworkSpec, payloads: np.ndarray) -> np.ndarray:
    found, wanted = codes(spec, payloads, 1), lasso_codes(spec, payloads)
    return objective(spec, payloads, found) / objective(spec, payloads, wanted) - 1


@pytest.mark.parametrize("signed", [False, True], ids=["rectified", "signed"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("seed", range(3))
def test_codes_are_the_lasso_solution_on_random_dictionaries(layout: str, signed: bool, seed: int) -> None:
    spec = dense_coder(16, 24, seed, layout=layout, signed=signed, steps=STEPS)
    found = gaps(spec, signals(30, 16, seed))
    assert found.min() > -1e-9  # nothing lies below the minimum
    assert np.median(found) < 0.01
    assert found.max() < 0.05
    assert signed == (codes(spec, signals(30, 16, seed), 1).min() < 0)


@pytest.fixture(scope="module")
def digits() -> tuple[CoderDesign, np.ndarray, np.ndarray]:
    """Design without a layout, a dictionary of digits, payloads of others."""
    data = load_dataset("digits")
    encoder = PixelEncoder(7).centred_on(data.x_train)
    atoms = (encoder.encode(data.x_train[:48]) * 2.0**-7).T
    design = CoderDesign(data.image_shape, 0.15, steps=2 * STEPS, encoder=encoder)
    return design, atoms / np.linalg.norm(atoms, axis=0), encoder.encode(data.x_test[:30])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_codes_are_the_lasso_solution_on_digits(layout: str, digits: tuple[CoderDesign, Any, Any]) -> None:
    design, atoms, payloads = digits
    spec = build_coder(replace(design, layout=layout), atoms)
    found = gaps(spec, payloads)
    assert found.min() > -1e-9
    assert np.median(found) < 0.01
    quality = measure_quality(spec, payloads)
    assert quality.gap == pytest.approx(np.median(found))
    assert (quality.n, quality.support_overlap > 0.8) == (30, True)
    assert 1 < quality.active < 20
    assert quality.lasso_active == pytest.approx(quality.active, rel=0.2)


@pytest.mark.parametrize("signed", [False, True], ids=["rectified", "signed"])
def test_both_layouts_reach_the_same_fixed_point(signed: bool) -> None:
    payloads = signals(30, 16, 7)
    inhibition, residual = (
        codes(dense_coder(16, 12, 7, layout=layout, signed=signed, steps=STEPS), payloads, 1) for layout in LAYOUTS
    )
    assert np.abs(inhibition).max() > 0.3
    assert np.abs(inhibition - residual).max() < 4 / 64  # payload units of a code
    assert np.abs(inhibition - residual).mean() < 0.5 / 64


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_hard_threshold_leaves_codes_unshrunk(layout: str) -> None:
    """Fixed point: an active unit's u is its correlation with the residual plus its own code, which is u."""
    spec = dense_coder(16, 8, 2, layout=layout, threshold_kind="hard", steps=STEPS)
    payloads = signals(30, 16, 2)
    found = codes(spec, payloads, 1)
    dictionary, left = integer_dictionary(spec), payloads / 128 - found @ integer_dictionary(spec).T
    active = found != 0
    assert active.any()
    assert np.abs((left @ dictionary)[active]).max() < 5 / 64
    assert found[active].min() > threshold_of(spec) - 1 / 64


@st.composite
def geometries(draw: st.DrawFn) -> tuple[tuple[int, ...], Convolution]:
    shape = draw(st.sampled_from([(9,), (6, 5), (5, 6, 2), (7, 1)]))
    extent = draw(st.integers(1, min(3, min(shape[:2]))))
    stride = draw(st.integers(1, extent))
    return shape, square(shape, extent, stride, same=True)


@settings(max_examples=20, deadline=None)
@given(geometries(), st.integers(1, 5), st.booleans(), st.integers(0, 1000))
def test_kernels_are_the_matrices_they_stand_for(
    geometry: tuple[tuple[int, ...], Convolution], n_atoms: int, signed: bool, seed: int
) -> None:
    shape, convolution = geometry
    spec = kernel_coder(shape, convolution, n_atoms, seed, signed=signed, steps=40)
    payloads, chosen = signals(4, int(np.prod(shape)), seed), get_backend("events")
    found, wanted = (run_fully(chosen, network, payloads, None, threads=1) for network in (spec, unrolled(spec)))
    assert compare(found, wanted).total == 0


def test_a_coder_of_kernels_is_the_dense_coder_of_the_unrolled_dictionary() -> None:
    shape, convolution = (6, 6), square((6, 6), 3, 3, same=False)
    spec = kernel_coder(shape, convolution, 4, steps=60, tau=20.0)
    matrix = integer_dictionary(spec)
    design = CoderDesign((36,), 0.1, layout="residual", steps=60, tau=20.0, encoder=spec.encoder)
    dense = build_coder(design, matrix)
    np.testing.assert_array_equal(integer_dictionary(dense), matrix)
    payloads = signals(10, 36, 1)
    found, wanted = (run_fully(get_backend("events"), network, payloads, None, threads=1) for network in (spec, dense))
    assert compare(found, wanted).total == 0
    assert found.spike_counts[CODE].sum() > 100


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("coherent", [False, True])
def test_the_leak_chosen_settles(layout: str, coherent: bool) -> None:
    generator = np.random.default_rng(5)
    atoms = generator.normal(size=(16, 64))
    atoms = atoms + (2.0 if coherent else 0.0)
    design = CoderDesign((16,), 0.1, layout=layout, residual_bits=8)
    spec = build_coder(design, atoms / np.linalg.norm(atoms, axis=0))
    payloads = generator.integers(0, 129, (30, 16)).astype(np.int16)
    spec = replace(spec, schedule=replace(spec.schedule, phases=(replace(spec.schedule.phases[0], steps=3000),)))
    with get_backend("events").open(spec, threads=1) as session:
        record = session.run(payloads)
    assert record.settled.mean() >= 0.8
    assert np.median(gaps(spec, payloads)) < 0.03


def test_a_coder_that_is_cut_short_has_not_converged() -> None:
    payloads = signals(30, 16, 3)
    assert converged_share(dense_coder(16, 24, 3, steps=20), payloads) < 0.5
    assert converged_share(dense_coder(16, 24, 3, steps=STEPS), payloads) > 0.9
