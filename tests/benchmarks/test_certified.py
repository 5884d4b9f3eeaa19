"""Certificates beside a float perceptron: the same copies for all, and rows that hold what the page shows."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import certified
from benchmarks.tools import noisy_perceptron
from neuro.data.sets import Dataset
from neuro.front_ends.noise import noisy_pixels
from sim.robustness.certified.config import CertifyConfig

FEW = CertifyConfig(sigma=(0.3,), samples=60, selection=20, images=6)


def test_a_perceptron_sees_the_same_copies(blob_data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noisy_perceptron, "LEARNING_RATES", (1e-2,))
    model = noisy_perceptron.train_noisy(blob_data, (8,), 0.3, 4, 0)
    image = blob_data.x_test[0]
    votes = noisy_perceptron.votes_of(model, image, 0.3, 3, seed=1, stream=2, first=5, count=30)
    pixels = noisy_pixels(image[None], 0.3, seed=1, stream=2, first=5, count=30)
    with torch.no_grad():
        expected = model(torch.tensor(pixels, dtype=torch.float32)).argmax(1).numpy()
    np.testing.assert_array_equal(votes, np.bincount(expected, minlength=3))


def test_rows_of_runs_and_of_attacks_on_them(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    row = certified.certified_run(run, FEW, 1)
    assert row["n"] == 6
    assert row["trained_noise"] == 0.0
    assert row["cpu_s"] > 0
    assert certified.certified_run(run, FEW, 1)["cpu_s"] is None  # the votes were there
    monkeypatch.setattr(certified, "SIZES", (0.2, 3.0))
    monkeypatch.setattr(certified, "JUDGED", 100)
    found = certified.attacked(run, FEW)
    assert found["changed_below_radius"] == 0
    assert found["accuracy"]["3"] <= found["accuracy"]["0.2"]


def test_a_trial_reads_validation_images(blob_data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certified, "HIDDEN", (8,))
    monkeypatch.setattr(certified, "TRIAL_COPIES", 4)
    found = certified.tried(blob_data, 0.3, 6.0, 0.25, True)
    assert 0.4 < found["one_copy"] <= found["smoothed"] + 0.2
