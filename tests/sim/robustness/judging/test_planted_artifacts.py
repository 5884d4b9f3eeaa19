"""Trained networks whose specification was changed: not trusted, or within 2 points of an attack written for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.tools.adaptive import withstood
from neuro.artifact.run_folder import load_artifact, save_artifact
from neuro.spec.graph import Population
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend
from sim.robustness.analysis.subject import scorer_of
from sim.robustness.attacks.threats import Threat
from sim.robustness.bridge.run import together
from sim.robustness.bridge.stages import attack_stages
from sim.robustness.judging.scoring import evaluate_robustness
from sim.robustness.judging.verdict import judge
from sim.training.config import TrainConfig
from sim.twins.make import make_twin
from sim.twins.surrogates import Surrogate

N = 100
WITHIN = 0.02
THREAT = Threat("linf", 0.1)
UNROLLED = 30  # steps of the stand-ins of a long free phase


@pytest.fixture(scope="module")
def trained(digits: Any, train: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a network of equilibrium propagation that reads digits."""
    folder = tmp_path_factory.mktemp("planted") / "run"
    config = TrainConfig(hidden=(64,), epochs=12, learning_rate=1.4, output_share=0.125, centred=True,
                         exponent_offset=1, refit=False)  # fmt: skip
    train(digits.dataset, config, folder)
    return folder


def with_units(spec: NetworkSpec, change: Callable[[Population], Any]) -> NetworkSpec:
    populations = (replace(population, neuron=change(population)) for population in spec.populations)
    return replace(spec, populations=tuple(populations))


def one_bit(spec: NetworkSpec) -> NetworkSpec:
    """Hidden neurons send payloads of one bit."""
    return with_units(spec, lambda p: replace(p.neuron, activation_bits=1) if "hidden" in p.name else p.neuron)


def narrow_box(spec: NetworkSpec) -> NetworkSpec:
    """The box of the output is cut to a quarter: ties, and the lowest class wins."""
    top = spec.unit(spec.output).upper // 4
    return with_units(spec, lambda p: replace(p.neuron, upper=top) if p.name == spec.output else p.neuron)


def strong_couplings(spec: NetworkSpec) -> NetworkSpec:
    """What neurons send to each other counts four times: the network oscillates."""
    moving = {population.name for population in spec.moving}
    return replace(spec, projections=tuple(
        replace(p, exponent=p.exponent - 2) if p.source in moving else p for p in spec.projections
    ))  # fmt: skip


def never_settled(spec: NetworkSpec) -> NetworkSpec:
    """A long free phase, attacked along the gradient of a fixed point, that reaches none."""
    free, *others = spec.schedule.phases
    schedule = replace(spec.schedule, phases=(replace(free, steps=70), *others))
    return replace(strong_couplings(spec), schedule=schedule)


def table_of(spec: NetworkSpec, digits: Any, scorer: Callable[..., Any]) -> Any:
    stages = attack_stages(spec, "quick", (THREAT,), {"other": digits.other})
    return together([
        evaluate_robustness(stage.models, scorer, stage.attacks, digits.images[:N], digits.labels[:N], stage.threats)
        for stage in stages
    ])  # fmt: skip


def adaptive(spec: NetworkSpec, digits: Any, scorer: Callable[..., Any]) -> float:
    """Accuracy left by ascents on twins that leak, that do not round, and that see the neurons near the box."""
    images, labels = digits.images[:N], digits.labels[:N]
    steps = min(spec.free_steps, UNROLLED)
    twins = [
        make_twin(spec, Surrogate(box_slope=0.2), steps=steps),
        make_twin(spec, Surrogate(box_slope=1.0), "relaxed", steps=steps),
        make_twin(spec, Surrogate().near_the_box, steps=steps),
    ]

    def right(moved: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.asarray(scorer(moved.numpy()))) == labels

    ascents = [withstood(twin, right, images, labels, THREAT, 100 + i, 60, 4) for i, twin in enumerate(twins)]
    return float(torch.stack(ascents).all(0).float().mean())


@pytest.mark.slow
@pytest.mark.parametrize("plant", [one_bit, narrow_box, strong_couplings, never_settled])
def test_a_planted_artifact_is_not_trusted_or_its_figure_is_right(
    plant: Callable[[NetworkSpec], NetworkSpec], trained: Path, digits: Any, tmp_path: Path
) -> None:
    artifact = load_artifact(trained)
    save_artifact(tmp_path / "planted", replace(artifact, spec=plant(artifact.spec)))
    spec = load_artifact(tmp_path / "planted").spec  # a valid one
    assert isinstance(spec, NetworkSpec)
    with get_backend("events").open(spec) as session:
        scorer = scorer_of(spec, session)
        table, written_for_it = table_of(spec, digits, scorer), adaptive(spec, digits, scorer)
    assert table.clean.mean() > 0.6  # it works
    assert not judge(table).trusted or table.robust(THREAT).value <= written_for_it + WITHIN
    assert table.robust(THREAT).value <= written_for_it + 0.1  # and is never grossly wrong
