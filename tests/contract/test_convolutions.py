"""Kernels shared by positions: equal to the matrices they stand for, forward, transposed and with the opposite sign."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from neuro.artifact.sigma_delta import spec_arrays, spec_from_json, spec_to_json
from neuro.base.convolution import square
from neuro.base.errors import UserError
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.graph import Population
from neuro.spec.layers import parse_layers
from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.plasticity import Rate, learning_rule
from neuro.spec.projection import Projection
from neuro.spec.schedule import Phase, Schedule
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend, one_hot_targets
from sim.backends.record import compare
from sim.contract.sigma_delta import check_learning, check_run, run_fully

SHAPE, FEATURES = (6, 5, 2), 3
HAS_LAVA = importlib.util.find_spec("lava") is not None


@pytest.fixture
def network() -> NetworkSpec:
    """Images -> maps by a kernel, maps -> residual by its transpose with the opposite sign, residual -> maps."""
    generator = np.random.default_rng(3)
    convolution = square(SHAPE, 3, 2, same=True)
    maps = convolution.output_shape(SHAPE, FEATURES)
    kernel = generator.integers(-127, 128, convolution.kernel_shape(SHAPE, FEATURES)).astype(np.int8)
    unit = SigmaDelta(12, 5, -(1 << 12), 1 << 12, 1, 1, threshold=300)
    return NetworkSpec(
        populations=(
            Population("input", SHAPE, Source(5, 32)),
            Population("residual", SHAPE, replace(unit, threshold=0)),
            Population("maps", maps, unit),
        ),
        projections=(
            Projection("input->maps", "input", "maps", 7, kernel, convolution=convolution),
            Projection("residual->maps", "residual", "maps", 7, kernel, convolution=convolution),
            Projection("maps->residual", "maps", "residual", 7, transpose_of="residual->maps", sign=-1),
        ),
        schedule=Schedule((Phase("free", 12),)),
        input="input",
        output="maps",
        encoder=PixelEncoder(5),
    )


def images(count: int) -> np.ndarray:
    return np.random.default_rng(8).integers(0, 33, (count, int(np.prod(SHAPE)))).astype(np.int16)


def unrolled(spec: NetworkSpec) -> NetworkSpec:
    """The same network with every kernel, transpose and sign written out as a matrix."""
    dense = [
        replace(p, weights=spec.weights_of(p), transpose_of=None, convolution=None, sign=1) for p in spec.projections
    ]
    return replace(spec, projections=tuple(dense))


@pytest.mark.parametrize("backend", ["reference", "events"])
def test_a_kernel_is_the_matrix_it_stands_for(network: NetworkSpec, backend: str) -> None:
    chosen = get_backend(backend)
    found, wanted = (run_fully(chosen, spec, images(20), None) for spec in (network, unrolled(network)))
    differences = compare(found, wanted)
    assert differences.total == 0
    assert found.spike_counts["maps"].sum() > 100
    assert found.spike_counts["residual"].sum() > 100


@pytest.mark.lava
@pytest.mark.timeout(180)
@pytest.mark.skipif(not HAS_LAVA, reason="Lava needs Python 3.10")
def test_lava_runs_kernels_with_the_same_integers(network: NetworkSpec) -> None:
    assert check_run(get_backend("lava"), network, images(3), None).n_spikes > 100


def test_a_saved_kernel_comes_back(network: NetworkSpec) -> None:
    loaded = spec_from_json(spec_to_json(network), spec_arrays(network))
    assert spec_to_json(loaded) == spec_to_json(network)
    for before, after in zip(network.projections, loaded.projections, strict=True):
        np.testing.assert_array_equal(network.weights_of(before), loaded.weights_of(after))


def test_a_session_returns_the_kernel(network: NetworkSpec) -> None:
    for backend in ("reference", "events"):
        with get_backend(backend).open(network) as session:
            np.testing.assert_array_equal(
                session.weights()["residual->maps"], network.projection("residual->maps").weights
            )


def test_maps_of_the_wrong_shape_are_refused(network: NetworkSpec) -> None:
    populations = tuple(replace(p, shape=(5, 3, 3)) if p.name == "maps" else p for p in network.populations)
    with pytest.raises(UserError, match=r"makes maps of shape \(3, 3, 3\), maps has \(5, 3, 3\)"):
        replace(network, populations=populations)


@pytest.fixture(params=["conv:3x4,pool:2,conv:4x3/2,dense:5", "conv:4x3,rect,pool:2,conv:4x3,dense:5"])
def classifier(request: pytest.FixtureRequest) -> NetworkSpec:
    """EP networks: a pooled convolution of odd borders, a strided one, a dense layer; and averages that are read."""
    layers = parse_layers(request.param)
    steps = {"free_steps": 20, "nudged_steps": 8, "step_multiplier": 7, "step_shift": 3}  # lively
    return build_equilibrium(design_for((8, 6, 2), 3, layers, layer_gains=(3.0, 3.0, 1.0), **steps), seed=2)


def lesson(spec: NetworkSpec, count: int) -> tuple[np.ndarray, np.ndarray, dict[str, Rate]]:
    pixels = np.random.default_rng(4).integers(0, 33, (count, spec.n_inputs)).astype(np.int16)
    return pixels, one_hot_targets(spec, np.arange(count) % 3), {p.name: Rate(3, 7) for p in spec.plastic}


@pytest.mark.parametrize("rule", ["event", "end-point"])
@pytest.mark.parametrize(("batch_size", "threads"), [(1, 1), (4, 3)])
def test_shared_kernels_learn_as_the_reference_does(
    classifier: NetworkSpec, rule: str, batch_size: int, threads: int
) -> None:
    taught = tuple(replace(p, rule=learning_rule(rule, 8) if p.rule else None) for p in classifier.projections)
    spec = replace(classifier, projections=taught)
    check_learning(get_backend("events"), spec, *lesson(spec, 12), seed=1, batch_size=batch_size, threads=threads)


def test_every_kernel_learns(classifier: NetworkSpec) -> None:
    with get_backend("events").open(classifier, threads=1) as session:
        before = session.full_weights()
        session.learn(*lesson(classifier, 12), seed=1, first_image=0)
        after = session.full_weights()
    for name, weights in before.items():
        assert np.count_nonzero(after[name] != weights) > 0, name


def test_the_change_of_a_kernel_is_that_of_its_synapses_learned_apart(classifier: NetworkSpec) -> None:
    """The sum over positions of what an unrolled network, each synapse a weight of its own, would learn."""
    payloads, targets, rates = lesson(classifier, 1)
    exact = {name: Rate(1, 8) for name in rates}  # one shadow unit per unit of change: nothing is rounded
    name = "hidden1->hidden2"
    shared = replace(
        classifier,
        projections=tuple(replace(p, rule=p.rule and learning_rule("event", 8)) for p in classifier.projections),
    )
    matrix = shared.weights_of(shared.projection(name)).astype(np.int8)
    apart = replace(shared, projections=tuple(
        replace(p, weights=matrix, convolution=None) if p.name == name else p for p in shared.projections
    ))  # fmt: skip
    changes = []
    for spec in (shared, apart):
        with get_backend("reference").open(spec) as session:
            before = session.full_weights()[name].astype(int)
            session.learn(payloads, targets, exact, seed=1, first_image=0)
            changes.append(session.full_weights()[name].astype(int) - before)
    kernel = shared.projection(name).convolution.kernel_change(changes[1], shared.population("hidden1").shape)
    assert np.count_nonzero(changes[0]) > 10
    np.testing.assert_array_equal(changes[0], kernel)


@pytest.mark.lava
@pytest.mark.timeout(240)
@pytest.mark.skipif(not HAS_LAVA, reason="Lava needs Python 3.10")
def test_lava_runs_a_learned_convolutional_network_through_all_phases(classifier: NetworkSpec) -> None:
    payloads, targets, rates = lesson(classifier, 9)
    with get_backend("events").open(classifier, threads=1) as session:
        session.learn(payloads, targets, rates, seed=1, first_image=0)
        learned = classifier.with_weights(session.weights())
    first = learned.projection("input->hidden1")
    assert not first.convolution.pooled or np.abs(learned.weights_of(first)).max() > 127  # sums of several weights
    assert check_run(get_backend("lava"), learned, payloads[:3], targets[:3], seed=1).n_spikes > 300
