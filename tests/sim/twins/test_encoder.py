"""The encoder in torch: the integers of `PixelEncoder`, the gradients of its equations."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.front_ends.pixels import PixelEncoder
from sim.twins.encoder import encode
from sim.twins.make import make_twin
from sim.twins.surrogates import Surrogate

WAYS = [(True, False), (False, True), (True, True)]


def encoder_on(images, activation_bits, gain_bits, centred, contrast, whiten, reach=2.0):
    encoder = PixelEncoder(activation_bits, None, gain_bits)
    encoder = encoder.centred_on(images) if centred else encoder
    encoder = encoder.contrast_normalised(0.1, reach) if contrast else encoder
    return encoder.whitened_on(images, reach=reach) if whiten else encoder


def payloads_of(images, encoder, rounds=True, outside=0.0):
    offset, matrix = encoder.offset, encoder.transform.whitening
    offset = None if offset is None else torch.tensor(offset, dtype=torch.float64)
    matrix = None if matrix is None else torch.tensor(matrix, dtype=torch.float64)
    return encode(images, encoder, offset, matrix, rounds, outside)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(0, 3), st.booleans(), st.sampled_from(WAYS),
    st.sampled_from([np.float32, np.float64]), st.integers(1, 40),
)  # fmt: skip
def test_payloads_of_real_images_are_the_integers_of_the_encoder(seed, bits, gain_bits, centred, way, kind, n_values):
    images = np.random.default_rng(seed).random((20, n_values)).astype(kind)
    encoder = encoder_on(images, bits, gain_bits, centred, *way)
    found = payloads_of(torch.tensor(images), encoder)
    np.testing.assert_array_equal(found.numpy(), encoder.encode(images))
    assert found.abs().max() <= encoder.payload_limit


def test_payloads_of_images_of_many_values_are_the_integers_of_the_encoder():
    images = np.random.default_rng(0).random((300, 14, 14))
    encoder = encoder_on(images, 5, 1, True, True, True)
    np.testing.assert_array_equal(payloads_of(torch.tensor(images), encoder).numpy(), encoder.encode(images))


@pytest.mark.parametrize("way", WAYS)
def test_gradients_pass_through_normalisation_and_whitening(way):
    images = torch.tensor(np.random.default_rng(1).random((4, 6)), requires_grad=True)
    encoder = encoder_on(images.detach().numpy(), 6, 0, True, *way, reach=64.0)
    assert torch.autograd.gradcheck(lambda x: payloads_of(x, encoder, rounds=False), (images,))
    direction = torch.tensor(np.random.default_rng(2).normal(size=(4, 6)))
    smooth, exact = (
        torch.autograd.grad((payloads_of(images, encoder, rounds) * direction).sum(), images)[0]
        for rounds in (False, True)
    )
    torch.testing.assert_close(exact, smooth, rtol=1e-3, atol=1e-3 * float(smooth.abs().max()))


def test_a_clipped_payload_has_the_slope_of_the_outside():
    images = torch.tensor(np.random.default_rng(3).random((5, 8)))
    tight = encoder_on(images.numpy(), 6, 0, True, True, True, reach=0.5)
    wide = encoder_on(images.numpy(), 6, 0, True, True, True, reach=64.0)
    clipped = payloads_of(images, wide).abs() > tight.payload_limit
    assert clipped.any()
    assert not clipped.all()

    def gradient(encoder, outside, chosen):
        x = images.clone().requires_grad_(True)
        return torch.autograd.grad(payloads_of(x, encoder, True, outside)[chosen].sum(), x)[0]

    assert not gradient(tight, 0.0, clipped).any()
    torch.testing.assert_close(gradient(tight, 0.25, clipped), 0.25 * gradient(wide, 0.0, clipped))
    torch.testing.assert_close(gradient(tight, 0.0, ~clipped), gradient(wide, 0.0, ~clipped))


@pytest.mark.parametrize("way", WAYS)
def test_twins_run_behind_such_an_encoder(way):
    images = np.random.default_rng(4).random((30, 4, 3)).astype(np.float32)
    spec = build_equilibrium(design_for((4, 3), 4, (9,), encoder=encoder_on(images, 5, 0, True, *way)), 3)
    twin = make_twin(spec, Surrogate("straight-through"))
    tensor = torch.tensor(images, requires_grad=True)
    np.testing.assert_array_equal(twin.payloads(tensor).detach().numpy(), spec.encoder.encode(images))
    (slope,) = torch.autograd.grad(twin(tensor)[:, 0].sum(), tensor)
    assert slope.isfinite().all()
    assert slope.any()
