from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.convolution import Convolution
from neuro.spec.graph import Population
from neuro.spec.neurons import Source
from neuro.spec.plasticity import learning_rule
from neuro.spec.projection import Projection
from neuro.spec.schedule import Phase, Schedule

law = settings(max_examples=40, deadline=None)
ONES = np.ones((2, 3), dtype=np.int8)
PAIRS = Convolution((2,), (1,), ((0, 0),))
later_phases = st.lists(st.tuples(st.integers(1, 9), st.sampled_from([-1, 0, 1])), max_size=4)


@law
@given(st.integers(1, 9), later_phases)
def test_every_step_belongs_to_the_phase_it_falls_in(free_steps, later):
    schedule = Schedule((Phase("free", free_steps), *(Phase("later", steps, nudge) for steps, nudge in later)))
    phase_of_step = schedule.phase_of_step()
    assert phase_of_step[0] == -1
    assert len(phase_of_step) == schedule.last_step + 1
    for index, (phase, end) in enumerate(zip(schedule.phases, schedule.ends, strict=True)):
        assert phase_of_step.count(index) == phase.steps
        assert max(t for t, of in enumerate(phase_of_step) if of == index) == end
    assert schedule.ends[-1] == schedule.last_step


def test_nudge_is_multiplier_over_a_power_of_two():
    assert Schedule((Phase("free", 1),), nudge_multiplier=3, nudge_shift=4).nudge == 3 / 16


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Population("", (2,), Source()), ("population", "name is empty")),
        (lambda: Population("p", (), Source()), ("population p", "shape ()")),
        (lambda: Population("p", (2, 0), Source()), ("population p", "(2, 0)")),
        (lambda: Phase("free", 0), ("phase free", "0 steps")),
        (lambda: Phase("free", 3, 2), ("phase free", "nudge 2")),
        (lambda: Schedule(()), ("schedule", "first phase")),
        (lambda: Schedule((Phase("a", 1, 1),)), ("schedule", "first phase")),
        (lambda: Schedule((Phase("a", 1),), nudge_multiplier=0), ("schedule", "nudge_multiplier")),
        (lambda: Schedule((Phase("a", 1),), nudge_multiplier=256), ("schedule", "nudge_multiplier")),
        (lambda: Schedule((Phase("a", 1),), nudge_shift=9), ("schedule", "nudge_shift")),
        (lambda: Schedule((Phase("a", 1),), nudge_shift=-1), ("schedule", "nudge_shift")),
        (lambda: Projection("p", "a", "b", 3), ("projection p", "weights or transpose_of")),
        (lambda: Projection("p", "a", "b", 3, ONES, transpose_of="q"), ("projection p", "weights or transpose_of")),
        (lambda: Projection("p", "a", "b", -1, ONES), ("projection p", "exponent -1", "0..22")),
        (lambda: Projection("p", "a", "b", 23, ONES), ("projection p", "exponent 23", "0..22")),
        (lambda: Projection("p", "a", "b", 3, ONES, weight_bits=1), ("projection p", "weight_bits 1", "2..8")),
        (lambda: Projection("p", "a", "b", 3, ONES, weight_bits=9), ("projection p", "weight_bits 9", "2..8")),
        (lambda: Projection("p", "a", "b", 3, ONES * 2, weight_bits=2), ("projection p", "-1..1")),
        (lambda: Projection("p", "a", "b", 3, ONES * -128), ("projection p", "-127..127")),
        (lambda: Projection("p", "a", "b", 3, ONES * np.int64(300)), ("projection p", "-127..127")),
        (lambda: Projection("p", "a", "b", 3, ONES[0]), ("projection p", "2-D integer")),
        (lambda: Projection("p", "a", "b", 3, ONES * 0.5), ("projection p", "2-D integer", "float64")),
        (lambda: Projection("p", "a", "b", 3, ONES, sign=-1), ("projection p", "sign -1", "transpose")),
        (lambda: Projection("p", "a", "b", 3, transpose_of="q", sign=0), ("projection p", "sign 0")),
        (lambda: Projection("p", "a", "b", 3, ONES, convolution=PAIRS), ("projection p", "3-D integer")),
        (lambda: Projection("p", "a", "b", 3, transpose_of="q", convolution=PAIRS), ("projection p", "of q", "drop")),
        (
            lambda: Projection("p", "a", "b", 3, ONES[:, None], convolution=PAIRS, rule=learning_rule("y3")),
            ("projection p", "shared kernel"),
        ),
        (
            lambda: Projection("p", "a", "b", 3, transpose_of="q", rule=learning_rule("event")),
            ("projection p", "learns through q"),
        ),
    ],
)
def test_a_part_that_makes_no_sense_is_refused(make, words, refused):
    with refused(*words):
        make()


@law
@given(st.integers(2, 8), st.data())
def test_weights_are_kept_exactly_and_cannot_be_changed(bits, data):
    limit = 2 ** (bits - 1) - 1
    values = data.draw(st.lists(st.integers(-limit, limit), min_size=6, max_size=6))
    given_weights = np.array(values, dtype=np.int8).reshape(2, 3)
    kept = Projection("p", "a", "b", 3, given_weights, bits).weights
    given_weights += 1
    assert kept.ravel().tolist() == values
    assert kept.dtype == np.int8
    with pytest.raises(ValueError, match="read-only"):
        kept[0, 0] = 0


def test_a_population_counts_the_neurons_of_its_shape():
    assert Population("p", (3, 4, 5), Source()).size == 60


def test_parts_are_found_by_name(small_spec):
    for population in small_spec.populations:
        assert small_spec.population(population.name) is population
    for projection in small_spec.projections:
        assert small_spec.projection(projection.name) is projection
    assert (small_spec.n_inputs, small_spec.n_classes) == (6, 3)


def test_a_transpose_has_the_transposed_weights_of_its_original(small_spec):
    transposes = [p for p in small_spec.projections if p.transpose_of is not None]
    assert len(transposes) == 2
    for projection in transposes:
        original = small_spec.projection(projection.transpose_of)
        np.testing.assert_array_equal(small_spec.weights_of(projection), original.weights.T)
        assert projection not in small_spec.plastic


def test_shift_makes_payload_times_weight_a_number_in_state_units(small_spec):
    for projection in small_spec.projections:
        source, target = (small_spec.population(end).neuron for end in (projection.source, projection.target))
        payload, weight = 3, 5
        real = (payload * 2.0**-source.activation_bits) * (weight * 2.0**-projection.exponent)
        assert (payload << small_spec.shift_of(projection)) * weight == real * 2**target.state_bits


def test_with_weights_replaces_those_named_and_nothing_else(small_spec):
    name = "hidden1->hidden2"
    new = 1 - small_spec.projection(name).weights // 2
    changed = small_spec.with_weights({name: new})
    for before, after in zip(small_spec.projections, changed.projections, strict=True):
        if before.name == name:
            np.testing.assert_array_equal(after.weights, new)
            assert replace(after, weights=before.weights).rule == before.rule
        else:
            assert after is before
    np.testing.assert_array_equal(changed.weights_of(changed.projection("hidden2->hidden1")), new.T)


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("hidden2->hidden1", (5, 4), ("spec", "hidden2->hidden1")),  # a transpose
        ("nowhere", (5, 4), ("spec", "nowhere")),
        ("hidden1->hidden2", (5, 4), ("projection hidden1->hidden2", "(5, 4)", "(4, 5)")),
    ],
)
def test_with_weights_refuses_what_has_no_such_weights(name, shape, words, small_spec, refused):
    with refused(*words):
        small_spec.with_weights({name: np.zeros(shape, np.int8)})
