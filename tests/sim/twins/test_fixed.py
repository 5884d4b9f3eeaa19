"""Twins behind a fixed front end: its integers, gradients through it, spikes drawn in every pass."""

import numpy as np
import pytest
import torch

from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.front_ends.fixed import FixedFront
from neuro.front_ends.named import fixed_front
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend
from sim.robustness.bridge.fidelity import fidelity
from sim.twins.fixed import GAUSSIAN, MEAN, SPIKES, drawn, fixed_twin
from sim.twins.make import make_twin

FRONTS = [
    "v1:channels=6+5,stride=2,kernel=5,window=1", "v1:channels=6+5,stride=2,kernel=5,window=0", "dn:pool=3,sigma=20",
    "dn:pool=3+v1:channels=4+3,stride=2,kernel=5,window=0",
]  # fmt: skip


def network(text: str, shape: tuple[int, ...] = (8, 8)) -> NetworkSpec:
    front = fixed_front(text, shape)
    design = design_for(front.shape, 4, (16,), encoder=PixelEncoder.of(front), hidden_gain=4.0)
    return build_equilibrium(design, 0)


def some(*shape: int) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(0).random(shape), dtype=torch.float32)


@pytest.mark.parametrize("text", FRONTS)
@pytest.mark.parametrize("shape", [(8, 8), (9, 7, 3)])
def test_payloads_are_the_integers_of_the_front_end(text, shape):
    front: FixedFront = fixed_front(text, shape)
    images = some(6, *shape)
    twin = fixed_twin(front)
    assert twin is not None
    found = twin(images.flatten(1).double(), True, 0.0)
    np.testing.assert_array_equal(found.numpy(), front.encode(images.numpy()))
    smooth = twin(images.flatten(1).double(), False, 0.0)
    assert ((smooth - found).abs() < 4.0 + 0.02 * found).all()


@pytest.mark.parametrize("text", FRONTS)
def test_the_gradient_of_the_relaxed_form_is_that_of_differences(text):
    twin = fixed_twin(fixed_front(text, (8, 8)))
    assert twin is not None
    twin = twin.double()
    at = some(1, 64).double().requires_grad_(True)
    weights = some(1, int(np.prod(fixed_front(text, (8, 8)).shape))).double()
    (gradient,) = torch.autograd.grad((twin(at, False, 0.0) * weights).sum(), at)
    step = 1e-6
    for pixel in (0, 27, 63):
        moved = at.detach().clone()
        moved[0, pixel] += step
        difference = ((twin(moved, False, 0.0) - twin(at.detach(), False, 0.0)) * weights).sum() / step
        assert float(gradient[0, pixel]) == pytest.approx(float(difference), rel=1e-3)


def test_twins_draw_anew_in_every_pass_and_only_where_spikes_are_drawn():
    images = some(5, 8, 8)
    noisy, quiet = (make_twin(network(text)) for text in FRONTS[:2])
    assert not torch.equal(noisy(images), noisy(images))
    assert torch.equal(quiet(images), quiet(images))
    noisy.noise = MEAN
    assert torch.equal(noisy(images), noisy(images))


@pytest.mark.parametrize("text", FRONTS[1:])
def test_a_twin_without_noise_is_the_network_bit_for_bit(text):
    spec, images = network(text), some(40, 8, 8)
    with get_backend("events").open(spec, threads=1) as session:
        found = fidelity(make_twin(spec), session, images)
    assert (found.label_agreement, found.output_error) == (1.0, 0.0)


def test_the_mean_of_drawn_answers_is_that_of_the_network():
    spec, images = network(FRONTS[0]), some(1, 8, 8).expand(400, 8, 8)
    twin = make_twin(spec)
    with torch.no_grad():
        mine = twin.infer(images).states.numpy()
    with get_backend("events").open(spec, threads=1) as session:
        theirs = session.run(spec.encoder.encode(images.numpy()), seed=1).output_states / twin.unit
    error = np.sqrt((mine.var(axis=0) + theirs.var(axis=0)) / 400) + 1e-3
    assert (np.abs(mine.mean(axis=0) - theirs.mean(axis=0)) < 4 * error).all()
    assert mine.std() > 0


@pytest.mark.parametrize("noise", [SPIKES, GAUSSIAN])
def test_counts_have_the_mean_and_variance_of_bernoulli_spikes(noise):
    chances = torch.full((20_000,), 2.0**15 / 16, dtype=torch.float64, requires_grad=True)
    counts = drawn(chances, 16, noise, torch.Generator().manual_seed(0))
    assert float(counts.mean()) == pytest.approx(1.0, abs=0.03)
    assert float(counts.var()) == pytest.approx(15 / 16, abs=0.03)
    (slope,) = torch.autograd.grad(counts.mean(), chances)
    assert float(slope.sum()) == pytest.approx(16 * 2.0**-15, rel=0.02)
