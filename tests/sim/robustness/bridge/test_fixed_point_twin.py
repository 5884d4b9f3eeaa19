"""The gradient of the fixed point: solves its equation, and is that of a long unrolled relaxation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_coders import dense_coder

from neuro.base.errors import UserError
from neuro.equilibrium.design import EquilibriumDesign
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.sigma_delta import NetworkSpec
from neuro.spec.stack import stack
from sim.backends.protocol import get_backend
from sim.contract.sigma_delta import random_spec
from sim.robustness.attacks.losses import margin
from sim.robustness.attacks.threats import Threat
from sim.robustness.bridge.fixed_point_twin import FixedPointTwin
from sim.robustness.bridge.stages import LONG, attack_stages, main_twins, scouts
from sim.twins import adjoint as module
from sim.twins.adjoint import adjoint
from sim.twins.base import Twin
from sim.twins.gradients import implicit_gradient
from sim.twins.make import make_twin
from sim.twins.surrogates import Surrogate
from sim.twins.units import State

SEEDS = st.integers(0, 2**32 - 1)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


def coder_and_classifier(**choices: int) -> NetworkSpec:
    back = EquilibriumDesign((12,), 3, (9,), encoder=PixelEncoder(6), free_steps=40)
    return stack(dense_coder(16, 12, **choices), build_equilibrium(back, 1))


def some_images(spec: NetworkSpec, seed: int, count: int = 6) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).random((count, *spec.image_shape)), dtype=torch.float32)


def gradient(twin: Twin, images: torch.Tensor) -> torch.Tensor:
    images = images.clone().requires_grad_(True)
    return torch.autograd.grad(margin(twin(images), LABELS).sum(), images)[0]


def some_slopes(twin: FixedPointTwin, seed: int, share: float) -> tuple[State, State]:
    """Slopes, a share of them 0, and costs; of the size that real ones have or smaller."""
    generator = torch.Generator().manual_seed(seed)
    slopes, cost = {}, {}
    for name, unit in twin.graph.units.items():
        shape = (5, twin.spec.population(name).size)
        on = torch.rand(shape, generator=generator) < share
        slopes[name] = on * torch.rand(shape, generator=generator).double() * 2.0**-unit.send_shift
        cost[name] = torch.randn(shape, generator=generator).double()
    return slopes, cost


def rest_of(twin: FixedPointTwin, slopes: State, cost: State, found: State) -> float:
    """Largest entry of l - c - D W l, relative to the largest of l."""
    total = dict(cost)
    for index, source, target in twin.graph.recurrent:
        pushed = twin.graph.synapses[index].back(found[target]).double()
        total[source] = total[source] + slopes[source] * pushed
    largest = max(float(part.abs().max()) for part in found.values())
    return max(float((found[name] - total[name]).abs().max()) for name in found) / largest


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from([0.0, 0.3, 1.0]))
def test_the_adjoint_solves_its_equation(seed: int, share: float) -> None:
    twin = FixedPointTwin(random_spec(seed))
    twin.graph.double().dtype = torch.float64
    slopes, cost = some_slopes(twin, seed, share)
    assert rest_of(twin, slopes, cost, adjoint(twin.graph, slopes, cost)) < 1e-6


def test_wide_networks_iterate_to_the_same_adjoint(monkeypatch: pytest.MonkeyPatch) -> None:
    twin = FixedPointTwin(coder_and_classifier())
    images = some_images(twin.spec, 3)
    solved = gradient(twin, images)
    monkeypatch.setattr(module, "WIDEST", 1)
    monkeypatch.setattr(module, "SWEEPS", 10_000)  # random atoms resemble each other: slow
    iterated = gradient(twin, images)
    torch.testing.assert_close(iterated, solved, rtol=1e-4, atol=1e-7)
    monkeypatch.setattr(module, "SWEEPS", 3)
    assert not torch.allclose(gradient(twin, images), solved, rtol=1e-2)


def test_matrices_are_solved_in_parts_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    twin = FixedPointTwin(coder_and_classifier())
    images = some_images(twin.spec, 4)
    whole = gradient(twin, images)
    monkeypatch.setattr(module, "ENTRIES", 1)
    torch.testing.assert_close(gradient(twin, images), whole)


def test_a_matrix_without_an_inverse_gives_a_finite_gradient() -> None:
    twin = FixedPointTwin(random_spec(1))
    names = list(twin.graph.units)
    size = sum(twin.spec.population(name).size for name in names)
    slopes, cost = torch.ones(1, size).double(), torch.ones(1, size).double()
    found = module._solved(torch.eye(size).double(), slopes, cost, size)  # I - 1 I
    assert bool(torch.isfinite(found).all())


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_it_computes_what_events_computes_and_scores_one_step_later(seed: int) -> None:
    spec = random_spec(seed)
    images, twin = some_images(spec, seed), FixedPointTwin(spec)
    with get_backend("events").open(spec, threads=1) as session:
        record = session.run(spec.encoder.encode(images.numpy()))
    outputs = twin.outputs(images)
    np.testing.assert_array_equal(outputs.states.numpy() * twin.unit, record.output_states)
    np.testing.assert_array_equal(twin.predict(images).numpy(), record.predictions)
    later = make_twin(spec, steps=twin.inference_steps + 1)
    torch.testing.assert_close(outputs.scores, later.outputs(images).scores, rtol=0, atol=0)


@pytest.mark.parametrize(
    "surrogate",
    [Surrogate(), Surrogate(box_slope=0.2), Surrogate().below_thresholds],
    ids=["exact", "leaky", "below thresholds"],
)
def test_its_gradient_is_that_of_a_long_unrolled_twin(surrogate: Surrogate) -> None:
    spec = coder_and_classifier(steps=2000)  # random atoms resemble each other: slow
    images = some_images(spec, 1)
    unrolled = gradient(make_twin(spec, surrogate), images)
    found = gradient(FixedPointTwin(spec, surrogate), images)
    assert float(unrolled.abs().max()) > 1e-3
    assert float(torch.cosine_similarity(found.flatten(1), unrolled.flatten(1)).min()) > 0.999


def test_its_gradient_is_the_implicit_one_for_the_margin() -> None:
    twin = FixedPointTwin(coder_and_classifier())
    images = some_images(twin.spec, 2)
    same = implicit_gradient(twin, images, LABELS)  # from states of the unrolled twin
    found = gradient(twin, images)
    assert float(torch.cosine_similarity(found.flatten(1), same.flatten(1)).min()) > 0.98


def test_states_have_a_gradient_inside_their_box() -> None:
    twin = FixedPointTwin(coder_and_classifier())
    images = some_images(twin.spec, 5).requires_grad_(True)
    outputs = twin.outputs(images)
    (found,) = torch.autograd.grad(outputs.states.sum(), images, retain_graph=True)
    unit = twin.graph.units[twin.spec.output]
    total = outputs.scores * twin.unit
    inside = ((total >= unit.lower) & (total <= unit.upper)).to(outputs.scores)
    (wanted,) = torch.autograd.grad(outputs.scores, images, inside)
    torch.testing.assert_close(found, wanted)
    assert float(found.abs().max()) > 0


def test_long_inferences_are_attacked_at_their_fixed_point() -> None:
    spec = coder_and_classifier()
    exact = make_twin(spec)
    assert exact.inference_steps > LONG
    assert list(main_twins(spec, exact)) == ["fixed point", "leaky", "below thresholds"]
    stages = attack_stages(spec, "pgd-10", (Threat("linf", 0.1),), {"flat": lambda x: torch.zeros(len(x), 3)})
    assert [(list(s.models), list(s.attacks)) for s in stages] == [
        (["fixed point", "leaky", "below thresholds"], ["pgd-10"]),
        (["straight-through"], ["pgd-20"]),
        (["fixed point", "leaky", "below thresholds"], ["fgsm", "pgd-20"]),
    ]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_named() -> None:
    with pytest.raises(UserError, match="0 CUDA devices"):
        FixedPointTwin(coder_and_classifier(), device="cuda")


def test_suites_look_below_thresholds_near_boxes_and_through_coarse_payloads() -> None:
    fine = build_equilibrium(EquilibriumDesign((12,), 3, (9,), encoder=PixelEncoder(6)), 1)
    coarse = build_equilibrium(EquilibriumDesign((12,), 3, (9,), encoder=PixelEncoder(2)), 1)
    names = {}
    for name, spec in {"fine": fine, "coarse": coarse, "long": coder_and_classifier()}.items():
        exact = make_twin(spec)
        names[name] = [*main_twins(spec, exact), *scouts(spec, exact)]
    assert names == {
        "fine": ["straight-through", "leaky", "near the box"],
        "coarse": ["straight-through", "leaky", "near the box", "relaxed"],
        "long": ["fixed point", "leaky", "below thresholds"],
    }


def test_the_suite_of_a_long_inference_has_no_empty_stage() -> None:
    stages = attack_stages(coder_and_classifier(), "quick", (Threat("linf", 0.1),), {})
    assert all(stage.models and stage.attacks for stage in stages)
