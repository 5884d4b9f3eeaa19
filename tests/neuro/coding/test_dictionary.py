"""Dictionaries: what is refused, what is warned of, and that the figures in a warning are those of the dense matrix."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.convolution import Convolution, square
from neuro.coding.dictionary import (
    DictionaryWarning,
    check_dictionary,
    check_threshold,
    patches_of,
    random_dictionary,
    unit_norm,
    with_padding_observed,
)

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, st.integers(1, 9), st.integers(1, 9))
def test_random_atoms_have_unit_norm_and_follow_from_the_seed(seed: int, n_values: int, n_atoms: int) -> None:
    first, again = (random_dictionary((n_values, n_atoms), seed) for _ in range(2))
    np.testing.assert_allclose(np.linalg.norm(first, axis=0), 1.0)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(unit_norm(3.0 * first), first)


def test_an_orthonormal_dictionary_is_the_easiest() -> None:
    found = check_dictionary(np.eye(5), tau_steps=1.0)
    assert found.coherence == 0.0
    assert found.gram_norm == pytest.approx(1.0)


@settings(deadline=None)
@given(SEEDS, st.integers(2, 12), st.integers(2, 12))
def test_the_figures_are_those_of_the_gram_matrix(seed: int, n_values: int, n_atoms: int) -> None:
    dictionary = random_dictionary((n_values, n_atoms), seed)
    gram = dictionary.T @ dictionary
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DictionaryWarning)
        found = check_dictionary(dictionary)
    assert found.gram_norm == pytest.approx(np.linalg.norm(gram, 2))
    assert found.coherence == pytest.approx(np.abs(gram - np.eye(n_atoms)).max())


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.sampled_from([(9,), (9, 2), (7, 9), (7, 9, 2)]), st.booleans())
def test_the_figures_of_kernels_are_those_of_the_whole_matrix(seed: int, shape: tuple[int, ...], padded: bool) -> None:
    axes = 1 if shape[0] == 9 else 2
    side = (1, 1) if padded else (0, 0)
    convolution = Convolution((3,) * axes, (2,) * axes, (side,) * axes)
    kernel = random_dictionary(convolution.kernel_shape(shape, 3), seed)
    matrix = convolution.matrix(kernel, shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DictionaryWarning)
        found = check_dictionary(kernel, None, convolution, shape)
    assert found.gram_norm == pytest.approx(np.linalg.norm(matrix, 2) ** 2, rel=0.05)
    if not padded:  # on a padded border atoms are cropped, and overlap less
        gram = matrix.T @ matrix
        assert found.coherence == pytest.approx(np.abs(gram - np.diag(np.diag(gram))).max())


BAD = np.eye(4)[:, :3].copy()


@pytest.mark.parametrize(
    ("dictionary", "words"),
    [
        (np.where(BAD == 1, np.nan, BAD), ("NaN",)),
        (np.where(np.arange(3) == 1, 0.0, BAD), ("1 of 3 atoms are zero", "first 1")),
        (np.zeros((4, 0)), ("(4, 0)",)),
        (np.zeros(4), ("(4,)",)),
    ],
)
def test_useless_dictionaries_are_refused(dictionary: np.ndarray, words: tuple[str, ...], refused) -> None:
    with refused(*words):
        check_dictionary(dictionary)


@pytest.mark.parametrize(
    ("dictionary", "tau_steps", "words"),
    [
        (2.0 * np.eye(3), None, r"coherence 0\.000.*norms 2\.\.2.*normalise"),
        (np.eye(3)[:, [0, 1, 1]], None, r"coherence 1\.000.*linearly dependent.*nearly the same.*subtract the mean"),
        (np.ones((4, 4)) / 2, 1.9, r"\|\|D\^T D\|\| = 4;.*time constant of 1\.9 steps can oscillate: use 2 or more"),
        (random_dictionary((4, 8), 0), 1.0, r"time constant of 1 steps"),
    ],
)
def test_difficult_dictionaries_are_warned_of(dictionary: np.ndarray, tau_steps: float | None, words: str) -> None:
    with pytest.warns(DictionaryWarning, match=words):
        check_dictionary(dictionary, tau_steps)


def test_kernels_need_a_shape_that_fits(refused) -> None:
    convolution = square((8, 8), 3, 1, same=False)
    kernel = random_dictionary((3, 3, 1, 2), 0)
    with refused("image_shape"):
        check_dictionary(kernel, None, convolution)
    with refused("(3, 3, 1, 2)", "(3, 3, 3, 2)"):
        check_dictionary(kernel, None, convolution, (8, 8, 3))


@given(SEEDS, st.booleans())
def test_above_the_largest_useful_threshold_every_code_is_zero(seed: int, signed: bool) -> None:
    generator = np.random.default_rng(seed)
    dictionary, signals = random_dictionary((6, 9), seed), generator.normal(size=(5, 6))
    largest = check_threshold(1e-9, dictionary, signals, signed)
    drive = signals @ dictionary
    assert largest == pytest.approx((np.abs(drive) if signed else drive).max())
    check_threshold(largest * 0.99, dictionary, signals, signed)
    with pytest.warns(DictionaryWarning, match=r"every code of the 5 signals is zero; the largest useful"):
        check_threshold(largest, dictionary, signals, signed)


@pytest.mark.parametrize("threshold", [0.0, -0.1, np.nan, np.inf])
def test_thresholds_must_be_positive(threshold: float, refused) -> None:
    with refused("sparsity threshold", "positive"):
        check_threshold(threshold, np.eye(2), np.ones((1, 2)))


def test_signals_must_fit_the_atoms(refused) -> None:
    with refused("(1, 3)", "atoms of 2 values"):
        check_threshold(0.1, np.eye(2), np.ones((1, 3)))


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.sampled_from([(6,), (6, 2), (6, 5), (6, 5, 2)]))
def test_patches_times_kernels_are_the_convolution(seed: int, shape: tuple[int, ...]) -> None:
    axes = 1 if shape[:2] in ((6,), (6, 2)) else 2
    convolution = Convolution((3,) * axes, (1,) * axes, ((1, 2),) * axes)
    generator = np.random.default_rng(seed)
    images, kernel = generator.normal(size=(2, *shape)), generator.normal(size=convolution.kernel_shape(shape, 4))
    maps = patches_of(images, convolution, shape) @ kernel.reshape(-1, 4)
    np.testing.assert_allclose(
        maps.reshape(2, -1), images.reshape(2, -1) @ convolution.matrix(kernel, shape), atol=1e-12
    )
    padded, bare, padded_shape = with_padding_observed(images, convolution, shape)
    np.testing.assert_array_equal(patches_of(padded, bare, padded_shape), patches_of(images, convolution, shape))


def test_images_of_another_shape_have_no_patches(refused) -> None:
    with refused("9 values", "16"):
        patches_of(np.zeros((1, 3, 3)), square((4, 4), 3, 1, same=False), (4, 4))
