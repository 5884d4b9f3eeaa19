"""Adversarial training: the network of the moment is attacked, with every image it is about to learn, and no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neuro.artifact.run_folder import load_artifact
from neuro.data.sets import Dataset, split_validation
from sim.robustness.attacks.gradient import ProjectedGradient
from sim.robustness.attacks.threats import Threat
from sim.robustness.defences.adversarial import AdversarialTraining
from sim.robustness.defences.baselines import real_images
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep
from sim.twins.make import make_twin

THREAT = Threat("linf", 0.2)


class Inverting:
    """In place of an attack: turns the images over and remembers whom it was to deceive, and with what."""

    def __init__(self) -> None:
        self.images: list[torch.Tensor] = []
        self.weights: list[bytes] = []
        self.eps: list[float] = []

    def __call__(self, twin: Any, images: torch.Tensor, labels: torch.Tensor, threat: Threat, seed: int) -> Any:
        self.eps.append(threat.eps)
        self.images.append(images)
        self.weights.append(b"".join(twin.spec.weights_of(p).tobytes() for p in twin.spec.projections))
        return type("Found", (), {"images": 1 - images})


def adversarial(watcher: Any, data: Dataset, attack: Any) -> AdversarialTraining:
    return AdversarialTraining(watcher, real_images(data.x_train), torch.tensor(data.y_train).long(), attack, THREAT, 0)


def sorted_rows(images: torch.Tensor) -> np.ndarray:
    flat = images.reshape(len(images), -1).numpy()
    return flat[np.lexsort(flat.T)]


@pytest.fixture
def config(small_config: TrainConfig) -> TrainConfig:
    return replace(small_config, refit=False)


def test_every_image_is_attacked_once_an_epoch_on_the_weights_of_the_moment(
    blob_data: Dataset, config: TrainConfig, silent: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.robustness.defences.adversarial.EVERY", 60)
    attack = Inverting()
    train_ep(blob_data, config, tmp_path / "run", adversarial(silent(), blob_data, attack))
    split = split_validation(blob_data.y_train, config.seed)
    every = real_images(blob_data.x_train)
    chunks = -(-len(split.train) // 60)
    assert len(attack.images) == 2 * (chunks + 1)
    assert attack.eps[0] > 0
    assert sorted(attack.eps[:chunks]) == attack.eps[:chunks]  # growing over half of the training
    assert set(attack.eps[chunks:]) == {THREAT.eps}
    for epoch in range(2):
        seen = attack.images[epoch * (chunks + 1) : (epoch + 1) * (chunks + 1)]
        np.testing.assert_array_equal(sorted_rows(torch.cat(seen[:-1])), sorted_rows(every[split.train]))
        np.testing.assert_array_equal(seen[-1], every[split.validation])
    # between an epoch's validation images and the next chunk nothing is learned; else every attack meets new weights
    assert len(set(attack.weights)) == len(attack.weights) - 1
    assert attack.weights[chunks] == attack.weights[chunks + 1]


def test_what_is_learned_is_what_the_attack_made(
    blob_data: Dataset, config: TrainConfig, silent: Any, tmp_path: Path
) -> None:
    before = blob_data.x_train.copy()
    train_ep(blob_data, config, tmp_path / "attacked", adversarial(silent(), blob_data, Inverting()))
    np.testing.assert_array_equal(blob_data.x_train, before)
    inverted = replace(blob_data, x_train=1 - blob_data.x_train)
    # the design of the network, its offset of the input among it, comes from the images as they are
    spec = load_artifact(tmp_path / "attacked").spec
    with torch.no_grad():
        right = make_twin(spec)(real_images(inverted.x_train)).argmax(1).numpy() == inverted.y_train
    assert right.mean() > 0.9


def test_it_makes_a_network_more_robust(blob_data: Dataset, config: TrainConfig, silent: Any, tmp_path: Path) -> None:
    config, attack = replace(config, epochs=6), ProjectedGradient(10)
    train_ep(blob_data, config, tmp_path / "plain", silent())
    train_ep(blob_data, config, tmp_path / "hardened", adversarial(silent(), blob_data, attack))
    images, labels = real_images(blob_data.x_test), torch.tensor(blob_data.y_test).long()

    def withstood(name: str) -> float:
        twin = make_twin(load_artifact(tmp_path / name).spec)
        found = attack(twin, images, labels, THREAT, 1).images
        return float((twin(found).argmax(1) == labels).double().mean())

    plain, hardened = withstood("plain"), withstood("hardened")
    assert hardened > plain
