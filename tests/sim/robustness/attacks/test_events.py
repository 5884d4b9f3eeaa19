"""Attacks on input spikes: what is counted, what a move keeps, and that the deployed label decides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neuro.artifact.run_folder import load_artifact
from neuro.data.sets import Dataset
from neuro.stock.family import LifNetwork
from sim.robustness.attacks import events
from sim.robustness.defences.baselines import real_images
from sim.twins.make import make_twin

N = 5


@pytest.fixture(scope="module")
def attacked(finished_stock: Path, blob_data: Dataset) -> tuple[LifNetwork, torch.Tensor, torch.Tensor]:
    """A LIF network, its images and labels."""
    spec = load_artifact(finished_stock).spec
    assert isinstance(spec, LifNetwork)
    images = real_images(blob_data.x_test)[: N + 1]
    images = (images[:-1] + images[1:]) / 2  # between two classes: few spikes decide
    with torch.no_grad():
        labels = make_twin(spec).predict(images)
    return spec, images, labels


def clean_trains(spec: LifNetwork, images: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(spec.free_inputs(spec.encoder.encode(images.numpy())).astype(np.float64))


def test_scores_of_the_clean_trains_are_those_of_the_images(attacked: Any) -> None:
    spec, images, _ = attacked
    twin: Any = make_twin(spec, events.SURROGATE)
    assert torch.equal(twin.scores_of_trains(clean_trains(spec, images)), twin(images))


@pytest.mark.parametrize(("choose", "count"), [(events._flipped, 7), (events._moved, 5)])
def test_so_many_spikes_are_changed_and_the_margin_rises(attacked: Any, choose: Callable[..., Any], count: int) -> None:
    spec, images, labels = attacked
    twin: Any = make_twin(spec, events.SURROGATE)
    trains = clean_trains(spec, images)
    changed = choose(trains, events._gradient(twin, trains, labels), count)
    differences = (changed != trains).flatten(1).sum(1)
    assert set(changed.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(changed[..., -1], trains[..., -1])  # the bias unit
    assert bool((differences > 0).all())
    if choose is events._moved:
        assert torch.equal(changed.sum(1), trains.sum(1))  # every count is kept
        assert bool((differences <= 2 * count).all())
    else:
        assert bool((differences <= count).all())
        before, after = (events.margin(twin.scores_of_trains(t), labels) for t in (trains, changed))
        assert float((after - before).mean()) > 0


def test_moves_go_to_the_best_free_place_within_reach() -> None:
    """One neuron, one spike at step 4, where the gradient is largest too far away, and second best four steps on."""
    trains, gradient = torch.zeros(1, 16, 2), torch.zeros(1, 16, 2)
    trains[0, 4, 0] = 1.0
    gradient[0, 8, 0], gradient[0, 14, 0], gradient[0, 2, 1] = 2.0, 9.0, 9.0
    moved = events._moved(trains, gradient, 3)
    assert torch.nonzero(moved).tolist() == [[0, 8, 0]]
    trains[0, 12, 0] = 1.0  # two spikes may go to step 8, one does
    moved = events._moved(trains, gradient, 3)
    assert float(moved.sum()) == 2
    assert moved[0, 8, 0] == 1


def test_the_label_turns_on_the_chip_after_as_many_changes(attacked: Any) -> None:
    spec, images, labels = attacked
    wrong = labels.clone()
    wrong[0] = (wrong[0] + 1) % spec.n_classes
    found = events.smallest_event_changes(spec, images, wrong, most=16)
    assert list(found) == ["events", "moves"]
    for sizes in found.values():
        assert sizes[0] == 0
        assert bool((sizes[1:] >= 1).all())
    assert bool(torch.isfinite(found["events"]).any())
    assert float(found["events"][1:].min()) <= 16


def test_networks_that_no_train_enters_have_none(finished: Path) -> None:
    spec = load_artifact(finished).spec
    assert events.smallest_event_changes(spec, torch.zeros(1, *spec.image_shape), torch.zeros(1).long()) == {}
