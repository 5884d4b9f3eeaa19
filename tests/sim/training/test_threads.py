from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuro.artifact.run_folder import load_artifact
from neuro.data.sets import Dataset, split_validation
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend, one_hot_targets
from sim.backends.record import Record
from sim.training.config import TrainConfig
from sim.training.rates import projection_rates
from sim.training.recipe import build_network
from sim.training.trainer import Choices

RATE, SHARE = 0.5, 0.125
Weights = dict[str, np.ndarray]


def same(first: Weights, second: Weights) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def untrained(blob_data: Dataset, small_config: TrainConfig) -> NetworkSpec:
    return build_network(blob_data, small_config, Choices(), split_validation(blob_data.y_train, 0))


@pytest.fixture(scope="module")
def learn(untrained: NetworkSpec, blob_data: Dataset) -> Callable[..., tuple[Weights, np.ndarray, Weights]]:
    """learn(batch_size, threads, cuts): full weights, predictions and spikes of learning 45 images in pieces."""
    payloads = untrained.encoder.encode(blob_data.x_train[:45])
    targets = one_hot_targets(untrained, blob_data.y_train[:45])
    rates = projection_rates(untrained, RATE, SHARE)

    def run(batch_size: int, threads: int, cuts: tuple[int, ...] = ()) -> tuple[Weights, np.ndarray, Weights]:
        session = get_backend("events").open(untrained, threads=threads, batch_size=batch_size)
        outcomes = []
        for first, last in zip((0, *cuts), (*cuts, 45), strict=True):
            part = slice(first, last)
            outcomes.append(session.learn(payloads[part], targets[part], rates, seed=5, first_image=first))
        counts = {name: np.sum([o.spike_counts[name] for o in outcomes], axis=0) for name in outcomes[0].spike_counts}
        return session.full_weights(), np.concatenate([o.predictions for o in outcomes]), counts

    return run


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_do_not_change_what_is_learned(batch_size: int, threads: int, learn: Callable[..., Any]) -> None:
    weights, predictions, counts = learn(batch_size, threads)
    expected, expected_predictions, expected_counts = learn(batch_size, 1)
    assert same(weights, expected)
    assert np.array_equal(predictions, expected_predictions)
    assert same(counts, expected_counts)


@pytest.mark.parametrize(
    ("batch_size", "cuts"), [(1, (10,)), (1, (1, 2, 30)), (1, tuple(range(1, 45))), (8, (16,)), (8, (8, 16, 40))]
)
def test_pieces_learn_what_the_whole_learns(batch_size: int, cuts: tuple[int, ...], learn: Callable[..., Any]) -> None:
    weights, predictions, counts = learn(batch_size, 2, cuts)
    expected, expected_predictions, expected_counts = learn(batch_size, 2)
    assert same(weights, expected)
    assert np.array_equal(predictions, expected_predictions)
    assert same(counts, expected_counts)


def test_batch_size_and_order_do_change_what_is_learned(
    learn: Callable[..., Any], untrained: NetworkSpec, blob_data: Dataset
) -> None:
    online, batched = learn(1, 1)[0], learn(8, 1)[0]
    assert not same(online, batched)
    session = get_backend("events").open(untrained)
    payloads = untrained.encoder.encode(blob_data.x_train[:45])[::-1]
    targets = one_hot_targets(untrained, blob_data.y_train[:45])[::-1]
    session.learn(payloads, targets, projection_rates(untrained, RATE, SHARE), seed=5, first_image=0)
    assert not same(session.full_weights(), online)


def test_the_number_of_the_first_image_matters(untrained: NetworkSpec, blob_data: Dataset) -> None:
    payloads, targets = untrained.encoder.encode(blob_data.x_train), one_hot_targets(untrained, blob_data.y_train)
    found = []
    for first_image in (0, 1):
        session = get_backend("events").open(untrained)
        rates = projection_rates(untrained, RATE, SHARE)
        session.learn(payloads, targets, rates, seed=5, first_image=first_image)
        found.append(session.full_weights())
    assert not same(*found)


def rows(record: Record) -> list[np.ndarray]:
    assert record.states is not None
    assert record.spikes is not None
    parts = [record.predictions, record.output_states, record.settled, record.spikes.rows()]
    return [*parts, *record.spike_counts.values(), *record.states.values()]


@pytest.mark.parametrize("targeted", [True, False], ids=["all phases", "free phase"])
@pytest.mark.parametrize("threads", [2, 3, 16, None])
def test_threads_do_not_change_a_record(
    threads: int | None, targeted: bool, finished: Path, blob_data: Dataset
) -> None:
    spec = load_artifact(finished).spec
    payloads = spec.encoder.encode(blob_data.x_test)
    targets = one_hot_targets(spec, blob_data.y_test) if targeted else None
    records = []
    for number in (1, threads):
        with get_backend("events").open(spec, threads=number) as session:
            records.append(session.run(payloads, targets, seed=9, keep_states=True, keep_spikes=True))
    first, second = (rows(record) for record in records)
    assert len(first[3]) > len(payloads)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("batch_size", [1, 8])
def test_threads_do_not_change_a_run(
    batch_size: int, train: Callable[..., Any], outcome: Callable[[Path], Any], blob_data: Dataset,
    small_config: TrainConfig, tmp_path: Path,
) -> None:  # fmt: skip
    found = []
    for threads in (1, 2, 3):
        folder = tmp_path / str(threads)
        train(blob_data, replace(small_config, batch_size=batch_size, threads=threads), folder)
        found.append(outcome(folder))
        del found[-1]["manifest"]["config"]["threads"]
    assert found[0] == found[1] == found[2]
