"""Networks behind a front end that does not learn: trained, kept, read, evaluated, reported, refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import settle
from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError
from neuro.data.sets import Dataset, split_validation
from neuro.equilibrium.sigma_delta import energy
from neuro.spec.neurons import Generator
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend
from sim.evaluate import evaluate
from sim.reports.sigma_delta import fields
from sim.robustness.analysis.subject import scorer_of
from sim.robustness.bridge.config import AttackConfig, averaged
from sim.robustness.bridge.stages import attack_stages
from sim.robustness.certified.votes import Noise, count_votes
from sim.training.config import TrainConfig
from sim.training.identity import check_identity, identity
from sim.training.recipe import build_network
from sim.training.trainer import Choices

DRAWN = "v1:channels=6+6,stride=1,kernel=3,window=1"
Command = Callable[..., Any]


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory, blob_data: Dataset, small_config: TrainConfig, train: Any) -> Path:
    """Folder of a run on `blob_data` behind a V1 front end that draws spikes."""
    folder = tmp_path_factory.mktemp("runs") / "v1"
    train(blob_data, replace(small_config, fixed_front=DRAWN, epochs=3), folder)
    return folder


def test_a_network_learns_from_drawn_spikes_and_comes_back_from_its_folder(behind: Path, blob_data: Dataset) -> None:
    artifact = load_artifact(behind)
    spec = artifact.spec
    assert isinstance(spec.population(spec.input).neuron, Generator)
    assert (spec.image_shape, spec.n_inputs, spec.population(spec.input).shape) == ((4, 4), 16, (4, 4, 12))
    assert artifact.manifest["config"]["fixed_front"] == "v1:channels=6+6,stride=1,window=1,kernel=3,filters=gabor"
    assert spec.free_steps == 10 + 16
    found = evaluate(artifact, behind, blob_data, get_backend("events"), None, get_backend("torch"))
    assert found.accuracy is not None
    assert found.accuracy.value > 0.7  # of three classes, with one short window of noise
    assert found.differences is not None
    assert found.differences.total == 0


def test_gratings_have_fields_in_the_image(behind: Path) -> None:
    spec = load_artifact(behind).spec
    found = fields(spec)
    assert found.shape == (16, 8)
    assert np.abs(found).max() > 0


def test_the_energy_takes_counts_as_the_input(behind: Path, blob_data: Dataset) -> None:
    spec = load_artifact(behind).spec
    with get_backend("events").open(spec, threads=1) as session:
        states = session.run(spec.encoder.encode(blob_data.x_test[:3]), keep_states=True).states
    assert states is not None
    ends = {name: values[:, 0] for name, values in states.items()}
    assert (energy(spec, ends) < energy(spec, {**ends, "hidden1": 0 * ends["hidden1"]})).all()


def test_attacks_average_over_draws_and_see_the_bank_without_noise(behind: Path, blob_data: Dataset) -> None:
    spec, config = load_artifact(behind).spec, AttackConfig(attacks="pgd-10", eps=(0.1,))
    assert averaged(config, spec).passes == 10
    assert averaged(replace(config, passes=20), spec).passes == 20
    with pytest.raises(UserError, match="averaged over 10 passes at least"):
        averaged(replace(config, passes=5), spec)
    models = [name for stage in attack_stages(spec, "pgd-10", config.threats, {}) for name in stage.models]
    assert {"noise-free", "gaussian noise"} <= set(models)
    with get_backend("events").open(spec, threads=1) as session:
        score, many = scorer_of(spec, session), np.full((200, 4, 4), 0.5, dtype=np.float32)
        first, second = score(many), score(many)
    assert (first != second).any()  # drawn anew in every call


def test_every_noisy_copy_draws_its_own_spikes_whatever_the_batches(behind: Path, blob_data: Dataset) -> None:
    spec, image = load_artifact(behind).spec, blob_data.x_test[0]
    with get_backend("events").open(spec, threads=1) as session:
        whole, parts = (count_votes(session, image, Noise(0.3, 5), 2, 0, 90, at_once) for at_once in (90, 7))
    np.testing.assert_array_equal(whole, parts)
    assert np.count_nonzero(whole) > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"centred": True}, "not together with centred"),
        ({"flip": True}, "not together with flip"),
        ({"front_end": "abc"}, "not together with a second front end"),
        ({"family": "stock"}, "sigma-delta family; drop --family stock"),
    ],
)
def test_what_does_not_go_with_it_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        TrainConfig(fixed_front=DRAWN, **options)


def test_networks_behind_many_cells_stay_within_32_bits(blob_data: Dataset) -> None:
    rng, n = np.random.default_rng(0), 20
    faint = replace(blob_data, x_train=rng.integers(0, 40, (n, 28, 28), dtype=np.uint8), y_train=np.arange(n) % 3)
    config = TrainConfig(fixed_front="v1:window=0,filters=random", hidden=(8,))
    spec = build_network(faint, config, Choices(), split_validation(faint.y_train, 0))
    assert isinstance(spec, NetworkSpec)
    assert 13 <= spec.unit("hidden1").state_bits <= 15


def test_runs_of_versions_without_front_ends_are_gone_on_with(blob_data: Dataset, tmp_path: Path) -> None:
    plain, behind = TrainConfig(), TrainConfig(fixed_front=DRAWN)
    found = identity("ep", plain, blob_data)
    assert "fixed_front" not in found
    check_identity(tmp_path, found, identity("ep", plain, blob_data))
    with pytest.raises(UserError, match="was made with"):
        check_identity(tmp_path, found, identity("ep", behind, blob_data))


def test_filters_are_those_of_the_seed(blob_data: Dataset) -> None:
    few = split_validation(blob_data.y_train, 0)
    specs = [build_network(blob_data, TrainConfig(fixed_front=DRAWN, seed=seed), Choices(), few) for seed in (0, 1, 0)]
    kernels = [spec.encoder.fixed.arrays()["kernels"] for spec in specs if spec.encoder.fixed is not None]
    assert np.array_equal(kernels[0], kernels[2])
    assert not np.array_equal(kernels[0], kernels[1])


def test_it_is_asked_for_by_name(blob_data: Dataset) -> None:
    run = settle.train(blob_data, front_end=DRAWN.replace("window=1", "window=0"), hidden=(4,), epochs=1,
                       learning_rate=1.0, output_share=0.25, progress=False)  # fmt: skip
    assert run.spec.encoder.fixed is not None
    assert not run.spec.stochastic
    with pytest.raises(UserError, match="a coder takes images"):
        settle.train_coder(blob_data, front_end="v1", progress=False)
