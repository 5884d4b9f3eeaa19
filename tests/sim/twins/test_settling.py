"""A phase as one operation is the phase step by step: the same values, the same gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.spec.schedule import EVEN_ODD
from sim.contract.sigma_delta import any_spec
from sim.twins.make import make_twin
from sim.twins.settling import advance, settled
from sim.twins.sigma_delta import SigmaDeltaTwin
from sim.twins.surrogates import Surrogate
from sim.twins.units import unroll

SURROGATES = [
    Surrogate(),
    Surrogate(box_slope=0.2),
    Surrogate().near_the_box,
    Surrogate(threshold_slope=0.5, box_slope=0.2),
    Surrogate(box_slope=0.5, box_band=0.1).below_thresholds,
]


def driven(twin, seed, count=5):
    """A drive of some images, that takes gradients."""
    images = np.random.default_rng(seed).random((count, *twin.spec.image_shape))
    drive = twin.graph.drive(twin.payloads(torch.tensor(images, dtype=torch.float32)))
    return {name: part.clone().requires_grad_(True) for name, part in drive.items()}


def step_by_step(twin, drive, steps, rests=False):
    return unroll(lambda s, t: twin.graph.step(s, drive, t), twin.graph.rest(drive), steps, 0, rests)


def gradients(state, drive, seed):
    """Of a random mean of all that the state holds."""
    generator = torch.Generator().manual_seed(seed)
    parts = [state[key] for key in sorted(state)]
    loss = sum((part * torch.randn(part.shape, generator=generator).to(part)).sum() for part in parts)
    return torch.autograd.grad(loss, list(drive.values()), allow_unused=True)


def assert_alike(twin, seed, steps, rests=False):
    drive = driven(twin, seed)
    found, wanted = settled(twin.graph, drive, steps, rests), step_by_step(twin, drive, steps, rests)
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        torch.testing.assert_close(
            found[key], value, rtol=0.0 if twin.rounds else 1e-12, atol=0.0 if twin.rounds else 1e-6
        )
    pairs = zip(gradients(found, drive, seed), gradients(wanted, drive, seed), strict=True)
    for own, truth in pairs:
        assert (own is None) == (truth is None)
        if truth is not None:
            torch.testing.assert_close(own, truth, rtol=1e-4, atol=1e-5 * float(truth.abs().max()))
    with torch.no_grad():
        for key, value in settled(twin.graph, drive, steps, rests).items():
            assert torch.equal(value, found[key])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(SURROGATES), st.sampled_from(["integer", "relaxed"]),
       st.integers(1, 12))  # fmt: skip
def test_any_network_settles_and_is_differentiated_as_step_by_step(seed, surrogate, mode, steps):
    assert_alike(SigmaDeltaTwin(any_spec(seed), surrogate, mode, None, 0, torch.float64), seed, steps)


@pytest.mark.parametrize("surrogate", SURROGATES[:3])
def test_what_is_at_rest_is_not_differentiated_further(surrogate):
    spec = build_equilibrium(design_for((4, 3), 4, (9, 5), order=EVEN_ODD, free_steps=300), 3)
    assert_alike(make_twin(spec, surrogate), 2, 300, rests=True)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_forced_phase_is_that_of_single_steps(seed):
    spec = any_spec(seed)
    twin = make_twin(spec)
    drive = {name: part.detach() for name, part in driven(twin, seed).items()}
    force = torch.full((5, spec.n_classes), 3.0, dtype=twin.graph.dtype)
    wanted = start = twin.settle(drive, 4)
    for time in range(4, 11):
        wanted = twin.graph.step(wanted, drive, time, force)
    found = advance(twin.graph, start, drive, range(4, 11), force)
    assert all(torch.equal(found[key], value) for key, value in wanted.items())
