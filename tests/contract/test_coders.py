"""Sparse coders and stacks on every backend: the same integers."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_coders import dense_coder, kernel_coder, signals

from neuro.base.convolution import square
from neuro.equilibrium.design import EquilibriumDesign
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.sigma_delta import NetworkSpec
from neuro.spec.stack import stack
from sim.backends.protocol import get_backend, one_hot_targets
from sim.contract.sigma_delta import check_run

pytestmark = pytest.mark.filterwarnings(
    "ignore::neuro.coding.dictionary.DictionaryWarning"
)  # random ones are difficult

HAS_LAVA = importlib.util.find_spec("lava") is not None


def classifier(n_inputs: int) -> NetworkSpec:
    return build_equilibrium(EquilibriumDesign((n_inputs,), 3, (6,), encoder=PixelEncoder(6)), 1)


def kernels(**choices: object) -> NetworkSpec:
    return kernel_coder((6, 5, 2), square((6, 5, 2), 3, 2, True), 4, **choices)


def stacked(steps: int = 30) -> NetworkSpec:
    """Kernels, a dense coder of their codes, a classifier."""
    front = kernels(steps=steps)
    second = dense_coder(front.n_classes, 8, encoder=PixelEncoder(7), steps=steps)
    return stack(stack(front, second), classifier(8))


CODERS = {
    "inhibition": lambda: dense_coder(12, 20),
    "residual": lambda: dense_coder(12, 20, layout="residual"),
    "signed": lambda: dense_coder(12, 20, layout="residual", signed=True),
    "hard": lambda: dense_coder(12, 20, threshold_kind="hard"),
    "kernels": kernels,
    "signed kernels": lambda: kernels(signed=True),
    "signal": lambda: kernel_coder((12,), square((12,), 4, 2, False), 5),
    "stack": stacked,
}


@pytest.mark.parametrize("kind", CODERS)
@pytest.mark.parametrize("threads", [1, 3])
def test_events_equal_the_reference(kind: str, threads: int) -> None:
    spec = CODERS[kind]()
    payloads = signals(40, spec.n_inputs, 5)
    targets = one_hot_targets(spec, np.arange(40) % 3) if kind == "stack" else None
    found = check_run(get_backend("events"), spec, payloads, targets, seed=4, threads=threads)
    assert found.n_spikes > 1000


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 10), st.integers(1, 12), st.integers(0, 1000), st.booleans(), st.sampled_from(["soft", "hard"]))
def test_events_equal_the_reference_whatever_the_dictionary(
    n_values: int, n_atoms: int, seed: int, signed: bool, kind: str
) -> None:
    for layout in ("inhibition", "residual"):
        spec = dense_coder(n_values, n_atoms, seed, layout=layout, signed=signed, threshold_kind=kind, steps=30)
        check_run(get_backend("events"), spec, signals(3, n_values, seed), None, threads=1)


@pytest.mark.lava
@pytest.mark.timeout(180)
@pytest.mark.skipif(not HAS_LAVA, reason="Lava needs Python 3.10")
@pytest.mark.parametrize("kind", ["inhibition", "kernels", "stack"])
def test_lava_equals_the_reference(kind: str) -> None:
    spec = {"inhibition": dense_coder(24, 40, steps=60), "kernels": kernels(steps=30), "stack": stacked(6)}[kind]
    targets = one_hot_targets(spec, np.arange(1)) if kind == "stack" else None
    assert check_run(get_backend("lava"), spec, signals(1, spec.n_inputs, 5), targets).n_spikes > 50
