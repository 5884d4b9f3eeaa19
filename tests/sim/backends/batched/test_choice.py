"""Why a network does not run on Triton kernels, and that torch then computes the same and says so."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.layers import parse_layers
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.batched import choice
from sim.backends.batched.fused import dense_plan
from sim.backends.protocol import get_backend
from sim.contract.sigma_delta import random_images, random_spec

CPU, CARD = torch.device("cpu"), torch.device("cuda")


def dense(*hidden: int, **options: object) -> NetworkSpec:
    return build_equilibrium(design_for((5, 4), 3, hidden, **options), 0)


def convolutional() -> NetworkSpec:
    return build_equilibrium(design_for((8, 8), 3, parse_layers("conv:2x3,6")), 0)


@pytest.fixture
def current(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with a card and Triton that run them."""
    monkeypatch.delenv(choice.SWITCH, raising=False)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(choice, "version", lambda: choice.OLDEST)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: choice.OLDEST_CARD)
    return monkeypatch


def test_a_dense_network_runs_on_them(current: pytest.MonkeyPatch) -> None:
    assert choice.reason(dense(7), CARD, False) == ""
    assert choice.reason(dense(7, 5, output_box=(0.0, 1.5)), CARD, False) == ""


def test_a_cpu_only_if_triton_interprets(current: pytest.MonkeyPatch) -> None:
    assert choice.reason(dense(7), CPU, False) == "the device is a CPU"
    current.setenv("TRITON_INTERPRET", "1")
    assert choice.reason(dense(7), CPU, False) == ""


@pytest.mark.parametrize(
    ("found", "why"), [((), "no Triton here; it takes 3.6"), ((2, 3), "Triton 2.3 here; it takes 3.6")]
)
def test_an_old_triton(found: tuple[int, ...], why: str, current: pytest.MonkeyPatch) -> None:
    current.setattr(choice, "version", lambda: found)
    assert choice.reason(dense(7), CARD, False) == why


def test_the_version_is_that_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice.util, "find_spec", lambda name: name)
    monkeypatch.setattr(choice.metadata, "version", lambda name: "3.10.1+git12")
    assert choice.version() == (3, 10)
    monkeypatch.setattr(choice.util, "find_spec", lambda name: None)
    assert choice.version() == ()


def test_an_old_card(current: pytest.MonkeyPatch) -> None:
    current.setattr(torch.cuda, "get_device_capability", lambda device=None: (7, 5))
    assert choice.reason(dense(7), CARD, False) == "this card has no int8 tensor cores that Triton uses"


def test_switched_off(current: pytest.MonkeyPatch) -> None:
    current.setenv(choice.SWITCH, "0")
    assert choice.reason(dense(7), CARD, False) == "SETTLE_TRITON=0"


def test_workers_share_moves_that_they_do_not_note(current: pytest.MonkeyPatch) -> None:
    assert choice.reason(dense(7), CARD, True) == "workers share its batches"


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (dense(4096), "4128 neurons that settle, padded, beyond 2304"),
        (
            dense(1024, 512, output_box=(0.0, 1.5)),
            "524288 synapses between two populations that settle, beyond 131072",
        ),
        (convolutional(), "projection input->hidden1 is a convolution"),
        (dense(7, encoder=PixelEncoder(8)), "population input sends up to 256, beyond 127"),
    ],
)
def test_dense_networks_beyond_their_limits_run_as_maps_do(
    spec: NetworkSpec, why: str, current: pytest.MonkeyPatch
) -> None:
    assert dense_plan.refusal(spec) == why
    assert choice.reason(spec, CARD, False) == ""


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (dense(4096, rule="y3"), "projection input->hidden1 learns from states"),
        (random_spec(2), "projection input->moving0 joins all neurons to maps"),
    ],
)
def test_networks_beyond_their_limits(spec: NetworkSpec, why: str, current: pytest.MonkeyPatch) -> None:
    assert choice.reason(spec, CARD, False) == why


def test_a_session_says_what_computes_and_torch_computes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    spec = dense(7)
    payloads, _ = random_images(spec, 1, 4)
    with get_backend("torch").open(spec) as session, get_backend("reference").open(spec) as reference:
        assert session.kernels == "torch: the device is a CPU"
        np.testing.assert_array_equal(session.run(payloads).output_states, reference.run(payloads).output_states)
