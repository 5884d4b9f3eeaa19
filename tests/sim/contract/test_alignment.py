"""The update that integer spikes make points along the true gradient."""

import pytest

from neuro.base.metrics import cosine
from neuro.data.sets import load_dataset, split_validation
from sim.backends.protocol import get_backend, one_hot_targets
from sim.contract.alignment import gradient_cosines, integer_update
from sim.training.config import TrainConfig
from sim.training.rates import projection_rates, squared_length
from sim.training.recipe import build_network
from sim.training.trainer import Choices


@pytest.fixture(scope="module")
def half_trained():
    data = load_dataset("digits", 0)
    split = split_validation(data.y_train, 0)
    spec = build_network(data, TrainConfig(hidden=(64,)), Choices(centred=True, exponent_offset=1), split)
    payloads = spec.encoder.encode(data.x_train)
    rates = projection_rates(spec, 1.4 / squared_length(spec.encoder, payloads), 0.125)
    with get_backend("events").open(spec, threads=1) as session:
        targets = one_hot_targets(spec, data.y_train[:200])
        session.learn(payloads[:200], targets, rates, seed=0, first_image=0)
        accuracy = float((session.run(payloads).predictions == data.y_train).mean())
        spec = spec.with_weights(session.weights())
    assert 0.5 < accuracy < 0.95  # half trained
    return spec, payloads[:400], data.y_train[:400]


@pytest.mark.parametrize("rule", ["event", "y3"])
def test_every_layer_is_within_25_degrees_of_autograd(half_trained, rule):
    cosines = gradient_cosines(*half_trained, seed=0, rule=rule)
    assert len(cosines) == 4
    assert all(value >= 0.9 for value in cosines.values()), cosines


def test_wrong_labels_give_another_direction(half_trained):
    spec, payloads, labels = half_trained
    right = integer_update(spec, payloads, labels, 0)
    wrong = integer_update(spec, payloads, (labels + 1) % 10, 0)
    for name in right:
        assert cosine(right[name], wrong[name]) < 0.75
