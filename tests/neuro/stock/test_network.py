"""Images as spike trains, slots, teachers, and the graph that classifies."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.front_ends.pixels import PixelEncoder
from neuro.stock.family import INPUT, with_reset
from neuro.stock.network import GATE, LABEL, RELAY, SHADOW, SlotSchedule, StockNetwork
from neuro.stock.processes import StockPopulation, StockSpec
from neuro.stock.rules import BLANK, FREE, NUDGED, RULES

law = settings(max_examples=60, deadline=None)


def network(rule="R5", hidden=(4,), **more):
    return build_stock_network(StockDesign((2, 3), 3, hidden, rule, **more), seed=1)


@law
@given(st.integers(1, 6), st.integers(0, 6), st.integers(1, 400), st.data())
def test_a_pixel_spikes_as_often_as_it_is_bright(spacing, bits, steps, data):
    net = network(spacing=spacing, encoder=PixelEncoder(bits))
    one = 1 << bits
    payloads = np.array([data.draw(st.lists(st.integers(0, one), min_size=6, max_size=6))])
    spikes = net.trains(payloads, steps)
    assert spikes.shape == (1, steps, 7)
    assert set(np.unique(spikes)) <= {0, 1}
    values = np.append(payloads[0], one)
    counts = np.cumsum(spikes[0], axis=0)
    wanted = np.arange(1, steps + 1)[:, None] * values / (spacing * one)
    assert (np.abs(counts - wanted) < 1).all()  # from the first step on: regular
    assert set(np.diff(np.flatnonzero(spikes[0, :, -1]))) <= {spacing}  # the bias unit


def test_trains_are_those_of_their_image_alone_and_go_on():
    net = network()
    payloads = np.random.default_rng(0).integers(0, 33, (5, 6))
    together = net.trains(payloads, 100)
    for k in range(5):
        np.testing.assert_array_equal(together[k : k + 1], net.trains(payloads[k : k + 1], 100))
    np.testing.assert_array_equal(together[:, :40], net.trains(payloads, 40))
    bright = net.trains(np.full((1, 6), 16), 4)[0, :, :6]
    assert len({tuple(train) for train in bright.T}) > 2  # equal pixels do not spike in step


@pytest.mark.parametrize("rule", RULES)
def test_the_teacher_and_the_gate_spike_only_while_nudged_and_blank_slots_are_silent(rule):
    net = network(rule, spacing=2)
    payloads, labels = np.random.default_rng(1).integers(8, 33, (4, 6)), np.array([2, 0, 1, 2])
    inputs = net.learning_inputs(payloads, labels)
    schedule = net.schedule
    assert inputs.shape == (4, schedule.steps, net.graph.n_inputs)
    net.graph.check_inputs(inputs)
    pixels, label, gate = np.split(inputs, [7, 10], axis=2)
    nudged, blank = schedule.mask(NUDGED), schedule.mask(BLANK)
    np.testing.assert_array_equal(gate[:, :, 0], np.broadcast_to(nudged, gate.shape[:2]))
    assert not label[:, ~nudged].any()
    rest = np.eye(3, dtype=bool)[labels]
    assert not label.transpose(0, 2, 1)[~rest].any()
    shown = ~blank & (np.arange(schedule.steps) % schedule.slot_steps < schedule.slot_steps - RULES[rule].silent)
    assert (label.sum(axis=(1, 2)) == (nudged & shown).sum() // 2).all()
    assert not inputs[:, blank].any()
    assert not pixels[:, ~shown].any()
    np.testing.assert_array_equal(pixels[:, shown], net.trains(payloads, schedule.steps)[:, shown])
    assert pixels[:, shown].any()


def test_the_free_and_the_nudged_slot_of_the_turned_rule_see_the_same_spikes():
    net = network("R7", spacing=2)
    payloads, labels = np.random.default_rng(1).integers(8, 33, (4, 6)), np.array([2, 0, 1, 2])
    pixels = net.learning_inputs(payloads, labels)[:, :, :7]
    np.testing.assert_array_equal(pixels[:, :128], pixels[:, 128:256])
    assert {p.neuron.reset_interval for p in net.moving} == {net.schedule.slot_steps}


def test_the_free_slot_of_a_record_is_found_by_its_name():
    net = network("R7")
    steps = net.schedule.steps
    assert (steps, net.free_slice(steps), net.free_slice(128)) == (512, slice(128, 256), slice(0, 128))
    assert net.phases_of(steps).tolist() == [1] * 128 + [0] * 128 + [2] * 256
    assert net.phases_of(128).tolist() == [0] * 128
    sent = np.zeros((1, steps, 3), np.int32)
    sent[0, :128, 0], sent[0, 128:256, 1], sent[0, 256:, 2] = 1, 1, 1
    assert net.scores({"output": sent}).tolist() == [[0, 128, 0]]
    assert net.scores({"output": sent[:, :128]}).tolist() == [[128, 0, 0]]


def test_slots_that_differ_in_what_they_see_or_count_are_refused(refused):
    net = network("R7")
    with refused("slots of 96 steps", "period 64"):
        replace(net, schedule=SlotSchedule(net.schedule.slots, 96, 2))
    with refused("reset every 192 steps", "cut what its traces count"):
        populations = tuple(with_reset(p, reset_interval=192) for p in net.populations)
        replace(net, graph=replace(net.graph, populations=populations))
    for wrong in (-1, 128, 1.5):
        with refused("schedule", "silent"):
            SlotSchedule(net.schedule.slots, 128, wrong)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("hidden", [(4,), (5, 3)])
def test_what_classifies_has_no_teacher_and_does_not_learn(rule, hidden):
    net = network(rule, hidden)
    graph = net.inference
    assert {p.name for p in graph.populations} == {INPUT, *(p.name for p in net.moving)}
    assert {LABEL, GATE, RELAY}.isdisjoint(p.name for p in graph.populations)
    assert all(p.rule is None and p.transmits and not p.name.startswith(SHADOW) for p in graph.projections)
    assert len(graph.projections) == 2 * len(hidden) + 1
    assert {p.neuron.reset_interval for p in graph.populations if p.name != INPUT} == {net.schedule.free_steps}
    assert all(p.rule is None for p in net.still.projections)
    assert (net.n_inputs, net.n_classes, net.image_shape) == (6, 3, (2, 3))
    assert [p.name for p in net.moving][-1] == net.output


def test_what_is_deployed_transmits_what_it_holds():
    net = network()
    odd = {p.name: p.weights + 1 for p in net.plastic}
    for projection in net.with_weights(odd).inference.projections:
        np.testing.assert_array_equal(projection.effective, projection.weights)
        assert (np.abs(projection.weights - odd[projection.name]) <= 1).all()


def test_weights_go_where_they_are_named():
    net = network()
    name = net.plastic[0].name
    changed = net.with_weights({name: np.zeros_like(net.plastic[0].weights)})
    assert not changed.plastic[0].weights.any()
    assert net.plastic[0].weights.any()
    for before, after in zip(net.projections[1:], changed.projections[1:], strict=True):
        np.testing.assert_array_equal(before.weights, after.weights)


def without(net, name):
    populations = tuple(p for p in net.populations if p.name != name)
    kept = tuple(p for p in net.projections if name not in (p.source, p.target))
    return lambda: replace(net, graph=StockSpec(populations, kept))


def test_a_network_that_cannot_be_is_refused(refused):
    net = network()
    for name in (LABEL, GATE):
        with refused(name, "missing"):
            without(net, name)()
    label, gate = net.populations[1:3]
    swapped = (net.populations[0], gate, label, *net.populations[3:])
    with refused("first"):
        replace(net, graph=replace(net.graph, populations=swapped))
    with refused("bias unit"):
        replace(net, pixels=(2, 4))
    with refused("rule 'Hebb'"):
        replace(net, rule="Hebb")
    for wrong in ({"spacing": 0}, {"spacing": 1.5}, {"commit_every": -1}, {"commit_every": None}):
        with refused(next(iter(wrong))):
            replace(net, **wrong)
    with refused("without offset"):
        replace(net, encoder=PixelEncoder(offset=np.zeros(6, np.int16)))
    with refused("normalisation"):
        replace(net, encoder=PixelEncoder().contrast_normalised())
    with refused("elsewhere"):
        net.with_weights({"elsewhere": np.zeros((2, 2), np.int16)})
    with refused("shape"):
        net.with_weights({net.plastic[0].name: np.zeros((2, 2), np.int16)})
    assert isinstance(net, StockNetwork)
    assert isinstance(label, StockPopulation)


@pytest.mark.parametrize(
    "slots",
    [
        (),
        (NUDGED,),
        (NUDGED, BLANK),
        (FREE, NUDGED, FREE),
        (NUDGED, FREE, NUDGED),
        (FREE, BLANK, NUDGED),
        (BLANK, FREE),
        (FREE, "rest"),
    ],
    ids=" ".join,
)
def test_slots_out_of_order_are_refused(slots, refused):
    with refused("free ones first, then nudged, or the other way round, then blank"):
        SlotSchedule(slots, 64)


@pytest.mark.parametrize("steps", [0, -1, 1.5, True])
def test_a_slot_has_steps(steps, refused):
    with refused("slot_steps"):
        SlotSchedule((FREE, NUDGED), steps)


def test_a_schedule_counts_its_steps():
    schedule = SlotSchedule((FREE, FREE, NUDGED, BLANK), 8)
    assert (schedule.steps, schedule.free_steps) == (32, 16)
    assert schedule.mask(FREE).tolist() == [True] * 16 + [False] * 16
    assert schedule.mask(NUDGED, BLANK).tolist() == [False] * 16 + [True] * 16
