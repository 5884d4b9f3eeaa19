"""The analyses of an attack page: ratios per layer, the surface of the output, transfer between models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from neuro.base.errors import UserError
from neuro.data.sets import Dataset
from neuro.equilibrium.design import design_for
from neuro.equilibrium.graded_relu import GradedDesign, GradedNetwork, open_boxes
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.spec.network import Network
from sim.backends.protocol import get_backend
from sim.evaluate import load_run
from sim.reports.attack import write_attack_report
from sim.robustness.analysis.perturbation import perturbation_ratios, ratio_of, signals
from sim.robustness.analysis.subject import ADVERSARIAL, NETWORK, RANDOM, Subject, analyse
from sim.robustness.analysis.surface import random_images, walk
from sim.robustness.analysis.transfer_matrix import scorer_of_model, transfer_matrix
from sim.robustness.attacks.threats import Threat, norm_of
from sim.robustness.bridge.config import AttackConfig
from sim.robustness.bridge.run import AttackRun, attack

FEW = AttackConfig(attacks="noise,pgd-10", eps=(0.1, 0.3), images=30)
LINE = Threat("linf", 0.25)


@pytest.fixture(scope="module")
def prepared(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a finished run with its perceptron."""
    folder = Path(shutil.copytree(finished, tmp_path_factory.mktemp("analysed") / "run"))
    AttackRun(folder, FEW).prepare()
    return folder


@pytest.fixture
def run(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "run"))


@pytest.fixture(scope="module")
def networks(finished: Path, finished_stock: Path) -> dict[str, Network]:
    """One network of each family, on images (4, 4)."""
    graded = open_boxes(build_equilibrium(design_for((4, 4), 3, (9,)), 0), 4.0)
    return {
        "sigma-delta": load_run(finished).spec,
        "lif": load_run(finished_stock).spec,
        "graded": GradedNetwork(graded, GradedDesign()),
    }


@pytest.mark.parametrize("family", ["sigma-delta", "lif", "graded"])
def test_the_last_signal_is_what_the_deployed_network_answers(family: str, networks: dict[str, Network]) -> None:
    network, images = networks[family], np.random.default_rng(0).random((12, 4, 4), dtype=np.float32)
    found = signals(network, images)
    assert list(found) == ["input", *(p.name for p in network.moving)]
    with get_backend(network.native_backend).open(network) as session:
        record = session.run(network.encoder.encode(images))
    np.testing.assert_array_equal(found[network.output], record.output_states)
    hidden = found[network.moving[0].name]
    assert hidden.shape == (12, network.moving[0].size)
    assert hidden.any()


@given(st.floats(-3, 3), st.floats(0.01, 100))
def test_ratios_are_those_of_scaled_signals(change: float, unit: float) -> None:
    clean = np.random.default_rng(1).normal(size=(7, 5)) * unit
    found = ratio_of(clean, clean * (1 + change))
    np.testing.assert_allclose([found.mean, found.low, found.high], abs(change), atol=1e-12)
    assert found.n == 7


def test_silent_layers_have_no_ratio() -> None:
    clean, changed = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [3.0, 9.0]])
    assert ratio_of(clean, changed) == ratio_of(clean[1:], changed[1:])
    assert ratio_of(clean, changed).mean == 1.0
    assert ratio_of(clean[:1], changed[:1]).mean is None


def test_unchanged_images_move_no_layer(networks: dict[str, Network]) -> None:
    images = np.random.default_rng(2).random((5, 4, 4), dtype=np.float32)
    found = perturbation_ratios(networks["sigma-delta"], images, {"none": images, "all": 1 - images})
    assert [ratio.mean for ratio in found["none"].values()] == [0.0, 0.0, 0.0]
    assert all(ratio.mean and ratio.mean > 0 for ratio in found["all"].values())


def linear(images: Tensor) -> Tensor:
    """Scores whose margin for class 0 is 2 - 8 times the mean pixel."""
    return torch.stack([2.0 - 8.0 * images.flatten(1).mean(1), torch.zeros(len(images))], dim=1)


def test_a_linear_output_is_a_straight_line() -> None:
    clean, labels = torch.zeros(6, 4, 4), torch.zeros(6, dtype=torch.int64)
    line = walk(linear, clean, clean + LINE.eps, labels, LINE.eps, points=11)
    np.testing.assert_allclose(line.sizes, np.linspace(0, 0.25, 11), rtol=1e-6)
    np.testing.assert_allclose(line.mean, 2 - 8 * np.linspace(0, 0.25, 11), atol=1e-5)
    np.testing.assert_allclose(line.low, line.high, atol=1e-6)
    assert (line.roughness, line.flat, line.n) == (pytest.approx(1.0, abs=1e-5), 0.0, 6)
    wrong = walk(linear, clean, clean + LINE.eps, labels + 1, LINE.eps, points=11)
    np.testing.assert_allclose(wrong.mean, -np.array(line.mean), atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "roughness", "flat"),
    [
        (lambda x: (8 * x).round(), 1.0, 38 / 40),  # two steps down
        (lambda x: torch.cos(x * 16 * torch.pi), 4.0, 0.0),  # two waves in 0.25: four ways between the extremes
        (torch.zeros_like, None, 1.0),
    ],
)
def test_stairs_and_waves_are_recognised(
    shape: Callable[[Tensor], Tensor], roughness: float | None, flat: float
) -> None:
    def model(images: Tensor) -> Tensor:
        score = shape(images.flatten(1).double().mean(1))
        return torch.stack([score, torch.zeros_like(score)], dim=1)

    clean, labels = torch.zeros(3, 4, 4), torch.ones(3, dtype=torch.int64)
    line = walk(model, clean, clean + LINE.eps, labels, LINE.eps, points=41)
    assert line.roughness == (None if roughness is None else pytest.approx(roughness, rel=1e-3))
    assert line.flat == pytest.approx(flat)


@pytest.mark.parametrize("threat", [Threat("linf", 0.2), Threat("l2", 0.6)], ids=str)
def test_random_moves_are_as_large_as_adversarial_ones(threat: Threat) -> None:
    clean = torch.full((9, 4, 4), 0.5)
    moved = random_images(threat, clean, 3)
    torch.testing.assert_close(norm_of(moved - clean, threat.norm), torch.full((9,), threat.eps))
    assert torch.equal(moved, random_images(threat, clean, 3))
    assert not torch.equal(moved, random_images(threat, clean, 4))
    edge = random_images(threat, clean.round(), 3)
    assert 0 <= edge.min()
    assert edge.max() <= 1


def test_a_model_without_gradient_fools_nobody() -> None:
    images, labels = torch.rand(20, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.5, torch.zeros(20).long()

    def blind(pictures: Tensor) -> Tensor:
        return torch.zeros(len(pictures), 2)

    models = {"linear": linear, "blind": blind}
    scorers = {name: scorer_of_model(model) for name, model in models.items()}
    found = transfer_matrix(models, scorers, images, labels, (Threat("linf", 0.4),), 0)
    by_source = found.accuracy["linf 0.4"]
    assert by_source["blind"] == found.clean
    assert by_source["linear"]["linear"] == 0.0 < found.clean["linear"]
    assert by_source["linear"]["blind"] == found.clean["blind"] == 1.0  # ties go to class 0
    assert found.n == 20


def test_an_attack_is_analysed(run: Path, tmp_path: Path) -> None:
    job = AttackRun(run, FEW)
    result = attack(run, FEW)
    found = result.analysis
    assert found.skipped == {}
    assert found.ratios is not None
    assert found.lines is not None
    assert found.transfer is not None
    for by_threat in found.ratios.values():
        assert list(by_threat) == ["linf 0.1", "linf 0.3"]
        assert by_threat["linf 0.1"]["input"].mean < by_threat["linf 0.3"]["input"].mean
    output = job.artifact.spec.output
    at = "linf 0.3"
    assert found.ratios[ADVERSARIAL][at][output].mean > found.ratios[RANDOM][at][output].mean
    adversarial, random = found.lines[ADVERSARIAL], found.lines[RANDOM]
    assert adversarial.mean[0] == random.mean[0] > 0
    assert adversarial.mean[-1] < random.mean[-1]
    assert found.transfer.clean[NETWORK] == result.table.clean.mean()
    for by_source in found.transfer.accuracy.values():
        assert set(by_source) == {NETWORK, "perceptron"}
    kept = job.examples()
    assert {name: len(images) for name, images in kept.items() if name != "linf 0.5"} == {
        "clean": 30, "linf 0.1": 30, "linf 0.3": 30,
    }  # fmt: skip
    content = json.loads((job.folder / "attack.json").read_text())
    assert content["analysis"] == json.loads(json.dumps(found.to_json()))
    page = write_attack_report(job, result).read_text()
    assert page.count("<svg") == 5
    assert "could not be made" not in page


def test_what_cannot_be_analysed_says_why(run: Path) -> None:
    config = replace(FEW, attacks="noise")
    result = attack(run, config)
    assert set(result.analysis.skipped) == {"ratios", "lines"}
    page = write_attack_report(AttackRun(run, config), result).read_text()
    assert "projected gradients (pgd-...)" in page
    assert "Who fools whom" in page


@pytest.mark.parametrize("family", ["lif", "graded"])
def test_stock_networks_are_analysed(family: str, networks: dict[str, Network], blob_data: Dataset) -> None:
    clean = np.asarray(blob_data.x_test[:10], dtype=np.float32)
    kept = {"clean": clean, str(LINE): random_images(LINE, torch.tensor(clean), 0).numpy()}
    found = analyse(Subject(networks[family], kept, blob_data.y_test[:10], (LINE,), {}))
    assert found.skipped == {}
    assert found.transfer is not None
    assert found.transfer.accuracy[str(LINE)][NETWORK][NETWORK] <= found.transfer.clean[NETWORK]


def test_other_runs_join_the_matrix_if_their_data_are_the_same(
    run: Path, finished_stock: Path, edit_manifest: Callable[..., None], command: Callable[..., Any]
) -> None:
    words = ["attack", run, "--attacks", "noise", "--eps", "0.3", "--images", 20, "--workers", 1, "--json"]
    assert command(*words, "--against", finished_stock).code == 0
    found = json.loads(next((run / "attacks").glob("*/attack.json")).read_text())["analysis"]["transfer"]
    assert set(found["clean"]) == {NETWORK, str(finished_stock), "perceptron"}
    other = Path(shutil.copytree(run, run.parent / "other"))
    edit_manifest(other, lambda manifest: manifest["data"].update(sha256="0" * 64))
    command(*words, "--against", other).refused("same data and seed")


def test_passes_are_recorded(run: Path) -> None:
    result = attack(run, replace(FEW, attacks="noise", images=20, passes=2))
    assert result.table.n_passes == 2
    content = json.loads((result.folder / "attack.json").read_text())
    assert content["config"]["passes"] == 2
    assert content["table"]["n_passes"] == 2
    for passes in (0, 1001):
        with pytest.raises(UserError, match=f"passes {passes} outside"):
            replace(FEW, passes=passes)
