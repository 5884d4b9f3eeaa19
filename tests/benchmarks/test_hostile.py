"""An attack written for a network beside its trusted figure: rows, what is kept, stand-ins."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import hostile
from benchmarks.robustness import MODELS, Subject
from benchmarks.tools.adaptive import stand_ins
from neuro.artifact.run_folder import load_artifact
from sim.robustness.attacks.threats import Threat


def test_rows_are_kept_and_those_not_done_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "hostile.json"
    words = ["--data", "digits", "--hidden", "16", "--images", "20", "--models", "perceptron"]
    monkeypatch.setattr(hostile, "SUITE", "fgsm,pgd-10")
    monkeypatch.setattr(hostile, "STEPS", 5)
    monkeypatch.setattr(hostile, "ASCENT", 6)
    monkeypatch.setattr("sys.argv", ["benchmark", "--out", str(out), *words])
    hostile.main()
    content = json.loads(out.read_text())
    row = content["rows"]["perceptron"]
    assert content["not_done"] == [name for name in MODELS if name != "perceptron"]
    assert row["verdict"] == "TOO FEW IMAGES TO JUDGE"
    assert [*row["eps"]] == ["0.05", "0.1"]
    for cell in row["eps"].values():
        assert cell["both"] <= min(cell["told"], cell["adaptive"]) <= row["clean"]
    assert row["beaten_by"] == pytest.approx(max(0, *(c["told"] - c["adaptive"] for c in row["eps"].values())))
    monkeypatch.setattr(hostile, "measure", lambda *_: 1 / 0)
    hostile.main()  # the row is there
    assert json.loads(out.read_text())["rows"]["perceptron"] == row


def test_an_image_that_falls_once_is_lost() -> None:
    """The label is whether the first pixel is above one half; the second stand-in alone leads there."""

    def score(images: np.ndarray) -> np.ndarray:
        return (images[:, 0] > 0.5).astype(int)

    images, labels = torch.tensor([[0.55, 0.5], [0.9, 0.5]]), torch.tensor([1, 1])
    astray = lambda x: torch.stack([x[:, 1], 0 * x[:, 0]], 1)  # noqa: E731
    ahead = lambda x: torch.stack([0.5 - x[:, 0], x[:, 0] - 0.5], 1)  # noqa: E731
    subject = Subject(ahead, score, {})
    left = hostile.adaptive({"astray": astray, "ahead": ahead}, subject, images, labels, Threat("linf", 0.1))
    assert left.tolist() == [False, True]


def test_stand_ins_see_below_thresholds_where_there_are_some(coders: dict[str, Path]) -> None:
    spec = load_artifact(coders["stack"]).spec
    twins = stand_ins(spec)
    assert [*twins] == ["leaky", "relaxed, leaking", "near the box", "below thresholds"]
    images = torch.rand((2, *spec.image_shape), generator=torch.Generator().manual_seed(0))
    assert {tuple(twin(images).shape) for twin in twins.values()} == {(2, twins["leaky"](images).shape[1])}
