"""What `settle bench` times, and how: windows, batches, and the perceptrons it compares with."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.bench import timing
from benchmarks.bench.perceptron import FloatPerceptron, Int8Perceptron, train_perceptron, waiting
from benchmarks.bench.timing import batches_of, best_batch, run_window
from neuro.base.quantities import NotMeasurable
from sim.robustness.defences.baselines import real_images


@pytest.fixture(autouse=True)
def no_warm_up(monkeypatch):
    """One call, not seconds of them, before a window."""
    monkeypatch.setattr(timing, "WARM_UP_S", 0.0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 50), st.integers(1, 64), st.integers(1, 30))
def test_batches_take_rows_in_turn(length, batch, count):
    rows, parts = np.arange(length), batches_of((np.arange(length), np.arange(length) * 2), batch)
    for _ in range(count):
        first, second = next(parts)
        assert len(first) == batch
        np.testing.assert_array_equal(second, 2 * first)
        np.testing.assert_array_equal(np.diff(first) % length, np.ones(batch - 1) % length)
        assert set(first) <= set(rows)


def test_a_window_counts_calls_and_images():
    seen = []
    window = run_window(lambda part: seen.append(len(part)), (np.arange(30),), 4, 0.01)
    assert set(seen) == {4}
    assert len(window.durations_s) == len(seen) - 1  # one to warm up
    assert window.n_images == 4 * len(window.durations_s)
    assert window.images_per_s == pytest.approx(window.n_images / window.durations_s.sum())
    few = replace(window, durations_s=window.durations_s[:99])
    assert isinstance(few.p99(), NotMeasurable)
    assert replace(window, durations_s=np.r_[np.zeros(99), 1.0]).p99().value <= 1.0


def test_the_best_batch_is_found_and_two_worse_ones_end_the_search(monkeypatch):
    rates = {1: 10.0, 4: 30.0, 16: 20.0, 64: 25.0, 256: 20.0, 1024: 5.0, 4096: 99.0}
    monkeypatch.setattr(timing, "run_window", lambda work, arrays, batch, *_, **__: timing.Window(
        batch, np.array([batch / rates[batch]]), NotMeasurable("")))  # fmt: skip
    best, tried = best_batch(lambda: None, (np.arange(3),), tuple(rates))
    assert best == 4
    assert list(tried) == [1, 4, 16, 64, 256, 1024]


def test_integers_of_the_quantised_perceptron_are_those_of_the_equation(blob_data):
    model, _ = train_perceptron(blob_data, (12,), 0)
    quantised = Int8Perceptron(model, blob_data.x_train)
    scale_in, zero_in = quantised._scales[0]
    values = np.clip(np.rint(real_images(blob_data.x_test).flatten(1).numpy() / scale_in), 0, 255)
    layers = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
    for index, (layer, (scale, zero)) in enumerate(zip(layers, quantised._scales[1:], strict=True)):
        weight = layer.weight.detach().numpy().astype(np.float64)
        steps = np.abs(weight).max(axis=1) / 127
        sums = (values - zero_in) @ np.rint(weight / steps[:, None]).T * scale_in * steps + layer.bias.detach().numpy()
        low = zero if index + 1 < len(layers) else 0  # ReLU: never below the zero
        values = np.clip(np.rint(sums / scale) + zero, low, 255)
        scale_in, zero_in = scale, zero
    found = quantised.outputs(blob_data.x_test).int_repr().numpy()
    assert np.abs(found - values).max() <= 2  # ties of two roundings
    assert np.mean(found == values) > 0.9
    float_right = np.mean(FloatPerceptron(model, torch.device("cpu")).infer(blob_data.x_test) == blob_data.y_test)
    assert np.mean(quantised.infer(blob_data.x_test) == blob_data.y_test) >= float_right - 0.03


def test_a_gradient_step_learns_and_waits_for_its_device(blob_data, monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    waiting(torch.device("cpu"))()
    assert waited == []
    waiting(torch.device("cuda", 0))()
    assert waited == [torch.device("cuda", 0)]
    model, _ = train_perceptron(blob_data, (4,), 0)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    FloatPerceptron(model, torch.device("cpu")).learn(blob_data.x_train[:8], blob_data.y_train[:8])
    assert any(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
