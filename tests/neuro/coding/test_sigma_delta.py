"""Sparse coders as specifications: layouts, scales, the leak, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_coders import dense_coder, kernel_coder, unit_atoms

from neuro.artifact.sigma_delta import spec_arrays, spec_from_json, spec_to_json
from neuro.base.convolution import Convolution, square
from neuro.base.errors import UserError
from neuro.coding.dictionary import DictionaryWarning, gram_norm
from neuro.coding.sigma_delta import (
    CODE,
    LAYOUTS,
    RESIDUAL,
    STABLE,
    CoderDesign,
    atom_exponent,
    build_coder,
    codes_of,
    leak_of,
)
from neuro.spec.neurons import SigmaDelta

pytestmark = pytest.mark.filterwarnings(
    "ignore::neuro.coding.dictionary.DictionaryWarning"
)  # random ones are difficult
DESIGN = CoderDesign((6,), 0.1)
KERNELS = kernel_coder((6, 6), square((6, 6), 2, 2, False), 3)


def neuron_of(spec: Any, name: str) -> SigmaDelta:
    neuron = spec.population(name).neuron
    assert isinstance(neuron, SigmaDelta)
    return neuron


def real(spec: Any, name: str) -> np.ndarray:
    projection = spec.projection(name)
    return np.asarray(spec.weights_of(projection) * 2.0**-projection.exponent)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("seed", range(3))
def test_weights_are_the_dictionary_to_half_a_step(layout: str, seed: int) -> None:
    atoms = unit_atoms(6, 9, seed)
    spec = build_coder(CoderDesign((6,), 0.1, layout=layout), atoms)
    name = "input->code" if layout == "inhibition" else "residual->code"
    projection = spec.projection(name)
    assert np.abs(real(spec, name) - atoms).max() <= 2.0 ** -(projection.exponent + 1)
    largest = int(np.abs(projection.weights).max())
    assert 2 * largest > 127 or projection.exponent == 9  # the finest grid that holds them
    if layout == "inhibition":
        deployed = real(spec, name)
        lateral = np.eye(9) - deployed.T @ deployed
        step = 2.0 ** -spec.projection("code->code").exponent
        assert np.abs(real(spec, "code->code") - lateral).max() <= step / 2
        assert [p.name for p in spec.populations] == ["input", CODE]
    else:
        np.testing.assert_array_equal(real(spec, "code->residual"), -real(spec, name).T)
        np.testing.assert_array_equal(real(spec, "input->residual"), np.eye(6))
        np.testing.assert_array_equal(real(spec, "code->code"), np.eye(9))
        assert [p.name for p in spec.populations] == ["input", RESIDUAL, CODE]


def test_threshold_reach_and_sign_are_those_of_the_design() -> None:
    rectified, signed = (neuron_of(dense_coder(6, 4, reach=4.0, signed=s), CODE) for s in (False, True))
    assert (rectified.lower, rectified.upper, rectified.threshold) == (0, 4 << 16, round(0.1 * 2**16))
    assert (signed.lower, signed.upper) == (-(4 << 16), 4 << 16)
    assert neuron_of(dense_coder(6, 4, threshold_kind="hard"), CODE).hard
    assert neuron_of(dense_coder(6, 4, layout="residual"), RESIDUAL).threshold == 0


def test_the_free_phase_lasts_five_time_constants() -> None:
    spec = dense_coder(6, 4)
    unit = neuron_of(spec, CODE)
    assert spec.schedule.last_step == math.ceil(5 * 2**unit.step_shift / unit.step_multiplier)
    assert dense_coder(6, 4, steps=17).schedule.last_step == 17


@settings(max_examples=30, deadline=None)
@given(st.floats(1.0, 256.0))
def test_the_leak_is_the_representable_one_just_below(tau: float) -> None:
    multiplier, shift = leak_of(CoderDesign((6,), 0.1, tau=tau), unit_atoms(6, 4, 0))
    assert multiplier / 2**shift <= 1 / tau
    assert (multiplier + 1) / 2**shift > 1 / tau
    assert 1 <= multiplier <= 2**shift <= 256


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 12), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from(LAYOUTS), st.booleans())
def test_the_leak_chosen_is_stable(n_values: int, n_atoms: int, seed: int, layout: str, positive: bool) -> None:
    design = CoderDesign((n_values,), 0.1, layout=layout)
    atoms = unit_atoms(n_values, n_atoms, seed, positive)
    multiplier, shift = leak_of(design, atoms)
    assert multiplier / 2**shift * np.linalg.norm(atoms.T @ atoms, 2) <= STABLE[layout] * (1 + 1e-9)
    assert multiplier / 2**shift <= 1 / 20


@pytest.mark.parametrize(("n_values", "n_atoms"), [(5, 9), (9, 5), (6, 1), (1, 3)])
def test_the_norm_of_a_dense_dictionary_is_numpy_s(n_values: int, n_atoms: int) -> None:
    atoms = unit_atoms(n_values, n_atoms, 4)
    found = gram_norm(atoms)
    assert found == pytest.approx(np.linalg.norm(atoms.T @ atoms, 2), rel=1e-12)


@pytest.mark.parametrize(
    ("shape", "convolution"),
    [
        ((12,), Convolution((4,), (2,), ((0, 0),))),
        ((8, 8), square((8, 8), 4, 2, same=False)),
        ((7, 6, 3), square((7, 6, 3), 3, 2, same=True)),
        ((6, 6, 2), Convolution((3, 2), (1, 2), ((1, 1), (0, 0)))),
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", range(2))
def test_the_norm_of_kernels_is_that_of_the_unrolled_matrix(
    shape: tuple[int, ...], convolution: Convolution, seed: int
) -> None:
    kernel = np.random.default_rng(seed).normal(size=convolution.kernel_shape(shape, 5))
    matrix = convolution.matrix(kernel, shape)
    wanted = np.linalg.norm(matrix, 2) ** 2
    found = gram_norm(kernel, convolution, shape)
    assert found <= wanted * (1 + 1e-12)  # the power method comes from below
    assert found == pytest.approx(wanted, rel=0.03)


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-3, 100.0), st.integers(0, 10), st.integers(0, 10))
def test_the_exponent_holds_its_reach_and_leaves_whole_state_units(reach: float, bits: int, residual: int) -> None:
    for layout in LAYOUTS:
        design = CoderDesign((6,), 0.1, layout=layout, activation_bits=bits, residual_bits=residual)
        exponent = atom_exponent(design, reach)
        assert exponent == 0 or reach * 2**exponent <= 127
        assert exponent + max(design.encoder.activation_bits, residual if layout == "residual" else 0) <= 16


def test_codes_are_what_receivers_were_told() -> None:
    spec = dense_coder(6, 2, activation_bits=6, signed=True)
    one, threshold = 1 << 16, neuron_of(spec, CODE).threshold
    states = np.array([[0, threshold], [threshold + one // 64, -threshold - one // 2]])
    np.testing.assert_array_equal(codes_of(spec, states), [[0, 0], [1 / 64, -0.5]])


def test_a_coder_survives_being_saved() -> None:
    for spec in (dense_coder(6, 4), dense_coder(6, 4, layout="residual"), KERNELS):
        loaded = spec_from_json(spec_to_json(spec), spec_arrays(spec))
        assert spec_to_json(loaded) == spec_to_json(spec)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"sparsity_threshold": 0.0}, "sparsity_threshold 0.0"),
        ({"sparsity_threshold": -0.1}, "sparsity_threshold -0.1"),
        ({"sparsity_threshold": math.nan}, "sparsity_threshold nan"),
        ({"sparsity_threshold": 8.0}, "reach of codes, 8.0"),
        ({"reach": math.inf}, "reach"),
        ({"reach": 0.05}, "reach of codes, 0.05"),
        ({"layout": "circular"}, "inhibition, residual"),
        ({"tau": 0.5}, "tau 0.5"),
        ({"tau": 257.0}, "tau 257"),
        ({"tau": math.nan}, "tau nan"),
        ({"steps": 0}, "at least 1"),
        ({"convolution": square((6, 6), 2, 2, False), "layout": "inhibition"}, "residual layout"),
    ],
    ids=str,
)
def test_a_senseless_design_is_refused(choices: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as error:
        CoderDesign((6,), **{"sparsity_threshold": 0.1, **choices})
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("dictionary", "words"),
    [
        (unit_atoms(5, 4, 0), "(6, 0)"),
        (unit_atoms(6, 4, 0)[:, :0], "(6, 0)"),
        (np.float64(1.0), "shape ()"),
        (unit_atoms(6, 4, 0).ravel(), "shape (24,)"),
        (np.where(np.arange(24).reshape(6, 4) == 5, np.nan, unit_atoms(6, 4, 0)), "NaN"),
        (np.where(np.arange(24).reshape(6, 4) == 5, np.inf, unit_atoms(6, 4, 0)), "infinity"),
        (np.zeros((6, 4)), "zeros"),
    ],
    ids=["too short", "no atoms", "a number", "flat", "NaN", "infinite", "zero"],
)
def test_a_dictionary_that_is_none_is_refused(dictionary: np.ndarray, words: str) -> None:
    if words == "(6, 0)" and dictionary.size:
        words = "(6, 4)"
    with pytest.raises(UserError) as error:
        build_coder(DESIGN, dictionary)
    assert words in str(error.value)


def test_kernels_that_do_not_fit_are_refused() -> None:
    convolution = square((8, 8), 4, 2, False)
    for shape, words in (((3, 3), "smaller than the kernel"), ((7, 7), "does not tile"), ((8,), "needs 2 axes")):
        with pytest.raises(UserError, match=words):
            build_coder(CoderDesign(shape, 0.1, convolution), np.ones((4, 4, 1, 3)))
    with pytest.raises(UserError, match=r"need \(4, 4, 1, 3\)"):
        build_coder(CoderDesign((8, 8), 0.1, convolution), np.ones((4, 4, 3)))


def test_sums_that_could_leave_the_registers_are_refused() -> None:
    with pytest.raises(UserError, match="beyond 32 bits"):
        build_coder(CoderDesign((600,), 0.1, reach=100.0, layout="residual"), np.ones((600, 400)))
    with pytest.raises(UserError, match="24-bit"):
        dense_coder(6, 4, reach=1000.0)


@pytest.mark.filterwarnings("default::neuro.coding.dictionary.DictionaryWarning")
def test_a_difficult_dictionary_is_warned_of() -> None:
    atoms = unit_atoms(16, 8, 1)
    twins = np.concatenate([atoms, atoms[:, :1]], axis=1)
    for dictionary, words in ((2 * atoms, "normalise"), (twins, "linearly dependent.*nearly the same")):
        with pytest.warns(DictionaryWarning, match=f"coherence.*{words}"):
            build_coder(CoderDesign((16,), 0.1), dictionary)
