"""The backend on the chip, with Lava's public simulator behind the door: `shared_door` stands in for
`hardware.board.door`, and `detect` says that the extension is there. Both at the boundary to Intel's closed extension
only; the graph, the worker, its watchdog and the records are the real ones.
"""

import importlib.util
import os
import time
from dataclasses import replace

import numpy as np
import pytest
from shared_processes import lava_workers

from hardware.board import backend as board_backend
from hardware.board.backend import BoardBackend, compile_on_board, measurement, unreset
from hardware.board.detect import Board
from neuro.base.errors import UserError
from neuro.equilibrium.design import design_for
from neuro.equilibrium.graded_relu import GradedDesign, GradedNetwork, open_boxes
from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.equilibrium.sigma_delta import build_equilibrium
from sim.backends.protocol import get_backend, one_hot_targets
from sim.contract.sigma_delta import random_spec

needs_lava = [
    pytest.mark.lava(),
    pytest.mark.timeout(240),
    pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava needs Python 3.10"),
]


def lava_test(function):
    for mark in needs_lava:
        function = mark(function)
    return function


def lif_network(**choices):
    return build_stock_network(StockDesign((4, 4), 3, (5,), noise="shared", **choices), 0)


def graded_network():
    spec = open_boxes(build_equilibrium(design_for((4, 4), 3, (5,)), 0), 8.0)
    return GradedNetwork(spec, GradedDesign(free_steps=8, nudged_steps=5))


def images(network, count):
    limit = network.encoder.payload_limit
    payloads = np.random.default_rng(2).integers(0, limit, (count, 16), endpoint=True).astype(np.int16)
    return payloads, one_hot_targets(network, np.arange(count) % 3)


@pytest.fixture
def board(monkeypatch):
    monkeypatch.setattr(board_backend, "require_extension", lambda: Board(True, True, False, ()))
    return BoardBackend("shared_door")


@lava_test
@pytest.mark.parametrize("make", [lif_network, graded_network])
@pytest.mark.parametrize("taught", [False, True])
def test_spikes_are_those_of_the_chip_backend(make, taught, board):
    network = make()
    n_images = 1 if taught else 2
    payloads, targets = images(network, n_images)
    done = []
    records = []
    for backend, options in ((board, {"on_image": done.append}), (get_backend("chip"), {})):
        with backend.open(network, **options) as session:
            records.append(session.run(payloads, targets if taught else None, keep_spikes=True))
    found, wanted = records
    np.testing.assert_array_equal(found.spikes.rows(), wanted.spikes.rows())
    np.testing.assert_array_equal(found.predictions, wanted.predictions)
    np.testing.assert_array_equal(found.output_states, wanted.output_states)
    np.testing.assert_array_equal(found.settled, wanted.settled)
    for name, counts in wanted.spike_counts.items():
        np.testing.assert_array_equal(found.spike_counts[name], counts)
    assert found.backend == "loihi2"
    assert len(found.spikes) > 100
    assert done[-1:] in ([n_images], [1], [])  # told as they finish; the last may end the run before it is seen
    assert not lava_workers()


@pytest.mark.slow
@lava_test
def test_what_is_learned_is_what_the_chip_backend_learns(board):
    network = lif_network()
    payloads, targets = images(network, 1)
    rates = {p.name: p.rule for p in network.plastic}
    weights, outcomes = [], []
    for backend in (board, get_backend("chip")):
        with backend.open(network) as session:
            outcomes.append(session.learn(payloads, targets, rates, seed=0, first_image=0))
            weights.append(session.weights())
    np.testing.assert_array_equal(outcomes[0].predictions, outcomes[1].predictions)
    for name, counts in outcomes[1].spike_counts.items():
        np.testing.assert_array_equal(outcomes[0].spike_counts[name], counts)
    changed = 0
    for projection in network.plastic:
        np.testing.assert_array_equal(weights[0][projection.name], weights[1][projection.name])
        changed += np.count_nonzero(weights[0][projection.name] != projection.weights)
    assert changed > 5


@lava_test
def test_time_and_energy_are_what_the_profiler_reads(board):
    from shared_door import JOULES_PER_STEP, SECONDS_PER_STEP

    network = graded_network()
    with board.open(network) as session:
        found = session.measure(images(network, 3)[0])
    steps = network.free_steps
    assert found.latency.value == pytest.approx(SECONDS_PER_STEP * steps)
    assert found.energy.value == pytest.approx(JOULES_PER_STEP * steps)
    assert found.static_energy is None
    assert (found.latency.kind, found.latency.n) == ("measured", 3)
    assert "Lava profiler on Loihi 2" in str(found.latency)


@lava_test
def test_a_board_that_hangs_is_given_up_and_nothing_is_left(board):
    network = lif_network()
    board.door = "shared_hanging_door"
    start = time.monotonic()
    with board.open(network, stall_s=5) as session, pytest.raises(UserError, match="loihi2: no image finished for 5 s"):
        session.run(images(network, 1)[0])
    assert time.monotonic() - start < 60
    assert not lava_workers()


@lava_test
def test_a_door_that_breaks_is_reported_in_one_line(board):
    board.door = "no_such_door"
    network = lif_network()
    with board.open(network) as session, pytest.raises(UserError, match="the run failed after image 0 of 1") as error:
        session.run(images(network, 1)[0])
    assert "no_such_door" in str(error.value)
    assert "\n" not in str(error.value)


@lava_test
def test_the_chip_compiler_is_asked_in_a_worker(board):
    assert board.open(lif_network()).spec.family == "stock"
    assert "Loihi 2" in compile_on_board(lif_network().inference, door="shared_door")
    with pytest.raises(UserError, match="the run failed"):
        compile_on_board(lif_network().inference, door="no_such_door")
    assert not lava_workers()


def test_a_board_without_energy_probe_gives_none():
    found = measurement({"execution_time": np.full(20, 1e-6)}, 2, 10)
    assert found.latency.value == pytest.approx(1e-5)
    assert (found.energy, found.static_energy) == (None, None)


def test_resets_that_fall_within_an_image_keep_their_neurons():
    graph = lif_network().inference
    steps = lif_network().free_steps
    apart, together = unreset(graph, steps)
    assert together
    assert {p.neuron.reset_interval for p in apart.populations if hasattr(p.neuron, "reset_interval")} == {0}
    often = replace(
        graph,
        populations=tuple(
            replace(p, neuron=replace(p.neuron, reset_interval=7)) if hasattr(p.neuron, "reset_interval") else p
            for p in graph.populations
        ),
    )
    assert unreset(often, steps) == (often, False)


def test_what_the_board_cannot_do_is_refused_in_words(board):
    with pytest.raises(UserError, match=r"runs no sigma-delta networks: .*micro-operations\).*--family stock"):
        board.open(random_spec(0))
    with pytest.raises(UserError, match="one image at a time"):
        board.open(lif_network(), batch_size=2)
    deferred = lif_network(rule="deferred")
    with board.open(deferred) as session:
        payloads, targets = images(deferred, 1)
        with pytest.raises(UserError, match="the host has a part in this rule"):
            session.learn(payloads, targets, {}, seed=0, first_image=0)
        with pytest.raises(UserError, match="drop keep_states"):
            session.run(payloads, keep_states=True)
        with pytest.raises(UserError, match="no images to measure"):
            session.measure(payloads[:0])


@lava_test
def test_without_the_extension_opening_says_what_to_do():
    with pytest.raises(UserError, match=r"install lava-loihi.*settle evaluate RUN --backend lava"):
        get_backend("loihi2").open(lif_network())
    assert os.environ.get("PARTITION") is None
