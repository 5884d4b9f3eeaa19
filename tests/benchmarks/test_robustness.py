"""The table of robust accuracies: the worst case of all attacks, never more at a larger size; the coder's control."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import fixed_point, robustness, without_competition
from neuro.artifact.run_folder import load_artifact
from neuro.data.sets import Dataset
from sim.robustness.attacks.search import Adversarial
from sim.robustness.attacks.threats import Threat
from sim.robustness.bridge.fixed_point_twin import FixedPointTwin
from sim.robustness.defences.baselines import real_images
from sim.twins.make import make_twin

THREAT = Threat("linf", 0.1)


class Darken:
    """Sets those images to black whose first pixel is below a limit; hands back what it was given in `seen`."""

    family, kind, steps = "darken", "query", 1

    def __init__(self, limit: float) -> None:
        self.limit, self.seen = limit, 0

    def __call__(self, model, images, labels, threat, seed):
        self.seen += len(images)
        found = images * (images[:, :1] >= self.limit)
        return Adversarial(found, torch.zeros(len(images)), torch.zeros(len(images), dtype=torch.bool))


def first_pixel_is_not_black() -> robustness.Subject:
    return robustness.Subject(nn.Identity(), lambda images: (images[:, 0] > 0).astype(int), {})


def test_an_attack_takes_on_what_the_others_left() -> None:
    images, labels = torch.linspace(0.01, 1.0, 250)[:, None], torch.ones(250, dtype=torch.int64)
    alive = np.ones(250, bool)
    alive[-10:] = False  # lost before
    weak, strong = Darken(0.2), Darken(0.6)
    left = robustness.withstood(first_pixel_is_not_black(), {"a": weak, "b": strong}, images, labels, THREAT, 0, alive)
    np.testing.assert_array_equal(left, alive & (images[:, 0].numpy() >= 0.6))
    assert (weak.seen, strong.seen) == (240, int((alive & (images[:, 0].numpy() >= 0.2)).sum()))
    assert alive.sum() == 240  # the caller's is not touched


@pytest.mark.slow
def test_the_table_of_two_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "robustness.json"
    words = ["--data", "digits", "--hidden", "16", "--seeds", "1", "--images", "20", "--models", "ep,perceptron"]
    monkeypatch.setattr(robustness, "ATTACKS", "fgsm,pgd-10")
    monkeypatch.setattr("sys.argv", ["benchmark", "--out", str(out), *words])
    robustness.main()
    rows = json.loads(out.read_text())["rows"]
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    for name in ("ep", "perceptron"):
        (row,) = rows[name]
        curve = [row["clean"], *(cell["accuracy"] for cell in row["robust"].values())]
        assert row["n"] == 20
        assert curve == sorted(curve, reverse=True)
        assert curve[0] > 0.8 > 0.3 > curve[-1]


def test_atoms_that_do_not_compete_are_as_sparse_as_the_code(coders: dict[str, Path], blob_data: Dataset) -> None:
    spec = load_artifact(coders["dense"]).spec
    model = without_competition.train_without_competition(coders["dense"], blob_data, (8,), 0)
    images = real_images(blob_data.x_train)
    codes = model[0](images).numpy()
    share = without_competition.active_share(spec, blob_data)
    assert 0 < share < 1
    assert float((codes > 0).mean()) == pytest.approx(share, abs=1 / spec.population(spec.output).size / 50)
    assert float((model(images).argmax(1).numpy() == blob_data.y_train).mean()) > 0.9
    drive = spec.encoder.encode(blob_data.x_train[:5]).astype(float) @ spec.weights_of(spec.projections[0])
    np.testing.assert_array_equal(np.argmax(drive, 1), codes[:5].argmax(1))  # in the order of the coder's own drive


def test_two_gradients_are_compared_by_cost_direction_and_strength(coders: dict[str, Path], blob_data: Dataset) -> None:
    subject = robustness.deployed(coders["stack"])
    spec = load_artifact(coders["stack"]).spec
    images, labels = real_images(blob_data.x_test[:30]), torch.tensor(blob_data.y_test[:30]).long()
    twins = {"unrolled": make_twin(spec), "fixed point": FixedPointTwin(spec)}
    answer = fixed_point.compare(twins, subject, images, labels)
    clean = float((subject.score(images.numpy()) == labels.numpy()).mean())
    assert all(0 < answer[name]["gradient_cpu_s"] and answer[name]["accuracy"] <= clean for name in twins)
    low, middle, high = answer["cosine, 5 / 50 / 95 %"]
    assert -1 <= low <= middle <= high <= 1 + 1e-6
    assert middle > 0.9


def test_its_gradient_is_that_of_the_dictionary(coders: dict[str, Path], blob_data: Dataset) -> None:
    atoms = without_competition.ThresholdedAtoms(load_artifact(coders["dense"]).spec)
    images = real_images(blob_data.x_test[:3]).requires_grad_(True)
    (found,) = torch.autograd.grad(atoms(images).sum(), images)
    assert float(found.abs().max()) > 0
