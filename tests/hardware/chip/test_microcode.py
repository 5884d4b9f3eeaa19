"""The microcode in words computes what the neuron does, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.chip.microcode import PUSH, STATE, TURN, Nudge, execute, program, tally
from neuro.base.fixed_point import image_keys
from neuro.spec.neurons import SigmaDelta
from neuro.spec.schedule import CONSTANT
from sim.backends.presentation import nudge_signs
from sim.backends.reference import Relaxation
from sim.contract.sigma_delta import layered_spec, random_images, random_spec


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([random_spec, layered_spec]), st.integers(0, 2**31))
def test_microcode_and_reference_agree_in_every_register(draw, seed):
    spec = draw(seed)
    payloads, targets = random_images(spec, seed, 3)
    weights = {p.name: p.weights for p in spec.projections if p.weights is not None}
    network = Relaxation(spec, weights, payloads, image_keys(seed, 0, 3))
    signs, schedule = nudge_signs(spec, seed, 0, 3), spec.schedule
    nudge = Nudge(schedule.nudge_multiplier, schedule.nudge_shift, schedule.force == CONSTANT)
    programs = {
        p.name: program(p.neuron, nudge if p.name == spec.output else None, spec.parity[p.name] >= 0)
        for p in spec.moving
    }
    kept = (*STATE, TURN, PUSH)
    held = {p.name: {key: np.zeros((3, p.size), dtype=np.int64) for key in kept} for p in spec.moving}
    for name, registers in held.items():
        registers[TURN] += 1 - spec.parity[name]
    pull = None
    for time, phase in enumerate(schedule.phase_of_step()[1:], 1):
        force = schedule.phases[phase].nudge * signs[:, None]
        before = {name: values.copy() for name, values in network.accumulated.items()}
        network.step(time, {spec.output: force * (network.pull(targets) if pull is None else pull)})
        if nudge.held and time == schedule.ends[0]:
            pull = network.pull(targets)
        more = {"target": targets, "force": force, "hold": np.int64(time == schedule.ends[0])}
        for population in spec.moving:
            name = population.name
            arriving = network.accumulated[name] - before[name]
            found = execute(programs[name], {**held[name], "arriving": arriving, **more})
            held[name] = {key: found[key] for key in kept}
            np.testing.assert_array_equal(found["u"], network.state[name])
            np.testing.assert_array_equal(found["s_hat"], network.sent[name])
            np.testing.assert_array_equal(found["q"], network.spike[name])


@pytest.mark.parametrize(
    ("neuron", "nudge", "n_operations"),
    [
        (SigmaDelta(), None, 12),
        (SigmaDelta(), Nudge(1, 1), 16),
        (SigmaDelta(), Nudge(1, 1, held=True), 19),
        (SigmaDelta(threshold=100), None, 15),
        (SigmaDelta(threshold=100, threshold_kind="hard"), None, 18),
        (SigmaDelta(step_multiplier=1, step_shift=0), None, 10),
    ],
)
def test_operations_are_tallied(neuron, nudge, n_operations):
    steps = program(neuron, nudge)
    assert sum(tally(steps).values()) == len(steps) == n_operations
    assert tally(steps)["send_if_not_zero"] == 1
    assert all(str(step).count("<-") == 1 for step in steps)
