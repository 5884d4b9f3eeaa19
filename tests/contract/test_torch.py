"""The torch backend against the executable definition: equal, not close, whatever the batch, chunk or share."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_coders import dense_coder, kernel_coder, signals

from neuro.base.convolution import square
from neuro.base.errors import UserError
from neuro.equilibrium.design import EquilibriumDesign, design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.layers import parse_layers
from neuro.spec.plasticity import Rate
from neuro.spec.stack import stack
from sim.backends.batched import backend as torch_batched
from sim.backends.batched.backend import TorchBackend, device_of
from sim.backends.batched.cuda_graphs import Graphs
from sim.backends.protocol import get_backend, one_hot_targets
from sim.contract.currents import random_currents
from sim.contract.sigma_delta import any_spec, check_learning, check_run, random_images, random_rates, random_spec

SEEDS = st.integers(0, 2**32 - 1)
BACKEND = TorchBackend()
CPU = torch.device("cpu")


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_it_runs_any_network_as_the_reference_does(seed: int) -> None:
    spec = any_spec(seed)
    payloads, targets = random_images(spec, seed, 5)
    currents = random_currents(spec, seed, 5)
    check_run(BACKEND, spec, payloads, targets, seed=seed, first_image=seed % 1000, currents=currents)
    check_run(BACKEND, spec, payloads, None)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from([1, 2, 5]))
def test_it_learns_any_network_as_the_reference_does(seed: int, batch_size: int) -> None:
    spec = any_spec(seed)
    payloads, targets = random_images(spec, seed, 9)
    currents = random_currents(spec, seed, 9) if seed % 2 else None
    rates = random_rates(spec, seed)
    check_learning(BACKEND, spec, payloads, targets, rates, seed=seed, batch_size=batch_size, currents=currents)


@pytest.mark.parametrize("rule", ["event", "end-point", "y3"])
@pytest.mark.parametrize("hidden", [(7,), (20, 6)])
def test_equilibrium_networks_learn_as_on_events(rule: str, hidden: tuple[int, ...]) -> None:
    spec = build_equilibrium(design_for((5, 3), 4, hidden, rule=rule), 3)
    payloads = spec.encoder.encode(np.random.default_rng(0).random((24, 5, 3)))
    _, targets = random_images(spec, 1, 24)
    check_learning(BACKEND, spec, payloads, targets, random_rates(spec, 2), seed=9, batch_size=8)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("kind", ["inhibition", "residual", "kernels", "signal", "stack"])
@pytest.mark.filterwarnings("ignore::neuro.coding.dictionary.DictionaryWarning")  # random ones are difficult
def test_coders_and_stacks_settle_as_on_the_reference(kind: str, signed: bool) -> None:
    kernels = kernel_coder((6, 5, 2), square((6, 5, 2), 3, 2, True), 4, signed=signed, steps=20)
    spec = {
        "inhibition": lambda: dense_coder(12, 20, threshold_kind="hard"),
        "residual": lambda: dense_coder(12, 20, layout="residual", signed=signed),
        "kernels": lambda: kernels,
        "signal": lambda: kernel_coder((12,), square((12,), 4, 2, False), 5, signed=signed),
        "stack": lambda: stack(kernels, build_equilibrium(_readout(kernels.n_classes), 1)),
    }[kind]()
    payloads = signals(9, spec.n_inputs, 5)
    targets = one_hot_targets(spec, np.arange(9) % 3) if kind == "stack" else None
    assert check_run(BACKEND, spec, payloads, targets, seed=4).n_spikes > 200


@pytest.mark.parametrize("rule", ["event", "end-point"])
@pytest.mark.parametrize("layers", [
    "conv:3x4,pool:2,conv:4x3/2,dense:5", "conv:2x3:valid,7", "conv:2x2,pool:4",
    "conv:3x4,rect,pool:2,conv:3x3,pool:2,rect,pool:2",
])  # fmt: skip
def test_convolutional_networks_learn_as_on_the_reference(layers: str, rule: str) -> None:
    design = design_for((8, 8, 2), 3, parse_layers(layers), rule=rule)
    spec = build_equilibrium(design, seed=2)
    pixels = np.random.default_rng(4).integers(0, 33, (10, spec.n_inputs)).astype(np.int16)
    targets = one_hot_targets(spec, np.arange(10) % 3)
    check_run(BACKEND, spec, pixels, targets, seed=4)
    rates = {p.name: Rate(3, 7) for p in spec.plastic}
    check_learning(BACKEND, spec, pixels, targets, rates, seed=1, batch_size=4)


def _readout(n_inputs: int) -> EquilibriumDesign:
    return EquilibriumDesign((n_inputs,), 3, (6,), encoder=PixelEncoder(7))


def capture_on_cpu(function: Any) -> Any:
    """Stands in for a CUDA graph: a replay calls the function again and writes into the tensors of its first result."""
    first = function()

    class Again:
        def replay(self) -> None:
            for into, values in zip(tensors(first), tensors(function()), strict=True):
                into.copy_(values)

    return Again(), first


def tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    return [tensor for part in parts for tensor in tensors(part)]


@pytest.mark.parametrize("seed", range(6))
def test_replayed_graphs_change_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    captured = []

    def capture(function: Any) -> Any:
        captured.append(function)
        return capture_on_cpu(function)

    monkeypatch.setattr(torch_batched, "wanted", lambda device: True)
    monkeypatch.setattr(torch_batched, "Graphs", lambda function: Graphs(function, capture))
    spec = random_spec(seed)
    payloads, targets = random_images(spec, seed, 13)
    rates = random_rates(spec, seed)
    check_learning(BACKEND, spec, payloads, targets, rates, seed=seed, batch_size=4)  # 4, 4, 4 and 1
    assert len(captured) == 1
    monkeypatch.setattr(torch_batched, "MEMORY", {"cpu": 1})
    with BACKEND.open(spec) as session, get_backend("reference").open(spec) as other:
        for goal in (None, targets):
            found, wanted = (chosen.run(payloads, goal, seed=seed) for chosen in (session, other))
            for field in ("predictions", "output_states", "settled"):
                np.testing.assert_array_equal(getattr(found, field), getattr(wanted, field))
    assert len(captured) == 3


@pytest.mark.parametrize("seed", range(6))
def test_chunks_change_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_batched, "MEMORY", {"cpu": 1})  # one image at a time
    monkeypatch.setattr(torch_batched, "STEP_MEMORY", {"cpu": 1})
    spec = random_spec(seed)
    payloads, targets = random_images(spec, seed, 9)
    check_run(BACKEND, spec, payloads, targets, seed=seed, first_image=3)
    check_learning(BACKEND, spec, payloads, targets, random_rates(spec, seed), seed=seed, batch_size=5)
    with BACKEND.open(spec) as session:
        assert session.run(payloads[:0]).n_images == 0
        assert session.run(payloads[:0], keep_spikes=True).n_images == 0


class InThreads:
    """Workers in threads of this process: a gather waits until all have given."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._barrier = threading.Barrier(size)
        self._given: list[Any] = [None] * size

    def of(self, rank: int) -> Any:
        """The worker of this rank."""
        group = self

        class Worker:
            size = group.size

            def gather(self, mine: torch.Tensor) -> torch.Tensor:
                group._given[rank] = mine.clone()
                group._barrier.wait(timeout=60)
                gathered = torch.stack(group._given)
                group._barrier.wait(timeout=60)
                return gathered

        worker: Any = Worker()
        worker.rank = rank
        return worker


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_workers_that_share_batches_end_with_the_weights_of_one(seed: int, size: int) -> None:
    spec = random_spec(seed)
    payloads, targets = random_images(spec, seed, 17)
    rates, group, found = random_rates(spec, seed), InThreads(size), {}

    def work(rank: int) -> None:
        with BACKEND.open(spec, batch_size=7, workers=group.of(rank)) as session:
            outcome = session.learn(payloads, targets, rates, seed=seed, first_image=2)
            found[rank] = (outcome, session.full_weights(), session.run(payloads, targets))

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with get_backend("events").open(spec, batch_size=7, threads=1) as session:
        wanted = session.learn(payloads, targets, rates, seed=seed, first_image=2)
        for outcome, weights, record in (found[rank] for rank in range(size)):
            np.testing.assert_array_equal(outcome.predictions, wanted.predictions)
            for name, counts in wanted.spike_counts.items():
                np.testing.assert_array_equal(outcome.spike_counts[name], counts)
            for name, full in session.full_weights().items():
                np.testing.assert_array_equal(weights[name], full)
            expected = session.run(payloads, targets)
            for field in ("predictions", "output_states", "settled"):
                np.testing.assert_array_equal(getattr(record, field), getattr(expected, field))


@pytest.mark.parametrize("name", ["tpu", "cuda:x", "cpu:0:1", "", "cuda:"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="is unknown; choose cpu, cuda"):
        device_of(name)


def test_a_missing_device_is_refused() -> None:
    name = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(UserError, match=f"device {name}: torch finds {torch.cuda.device_count()} CUDA devices"):
        BACKEND.open(random_spec(0), device=name)


def test_more_workers_than_images_in_a_batch_are_refused() -> None:
    with pytest.raises(UserError, match="3 workers share a batch of 2"):
        BACKEND.open(random_spec(0), batch_size=2, workers=InThreads(3).of(0))


def test_threads_are_as_before_afterwards() -> None:
    before, spec = torch.get_num_threads(), random_spec(0)
    check_run(BACKEND, spec, random_images(spec, 0, 3)[0], None, threads=2)
    assert torch.get_num_threads() == before


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@needs_cuda
@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from([1, 5]))
def test_cuda_equals_the_reference(seed: int, batch_size: int) -> None:
    spec = random_spec(seed)
    payloads, targets = random_images(spec, seed, 9)
    check_run(BACKEND, spec, payloads, targets, seed=seed, device="cuda")
    rates = random_rates(spec, seed)
    check_learning(BACKEND, spec, payloads, targets, rates, seed=seed, batch_size=batch_size, device="cuda")
