"""A host that solves for the codes teaches a dictionary; the rule, its integers and what is deployed stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shared_coders import SMALL_CODER, SMALL_KERNELS

from neuro.base.errors import UserError
from neuro.coding.problem import cost
from neuro.data.sets import Dataset
from sim.coding.config import FISTA, LcaConfig
from sim.coding.learner import DictionaryLearner
from sim.coding.measure import lasso
from sim.coding.recipe import design_coder, make_learner
from sim.coding.training import train_lca


def learner_of(data: Dataset, config: LcaConfig) -> DictionaryLearner:
    return make_learner(design_coder(data, config, np.arange(len(data.y_train)), None), config)


@pytest.mark.parametrize("config", [SMALL_CODER, SMALL_KERNELS], ids=["dense", "kernels"])
def test_its_codes_have_the_objective_of_the_lasso_and_are_payloads(blob_data: Dataset, config: LcaConfig) -> None:
    learner = learner_of(blob_data, replace(config, solver=FISTA))
    payloads = learner.design.encoder.encode(blob_data.x_train[:20])
    outcome, residual = learner.observe(payloads)
    scaled = outcome.codes * 2.0**learner.design.activation_bits
    np.testing.assert_array_equal(scaled, np.round(scaled))
    matrix, convolution = learner.dictionary(), learner.design.convolution
    if convolution is not None:
        matrix = convolution.matrix(matrix, learner.design.input_shape)
    signals = payloads * 2.0**-learner.design.encoder.activation_bits
    np.testing.assert_array_equal(residual, signals - outcome.codes @ matrix.reshape(signals.shape[1], -1).T)  # exact
    threshold = learner.design.sparsity_threshold
    best = lasso(matrix.reshape(signals.shape[1], -1), threshold, signals, positive=not learner.design.signed)
    least = cost(signals - best @ matrix.reshape(signals.shape[1], -1).T, best, threshold)
    assert outcome.objective.mean() <= 1.03 * least.mean()  # rounded to payloads
    assert not outcome.spikes.any()


def test_the_run_says_who_taught_and_codes_as_any_other(blob_data: Dataset, tmp_path: Path) -> None:
    config = replace(SMALL_CODER, solver=FISTA)
    result = train_lca(blob_data, config, tmp_path / "run")
    assert result.artifact.manifest["config"]["solver"] == FISTA
    assert result.objective_gap is not None
    assert result.objective_gap < 0.1
    assert result.spikes_per_image > 0
    with pytest.raises(UserError, match="another"):
        train_lca(blob_data, SMALL_CODER, tmp_path / "run", resume=True)


def test_hard_thresholds_have_no_such_teacher() -> None:
    with pytest.raises(UserError, match=r"solver fista: .*drop --hard"):
        LcaConfig(solver=FISTA, threshold_kind="hard")
