"""Learning in segments: the chip against Lava itself, and what segments may not ask for."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from neuro.base.errors import UserError
from neuro.stock.learning_engine import EngineRule, EngineTrace, product
from neuro.stock.processes import committed
from sim.backends.lava.stock.learning import learn_stock_in_lava
from sim.backends.stock.learning import LearningEmulator, learn_in_emulator
from sim.backends.stock.segments import Commit, Segment, count_learning_differences
from sim.contract.stock import random_learning_spec, random_lesson, random_stock_inputs

EQUAL = dict.fromkeys(("weights", "tags", "u", "v", "spikes", "traces"), 0)
SEEDS = [1, 3, 7]
LAVA_SEEDS = [SEEDS[0], *(pytest.param(seed, marks=pytest.mark.slow) for seed in SEEDS[1:])]
needs_lava = pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava needs Python 3.10")


@needs_lava
@pytest.mark.lava
@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", LAVA_SEEDS)
def test_any_stock_network_learns_in_segments_as_in_lava(seed):
    spec, inputs, segments = random_lesson(seed)
    done = []
    lava = learn_stock_in_lava(spec, inputs, segments, on_segment=done.append, keep_spikes=True)
    assert count_learning_differences(learn_in_emulator(spec, inputs, segments, keep_spikes=True), lava.record) == EQUAL
    assert done == sorted(done)
    assert len(lava.segment_s) == len(segments)


@pytest.mark.slow
@needs_lava
@pytest.mark.lava
@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", LAVA_SEEDS)
def test_a_lesson_goes_on_in_another_graph_as_if_it_had_never_stopped(seed):
    spec, inputs, segments = random_lesson(seed)
    whole = learn_in_emulator(spec, inputs, segments, keep_spikes=True)
    at = len(segments) // 2
    steps = sum(segment.steps for segment in segments[:at])
    state = learn_stock_in_lava(spec, inputs[:steps], segments[:at]).state
    assert state.steps == steps
    rules = {name: rule for segment in segments[:at] for name, rule in segment.rules.items()}
    left = (replace(segments[at], rules={**rules, **segments[at].rules}), *segments[at + 1 :])
    rest = learn_stock_in_lava(spec, inputs[steps:], left, start=state, keep_spikes=True).record
    later = replace(
        whole,
        weights={name: whole.weights[name] for name in rest.weights},
        spikes={name: spikes[steps:] for name, spikes in whole.spikes.items()},
    )
    assert count_learning_differences(rest, later) == EQUAL


@pytest.mark.slow
def test_random_lessons_cover_what_they_promise():
    lessons = [random_lesson(seed) for seed in SEEDS]
    segments = [segment for _, _, several in lessons for segment in several]
    assert any(segment.rules for segment in segments)
    assert {commit.transposed for segment in segments for commit in segment.commits} == {False, True}
    for spec, inputs, several in lessons:
        record = learn_in_emulator(spec, inputs, several)
        moved = [(record.weights[p.name] != p.effective).any() for p in spec.projections if p.name in record.weights]
        assert sum(moved) >= 2


def test_one_segment_is_a_run_without_segments():
    spec = random_learning_spec(3)
    inputs = random_stock_inputs(spec, 3, 1, 150)[0]
    chip = LearningEmulator(spec)
    record = chip.run(inputs)
    lesson = learn_in_emulator(spec, inputs, [Segment(150)], keep_spikes=True)
    for name, weights in chip.weights().items():
        np.testing.assert_array_equal(lesson.weights[name], weights)
    for name, spikes in record.spikes.items():
        np.testing.assert_array_equal(lesson.spikes[name], spikes[0])


def test_a_commit_copies_what_the_target_transmits():
    spec, inputs, _ = random_lesson(3)
    back = next(p for p in spec.projections if p.name.endswith(" back"))
    source = back.name.removesuffix(" back")
    record = learn_in_emulator(spec, inputs, [Segment(len(inputs), commits=(Commit(source, back.name, True),))])
    wanted = committed(record.weights[source].T, back.sign_mode, back.weight_bits)
    np.testing.assert_array_equal(record.weights[back.name], wanted)


SPEC, INPUTS, _ = random_lesson(3, steps=20)
PLASTIC = next(p for p in SPEC.projections if p.rule is not None)
STILL = next(p for p in SPEC.projections if p.name == f"{PLASTIC.name} copy")


@pytest.mark.parametrize(
    ("segments", "words"),
    [
        ([], "span 0 steps"),
        ([Segment(19)], "span 19 steps"),
        ([Segment(20, {STILL.name: PLASTIC.rule})], "no projection that learns"),
        ([Segment(20, {"nobody": PLASTIC.rule})], "no projection that learns"),
        ([Segment(20, {PLASTIC.name: replace(PLASTIC.rule, x1=EngineTrace(3, 3))})], "x1 cannot change"),
        ([Segment(20, {PLASTIC.name: replace(PLASTIC.rule, t_epoch=PLASTIC.rule.t_epoch + 1)})], "t_epoch cannot"),
        ([Segment(20, {PLASTIC.name: replace(PLASTIC.rule, dw=(product(1, 0, "u"),), k=9)})], "k cannot change"),
        ([Segment(20, commits=(Commit(STILL.name, STILL.name),))], "no projection that learns"),
        ([Segment(20, commits=(Commit(PLASTIC.name, PLASTIC.name),))], "must be a projection that does not learn"),
        ([Segment(20, commits=(Commit(PLASTIC.name, "nobody"),))], "must be a projection that does not learn"),
        ([Segment(20, commits=(Commit(PLASTIC.name, STILL.name, True),))], "transposed must say"),
    ],
)
@pytest.mark.parametrize("run", [learn_in_emulator, pytest.param(learn_stock_in_lava, marks=needs_lava)])
def test_segments_that_cannot_be_are_refused(run, segments, words):
    with pytest.raises(UserError, match=words):
        run(SPEC, INPUTS, segments)


def test_a_segment_has_steps():
    with pytest.raises(UserError, match="at least 1"):
        Segment(0)


@needs_lava
def test_lava_refuses_noise_and_steps_of_weights_that_it_has_not():
    rule = EngineRule((product(1, 0, "u", "x1", "y1"),), k=0)
    for change in ({"noise": "per-synapse"}, {"lsb": 2, "sign_mode": "mixed"}):
        projections = tuple(replace(p, rule=rule, weights=abs(p.weights), **change) for p in SPEC.projections)
        with pytest.raises(UserError, match="shared noise and lsb 1"):
            learn_stock_in_lava(replace(SPEC, projections=projections), INPUTS, [Segment(20)])
