"""Twins of sigma-delta networks: the integers of `events`, the gradients of `sim.oracles.equilibrium`."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.errors import UserError
from neuro.data.sets import load_dataset
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.graph import Population
from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.projection import Projection
from neuro.spec.schedule import EVEN_ODD, Phase, Schedule
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend
from sim.contract.sigma_delta import any_spec
from sim.oracles.equilibrium import RateNetwork
from sim.twins.base import margin_direction
from sim.twins.gradients import implicit_gradient, local_gradient
from sim.twins.make import make_twin
from sim.twins.sigma_delta import SigmaDeltaTwin
from sim.twins.surrogates import SHAPES, Surrogate

SEEDS = st.integers(0, 2**32 - 1)
LABELS = torch.tensor([0, 1, 2, 3, 0, 1])


def some_images(spec, seed, count=6, dtype=torch.float32):
    return torch.tensor(np.random.default_rng(seed).random((count, *spec.image_shape)), dtype=dtype)


def small(hidden=(9,), seed=3, **choices):
    return build_equilibrium(design_for((4, 3), 4, hidden, **choices), seed)


def deployed(spec, images):
    with get_backend("events").open(spec, threads=1) as session:
        return session.run(spec.encoder.encode(images.numpy()))


def gradient(twin, images, of="scores"):
    images = images.clone().requires_grad_(True)
    outputs = twin.outputs(images)
    labels = LABELS[: len(images)] % outputs.scores.shape[1]
    loss = (getattr(outputs, of) * margin_direction(outputs.scores.detach(), labels)).sum()
    return torch.autograd.grad(loss, images)[0]


def cosine(a, b):
    return torch.nn.functional.cosine_similarity(a.flatten(1).double(), b.flatten(1).double())


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.sampled_from(["straight-through", "atan", "assg", "rate"]))
def test_integer_twins_of_any_network_compute_what_events_computes(seed, name):
    spec = any_spec(seed)
    images = some_images(spec, seed)
    twin, record = make_twin(spec, Surrogate(name)), deployed(spec, images)
    outputs = twin.outputs(images.requires_grad_(True))
    np.testing.assert_array_equal(outputs.states.detach().numpy() * twin.unit, record.output_states)
    np.testing.assert_array_equal(twin.predict(images).numpy(), record.predictions)


@pytest.mark.parametrize("encoder", [PixelEncoder(5), PixelEncoder(7, gain_bits=2), PixelEncoder(5, gain_bits=1)])
@pytest.mark.parametrize("centred", [False, True])
def test_the_encoder_is_part_of_the_twin(encoder, centred):
    digits = load_dataset("digits", 0).x_test[:64].astype(np.float64)
    digits = digits / digits.max()
    encoder = encoder.centred_on(digits) if centred else encoder
    spec = build_equilibrium(design_for((8, 8), 10, (16,), encoder=encoder), 1)
    for images in (torch.tensor(digits, dtype=torch.float32), torch.tensor(digits)):
        found = make_twin(spec).payloads(images)
        np.testing.assert_array_equal(found.numpy(), encoder.encode(images.numpy()))
        record = deployed(spec, images)
        np.testing.assert_array_equal(make_twin(spec).predict(images).numpy(), record.predictions)


def relaxed(spec, steps=None):
    return SigmaDeltaTwin(spec, Surrogate(), "relaxed", steps, 0, torch.float64)


def test_the_slope_of_a_pixel_is_its_gain_and_stops_where_the_gain_saturates():
    spec = small(encoder=PixelEncoder(5, gain_bits=2))
    pixels = torch.tensor([[0.0, 0.1, 0.25, 0.5] * 3]).reshape(1, 4, 3).requires_grad_(True)
    for slope in (0.0, 0.2):
        payloads = make_twin(spec, Surrogate(box_slope=slope)).payloads(pixels)
        (found,) = torch.autograd.grad(payloads.sum(), pixels)
        wanted = 4 * 32 * torch.tensor([1.0, 1.0, 1.0, slope] * 3)
        torch.testing.assert_close(found.flatten(), wanted)


@pytest.mark.parametrize("hidden", [(9,), (8, 5)])
def test_relaxed_twins_are_the_rate_network(hidden):
    spec = small(hidden, free_steps=12)
    images = some_images(spec, 0, dtype=torch.float64)
    network, twin = RateNetwork(spec), relaxed(spec)
    by_twin = images.clone().requires_grad_(True)
    states = twin.outputs(by_twin).states
    by_rate = images.clone().requires_grad_(True)
    wanted = network.relax(network.sources(by_rate.flatten(1) * 32), 12).states["output"]
    torch.testing.assert_close(states, wanted, rtol=0, atol=1e-12)
    for found, oracle in zip(
        torch.autograd.grad(states.square().sum(), by_twin),
        torch.autograd.grad(wanted.square().sum(), by_rate),
        strict=True,
    ):
        assert float(oracle.abs().max()) > 1e-3
        torch.testing.assert_close(found, oracle, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_gradients_of_relaxed_twins_are_finite_differences(seed):
    spec = small(seed=seed)
    twin = relaxed(spec)
    images = 0.1 + 0.8 * some_images(spec, seed, dtype=torch.float64)
    found = gradient(twin, images)
    direction = torch.tensor(np.random.default_rng(seed).normal(size=images.shape))
    with torch.no_grad():
        loss = margin_direction(twin(images), LABELS)
        rise = ((twin(images + 1e-6 * direction) - twin(images - 1e-6 * direction)) * loss).sum(dim=1) / 2e-6
    torch.testing.assert_close((found * direction).flatten(1).sum(dim=1), rise, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", [*SHAPES, "straight-through", "assg", "pdsg", "rate"])
def test_gradients_through_integers_point_where_those_of_the_relaxation_do(name):
    spec = small((24,), activation_bits=7)
    images = some_images(spec, 1)
    truth = gradient(make_twin(spec, forward="relaxed"), images)
    assert float(cosine(gradient(make_twin(spec, Surrogate(name)), images), truth).min()) > 0.85


@pytest.mark.parametrize("every", [1, 3, 4, 100])
@pytest.mark.parametrize("name", ["straight-through", "triangular", "assg", "rate"])
def test_checkpointing_changes_memory_only(every, name):
    spec = small()
    images = some_images(spec, 2)
    twins = [make_twin(spec, Surrogate(name), checkpoint_steps=n) for n in (0, every)]
    for _ in range(3):  # ASSG adapts
        whole, part = (gradient(twin, images) for twin in twins)
        assert float(whole.abs().max()) > 0
        assert torch.equal(whole, part)


def test_a_leaky_slope_lets_gradients_out_of_saturated_states():
    spec = small(output_gain=30.0)  # outputs far outside their box
    images = some_images(spec, 3)
    exact, leaky = (gradient(make_twin(spec, Surrogate(box_slope=s)), images, "states") for s in (0.0, 0.2))
    blocked = exact.flatten(1).abs().sum(dim=1) == 0
    assert bool(blocked.any())
    assert bool((leaky.flatten(1).abs().sum(dim=1) > 0)[blocked].all())


def test_an_attack_may_take_more_steps_than_an_inference_while_predictions_do_not():
    spec, longer = small(), small(free_steps=25)
    images = some_images(spec, 4)
    twin = make_twin(spec, steps=25)
    assert torch.equal(twin(images), make_twin(longer)(images))
    assert torch.equal(twin.infer(images).states, make_twin(spec).outputs(images).states)


def test_the_score_is_the_input_that_led_to_the_state():
    spec = small(step_multiplier=1, step_shift=0, output_gain=8.0)  # the state is then the input, clipped
    outputs = make_twin(spec).outputs(some_images(spec, 5))
    assert torch.equal(outputs.states, outputs.scores.clamp(0.0, 1.5))
    assert bool((outputs.scores != outputs.states).any())


def cyclic_spec():
    """Input -> a -> b -> a and b -> b, no transposes: no energy."""
    generator = np.random.default_rng(0)
    unit = SigmaDelta(16, 6, -(1 << 16), 1 << 16)

    def synapses(source, target, shape):
        return Projection(f"{source}->{target}", source, target, 8, generator.integers(-60, 60, shape).astype(np.int8))

    return NetworkSpec(
        (Population("input", (6,), Source()), Population("a", (5,), unit), Population("b", (4,), unit)),
        (synapses("input", "a", (6, 5)), synapses("a", "b", (5, 4)), synapses("b", "a", (4, 5)),
         synapses("b", "b", (4, 4))),
        Schedule((Phase("free", 20),)), "input", "b",
    )  # fmt: skip


def test_a_twin_at_rest_computes_no_further():
    """Layers in turn: as many steps as the images need are computed, and gradients are those of these."""
    spec = small((9, 5), order=EVEN_ODD, free_steps=5000)
    images = some_images(spec, 5)
    twin, record = make_twin(spec), deployed(spec, images)
    steps = []
    step = twin.graph.step
    twin.graph.step = lambda *args: (steps.append(0), step(*args))[1]
    np.testing.assert_array_equal(twin.infer(images).states.numpy() * twin.unit, record.output_states)
    assert len(steps) <= record.last_spike.max() + 3
    assert float(gradient(twin, images).abs().max()) > 0
    checkpointed = make_twin(spec, checkpoint_steps=7)
    torch.testing.assert_close(gradient(checkpointed, images), gradient(twin, images))


@pytest.mark.parametrize(
    "spec",
    [small(free_steps=200), small((9, 5), order=EVEN_ODD, free_steps=400), cyclic_spec()],
    ids=["layered", "in turn", "cyclic"],
)
def test_the_implicit_gradient_is_that_of_a_long_unrolled_relaxation(spec):
    twin = relaxed(spec, 200)
    images = some_images(spec, 6, dtype=torch.float64)
    found = implicit_gradient(twin, images, LABELS)
    torch.testing.assert_close(found, gradient(twin, images), rtol=1e-6, atol=1e-9)
    assert float(found.abs().max()) > 1e-3


@pytest.mark.parametrize("choices", [{"free_steps": 200}, {"order": EVEN_ODD, "free_steps": 200}])
def test_the_local_gradient_tends_to_that_of_the_state_at_the_fixed_point(choices):
    spec = small(**choices)
    twin = relaxed(spec)
    images = some_images(spec, 7, dtype=torch.float64)
    truth = gradient(twin, images, "states")
    assert float(truth.abs().max()) > 1e-3
    torch.testing.assert_close(local_gradient(twin, images, LABELS, 1e-6), truth, rtol=1e-4, atol=1e-8)
    coarse = local_gradient(make_twin(spec), images, LABELS, 0.5)  # in integers, as the network itself would
    assert float(cosine(coarse, truth).median()) > 0.9


def test_local_gradients_need_a_symmetric_network_and_a_nudge():
    images = some_images(cyclic_spec(), 0)
    with pytest.raises(UserError, match="no energy"):
        local_gradient(make_twin(cyclic_spec()), images, LABELS, 1.0)
    with pytest.raises(UserError, match=r"nudge 0\.0 must be above 0"):
        local_gradient(make_twin(small()), some_images(small(), 0), LABELS, 0.0)


def test_float32_is_taken_only_where_it_holds_every_integer():
    assert make_twin(small()).graph.dtype == torch.float32
    assert make_twin(small(state_bits=22, hidden=(2,))).graph.dtype == torch.float64
