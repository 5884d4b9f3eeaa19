"""Layers in turn: the energy never rises, everything falls silent, and what silence skips changes nothing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.fixed_point import image_keys
from neuro.equilibrium.sigma_delta import energy
from neuro.spec.neurons import SigmaDelta
from neuro.spec.schedule import CONSTANT, RELAXING, Phase
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend
from sim.backends.reference import Relaxation
from sim.contract.sigma_delta import layered_spec, random_images

SEEDS = st.integers(0, 2**32 - 1)
LONG = 4000  # half steps; random networks need tens to hundreds


def held(spec: NetworkSpec, steps: int) -> NetworkSpec:
    """The same network under a constant force, with phases of so many steps."""
    phases = tuple(replace(phase, steps=steps) for phase in spec.schedule.phases)
    return replace(spec, schedule=replace(spec.schedule, phases=phases, force=CONSTANT))


def lattice_energy(network: Relaxation, force: np.ndarray | None) -> np.ndarray:
    """E of the rounded activations, with the term of a constant force on the output; exact in float64."""
    spec, states = network.spec, {}
    for population in spec.populations:
        neuron, sent = population.neuron, network.sent[population.name]
        states[population.name] = sent << neuron.send_shift if isinstance(neuron, SigmaDelta) else sent
    found = energy(spec, states)
    if force is not None:
        unit = spec.unit(spec.output)
        found = found - (force * states[spec.output]).sum(axis=1) / unit.one**2
    return found


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_energy_never_rises_and_every_phase_falls_silent(seed):
    spec = held(layered_spec(seed, learns=False), 1)
    payloads, targets = random_images(spec, seed, 2)
    network = Relaxation(spec, {p.name: p.weights.astype(np.int64) for p in spec.projections if p.weights is not None},
                         payloads, image_keys(0, 0, 2))  # fmt: skip
    time, pull = 0, None
    for sign in (0, 1, -1):
        force = None if pull is None else sign * pull
        before, quiet = None, 0
        for _ in range(LONG):
            time += 1
            network.step(time, {} if force is None else {spec.output: force})
            now = lattice_energy(network, force)
            assert before is None or (now <= before).all()
            before = now
            quiet = 0 if any(spikes.any() for spikes in network.spike.values()) else quiet + 1
            if quiet == 2:
                break
        assert quiet == 2, f"not silent after {LONG} half steps"
        pull = network.pull(targets) if pull is None else pull


@pytest.mark.parametrize("batch", range(4))
def test_two_hundred_networks_fall_silent(batch):
    """Free and nudged, on the fast backend: gains of couplings up to 6, maps and shared kernels among them."""
    for seed in range(50 * batch, 50 * (batch + 1)):
        spec = held(layered_spec(seed, learns=False), LONG)
        payloads, targets = random_images(spec, seed, 3)
        with get_backend("events").open(spec, threads=1) as session:
            record = session.run(payloads, targets, keep_spikes=True)
        ends = np.array(spec.schedule.ends)
        assert record.settled.all()
        for first, last in zip((0, *ends[:-1]), ends, strict=True):
            inside = record.spikes.step[(record.spikes.step > first) & (record.spikes.step <= last)]
            assert inside.max(initial=0) < last - 1, f"network {seed}"


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_longer_phases_change_no_state_once_silent(seed):
    short, long = (held(layered_spec(seed, learns=False), steps) for steps in (LONG, LONG + 2))
    payloads, targets = random_images(short, seed, 3)
    records = []
    for spec in (short, long):
        with get_backend("events").open(spec, threads=1) as session:
            records.append(session.run(payloads, targets, keep_states=True))
    for name, states in records[0].states.items():
        np.testing.assert_array_equal(states, records[1].states[name])


def test_a_relaxing_force_is_not_skipped():
    """Its pull follows the state: without a spike, the output may still move."""
    spec = layered_spec(1, learns=False)
    phases = (Phase("free", 30), Phase("first", 40, 1), Phase("second", 40, -1))
    spec = replace(spec, schedule=replace(spec.schedule, phases=phases, force=RELAXING, nudge_shift=3))
    payloads, targets = random_images(spec, 1, 4)
    found = []
    for name in ("reference", "events"):
        with get_backend(name).open(spec) as session:
            found.append(session.run(payloads, targets, keep_states=True).states[spec.output])
    np.testing.assert_array_equal(*found)
