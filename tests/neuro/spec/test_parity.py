"""Who updates at which step, and what cannot take turns."""

from dataclasses import replace

import numpy as np
import pytest

from neuro.base.errors import UserError
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.spec.layers import parse_layers
from neuro.spec.parity import EVERY_STEP, settling_with, skips_silence
from neuro.spec.projection import Projection
from neuro.spec.schedule import EVEN_ODD, PARALLEL, Phase, Schedule


@pytest.fixture
def spec():
    return build_equilibrium(design_for((8, 8), 3, parse_layers("conv:2x3,pool:2,6"), order=EVEN_ODD), 0)


def test_neighbours_take_turns_and_the_input_feeds_odd_steps(spec):
    assert spec.parity["hidden1"] == 1
    assert spec.parity["hidden2"] == 0
    assert spec.parity["output"] == 1
    assert spec.parity["input"] == spec.parity["bias"] == spec.parity["bias hidden1"] == EVERY_STEP
    assert settling_with(spec, "output") == {"hidden1", "hidden2", "output"}


def test_in_parallel_nobody_takes_turns(spec):
    parallel = replace(spec, schedule=replace(spec.schedule, order=PARALLEL))
    assert set(parallel.parity.values()) == {EVERY_STEP}
    assert not skips_silence(parallel, parallel.parity)
    assert skips_silence(spec, spec.parity)


def with_link(spec, source, target, **more):
    sizes = spec.population(source).size, spec.population(target).size
    weights = np.ones(sizes, dtype=np.int8)
    link = Projection(f"{source} to {target}", source, target, 6, weights, **more)
    return replace(spec, projections=(*spec.projections, link))


@pytest.mark.parametrize("ends", [("hidden2", "hidden2"), ("hidden1", "output")])
def test_couplings_of_one_parity_are_refused(spec, ends):
    source, target = ends
    asked = with_link(replace(spec, schedule=replace(spec.schedule, order=PARALLEL)), source, target)
    back = Projection("back", target, source, 6, None, transpose_of=f"{source} to {target}")
    symmetric = replace(asked, projections=(*asked.projections, back))
    with pytest.raises(UserError, match=r"even-odd: projection .* joins .* same steps; give --schedule parallel"):
        replace(symmetric, schedule=replace(spec.schedule, order=EVEN_ODD))


def test_couplings_that_are_not_symmetric_are_refused(spec):
    with pytest.raises(UserError, match="even-odd: projection hidden1 to hidden2 has no transpose of the same sign"):
        with_link(spec, "hidden1", "hidden2")
    negative = tuple(replace(p, sign=-1) if p.transpose_of else p for p in spec.projections)
    with pytest.raises(UserError, match="no transpose of the same sign"):
        replace(spec, projections=negative)


def test_fractions_of_a_step_are_refused(spec):
    slow = tuple(
        replace(p, neuron=replace(p.neuron, step_multiplier=1, step_shift=1)) if p.name == "output" else p
        for p in spec.populations
    )
    with pytest.raises(UserError, match=r"even-odd: output moves by 1/2 of the way; give it a step size of 1"):
        replace(spec, populations=slow)


@pytest.mark.parametrize(("field", "word"), [("order", "odd-even"), ("force", "weak")])
def test_a_schedule_knows_its_words(field, word):
    with pytest.raises(UserError, match=f"schedule: {field} '{word}'"):
        Schedule((Phase("free", 3),), **{field: word})
