"""The Triton kernels against the executable definition: equal, not close. On the CPU, where Triton interprets them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from shared_code import ROOT

from neuro.spec.neurons import SigmaDelta
from neuro.spec.schedule import EVEN_ODD
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.batched import backend
from sim.backends.batched.choice import OLDEST, interpreted, version
from sim.backends.batched.fused import maps_plan
from sim.backends.batched.fused.dense_plan import Plan, refusal
from sim.backends.batched.fused.limits import NARROW
from sim.backends.protocol import get_backend
from sim.contract import sigma_delta as contract

SEEDS = (129, 134, 135, 142, 206, 218, 250)
MAPS = (165, 355, 1024, 1240, 1372)
OF_MAPS = {"even-odd", "pool", "dilation", "stride", "padding", "transposed kernel", "learned kernel", "wide"}
FEATURES = {"even-odd", "held force", "wide", "soft", "hard", "-transpose", "lateral", "y3", "event", "end-point",
            "shadow 0", "shadow 8", "not learning"}  # fmt: skip
IN_FLIGHT, BATCH, MOST, IMAGES = 4, 3, 2, 5  # of 5 images two pieces, two batches, and in them more than MOST
interpreter = pytest.mark.skipif(
    not interpreted() or version() < OLDEST, reason="TRITON_INTERPRET=1 and Triton: make test-py312"
)


def tiny(seed: int, monkeypatch: pytest.MonkeyPatch) -> NetworkSpec:
    monkeypatch.setattr(contract, "MAX_NEURONS", 8)
    return contract.any_spec(seed)


def features(spec: NetworkSpec) -> set[str]:
    plan, units = Plan(spec), [p.neuron for p in spec.populations if isinstance(p.neuron, SigmaDelta)]
    found = {unit.threshold_kind for unit in units if unit.threshold}
    found |= {name for p in spec.plastic if p.rule for name in (p.rule.name, f"shadow {p.rule.shadow_bits}")}
    told = {
        "even-odd": max(plan.parities) >= 0,
        "held force": plan.holds_force,
        "wide": any(plan.wide),
        "-transpose": any(p.transpose_of and p.sign < 0 for p in spec.projections),
        "lateral": any(p.source == p.target for p in spec.projections),
        "not learning": any(p.weights is not None and p.rule is None for p in spec.projections),
    }
    return found | {name for name, is_so in told.items() if is_so}


def test_the_specs_below_have_what_kernels_branch_on(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = [tiny(seed, monkeypatch) for seed in SEEDS]
    assert [refusal(spec) for spec in specs] == [""] * len(SEEDS)
    assert FEATURES - set().union(*map(features, specs)) == set()


def features_of_maps(spec: NetworkSpec) -> set[str]:
    kernels = [p for p in spec.projections if p.convolution is not None]
    shapes = [p.convolution for p in kernels if p.convolution is not None]
    told = {
        "even-odd": spec.schedule.order == EVEN_ODD,
        "pool": any(c.pooled and max(c.dilation) == 1 for c in shapes),
        "dilation": any(max(c.dilation) > 1 for c in shapes),
        "stride": any(max(c.stride) > 1 for c in shapes),
        "padding": any(sum(map(sum, c.padding)) for c in shapes),
        "transposed kernel": any(p.transpose_of in {k.name for k in kernels} for p in spec.projections),
        "learned kernel": any(p.rule for p in kernels),
        "wide": any(p.neuron.payload_limit > NARROW for p in spec.populations),
    }
    return {name for name, is_so in told.items() if is_so}


def test_the_maps_below_have_what_kernels_branch_on(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = [tiny(seed, monkeypatch) for seed in MAPS]
    assert [maps_plan.refusal(spec) for spec in specs] == [""] * len(MAPS)
    assert OF_MAPS - set().union(*map(features_of_maps, specs)) == set()


@interpreter
@pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning")  # Triton's, of its interpreter
@pytest.mark.parametrize("seed", SEEDS + MAPS)
def test_kernels_run_and_learn_as_the_reference_does(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from sim.backends.batched.fused import dense  # import Triton

    spec = tiny(seed, monkeypatch)
    monkeypatch.setattr(backend, "IN_FLIGHT", IN_FLIGHT)
    monkeypatch.setattr(dense, "MOST", MOST)
    monkeypatch.setattr(dense, "FEW", MOST)
    payloads, targets = contract.random_images(spec, seed, IMAGES)
    with (
        get_backend("torch").open(spec, batch_size=BATCH) as fused,
        get_backend("reference").open(spec, batch_size=BATCH) as reference,
    ):
        assert fused.kernels == "Triton"
        for goals in (targets, None):
            found, expected = (s.run(payloads, goals, seed=7, first_image=11) for s in (fused, reference))
            for name in ("output_states", "predictions", "settled", "last_spike"):
                np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
            assert_equal_arrays(found.spike_counts, expected.spike_counts)
        rates = contract.random_rates(spec, seed)
        assert len(fused.run(payloads[:0]).predictions) == 0
        assert len(fused.learn(payloads[:0], targets[:0], rates, seed=7, first_image=0).predictions) == 0
        learned, wanted = (s.learn(payloads, targets, rates, seed=7, first_image=11) for s in (fused, reference))
        for name in ("settled", "last_spike", "free", "nudged"):
            values = (getattr(outcome.settling, name) for outcome in (learned, wanted))
            np.testing.assert_array_equal(*values, err_msg=name)
        assert_equal_arrays(learned.spike_counts, wanted.spike_counts)
        assert_equal_arrays(fused.full_weights(), reference.full_weights())
        np.testing.assert_array_equal(fused.run(payloads).output_states, reference.run(payloads).output_states)
        assert fused._fused.size == (
            BATCH if seed in MAPS and refusal(spec) else IN_FLIGHT
        )  # no row is computed in vain


def assert_equal_arrays(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


COMPILE = """
import numpy as np, torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

class Absent:
    get_current_target = lambda self: GPUTarget("cuda", {capability}, 32)
    get_current_device = lambda self: 0
    get_current_stream = lambda self, device=None: 0
    get_active_torch_device = lambda self: torch.device("cpu")

compiled, compile_and_launch = set(), JITFunction.run
def only_compile(self, *args, grid, warmup, **options):
    kernel = compile_and_launch(self, *args, grid=grid, warmup=True, **options)
    assert kernel.asm["cubin"]
    compiled.add(self.fn.__module__.split(".")[-1] + "." + self.fn.__name__)
JITFunction.run = only_compile
driver.set_active(Absent())

from neuro.base.fixed_point import image_keys
from neuro.spec.plasticity import Rate
from sim.backends.batched.fused.dense import DenseNetwork
from sim.backends.batched.fused.maps import MapsNetwork
from sim.backends.batched.plasticity import Learner
from sim.backends.batched.synapses import make_synapses
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.spec.layers import parse_layers
cpu = torch.device("cpu")
maps = parse_layers("conv:2x3,rect,pool:2,conv:2x2")
targets, keys = np.zeros((2, 3), np.int32), image_keys(0, 0, 2)
for kind, hidden in ((DenseNetwork, (16,)), (MapsNetwork, maps)):
    spec = build_equilibrium(design_for((4, 4), 3, hidden, free_steps=3, nudged_steps=2), 0)
    learners = [Learner(spec, p, make_synapses(spec, p, cpu), cpu) for p in spec.plastic]
    images = np.zeros((2, spec.population(spec.input).size), np.int16)
    rates = {{p.name: Rate(3, 12) for p in spec.plastic}}
    kind(spec, learners, cpu).learn(images, targets, np.ones(2, np.int32), keys, rates, 2)
print(*sorted(compiled))
"""


@pytest.mark.skipif(version() < OLDEST, reason="Triton: make test-py312")
@pytest.mark.parametrize("capability", [80, 90])
def test_kernels_compile_without_a_card(capability: int, tmp_path: Path) -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE.format(capability=capability)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    dense = {"dense_kernels.drive_kernel", "dense_kernels.settle_kernel"}
    dense |= {f"dense_learning.{name}_kernel" for name in ("commit", "commit_input", "move", "occupied")}
    maps = {f"maps_kernels.{name}_kernel" for name in ("change", "commit", "product", "relax", "window")}
    assert set(done.stdout.split()) == dense | maps, done.stderr[-2000:]
