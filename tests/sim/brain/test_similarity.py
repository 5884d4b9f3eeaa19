"""Alignment and similarity held to closed forms, and to the trap of the biased estimator."""

import importlib.util

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import rankdata, spearmanr

from neuro.base.errors import UserError
from sim.brain.similarity import average_ranks, debiased_cka, dissimilarities, rank_correlation


def unrelated(seed):
    generator = np.random.default_rng(seed)
    return generator.standard_normal((60, 30)), generator.standard_normal((60, 500))


def biased_cka(first, second):
    grams = [rows @ rows.T for rows in (v - v.mean(0) for v in (first, second))]
    return float((grams[0] * grams[1]).sum() / np.linalg.norm(grams[0]) / np.linalg.norm(grams[1]))


def test_unrelated_units_are_not_aligned_whatever_the_plain_estimator_says():
    pairs = [unrelated(seed) for seed in range(20)]
    assert np.mean([biased_cka(*pair) for pair in pairs]) == pytest.approx(0.545, abs=0.02)
    assert np.mean([debiased_cka(*pair) for pair in pairs]) == pytest.approx(0, abs=0.03)


def test_alignment_is_one_with_itself_turned_and_scaled_and_symmetric():
    first, second = unrelated(0)
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((30, 30)))[0]
    assert debiased_cka(first, 3 * first @ turn + 5) == pytest.approx(1, abs=1e-12)
    assert debiased_cka(first, second) == pytest.approx(debiased_cka(second, first), abs=1e-14)
    assert debiased_cka(first, np.ones((60, 4))) == 0
    silent = np.concatenate([first, np.full((60, 100), 1e-9)], axis=1)
    assert debiased_cka(silent, second) == pytest.approx(debiased_cka(first, second), abs=1e-10)


def test_the_estimator_is_the_mean_over_all_fours_of_images():
    """HSIC without bias is a U-statistic of order four: enumerated here."""
    from itertools import permutations

    generator = np.random.default_rng(2)
    first, second = generator.standard_normal((6, 3)), generator.standard_normal((6, 2))
    grams = [v @ v.T for v in (first, second)]

    def enumerated(k, m):
        terms = [k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in permutations(range(6), 4)]
        return float(np.mean(terms))

    expected = enumerated(*grams) / np.sqrt(enumerated(grams[0], grams[0]) * enumerated(grams[1], grams[1]))
    assert debiased_cka(first, second) == pytest.approx(expected, abs=1e-12)


def test_too_few_images_are_refused():
    with pytest.raises(UserError, match="images 3; give at least 4"):
        debiased_cka(np.ones((3, 2)), np.ones((3, 2)))


def test_dissimilarities_and_ranks_are_those_of_scipy():
    values = unrelated(3)[0]
    np.testing.assert_allclose(dissimilarities(values), pdist(values, "correlation"), atol=1e-12)
    tied = np.random.default_rng(4).integers(0, 5, 40).astype(float)
    np.testing.assert_array_equal(average_ranks(tied), rankdata(tied))
    other = np.random.default_rng(5).standard_normal(40)
    assert rank_correlation(tied, other) == pytest.approx(spearmanr(tied, other).statistic, abs=1e-12)
    other[3] = np.nan
    assert rank_correlation(tied, other) == pytest.approx(
        spearmanr(np.delete(tied, 3), np.delete(other, 3)).statistic, abs=1e-12
    )
    assert np.isnan(rank_correlation(np.ones(5), other[:5]))


@pytest.mark.skipif(importlib.util.find_spec("rsatoolbox") is None, reason="rsatoolbox is of the extra brain")
def test_they_are_those_of_rsatoolbox():
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm, compare

    first, second = unrelated(6)
    rdms = [calc_rdm(Dataset(values), method="correlation") for values in (first, second)]
    for values, rdm in zip((first, second), rdms, strict=True):
        np.testing.assert_allclose(dissimilarities(values), rdm.dissimilarities[0], atol=1e-10)
    expected = compare(rdms[0], rdms[1], method="spearman")[0, 0]
    ours = rank_correlation(*(dissimilarities(values) for values in (first, second)))
    assert ours == pytest.approx(expected, abs=1e-10)
