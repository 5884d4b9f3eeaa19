"""Stock networks on the chip backend: nudging, inference, learning, and what a session gives back."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.errors import UserError
from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.stock.family import OUTPUT
from neuro.stock.network import GATE, LABEL, RELAY, SHADOW
from neuro.stock.processes import committed
from neuro.stock.rules import NUDGED
from sim.backends.protocol import get_backend, one_hot_targets
from sim.backends.stock.emulator import emulate
from sim.backends.stock.learning_engine import NoiseSource
from sim.backends.stock.session import commit_pairs

EMULATOR = get_backend("chip")
LABELS = np.arange(40) % 4


def network(rule="R5", **more):
    return build_stock_network(StockDesign((5, 5), 4, (12,), rule, squared_length=9.0, **more), seed=3)


def images(count=40, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 33, (count, 25)) * (generator.random((count, 25)) < 0.6)


def lively(net):
    """The network with output neurons that fire from never to more often than the teacher wants."""
    weights = np.broadcast_to([-100, 40, 100, 220], (12, 4))
    return net.with_weights({"hidden->output": weights})


def rates_in(net, spikes, kind):
    """Output spikes per step, of shape [B, K], in the second half of the slot of a kind."""
    steps = np.flatnonzero(net.schedule.mask(kind))
    return spikes[OUTPUT][:, steps[len(steps) // 2 :]].mean(axis=1)


@pytest.mark.parametrize("target_rate", [0.125, 0.25])
def test_the_nudge_moves_every_output_rate_toward_its_target(target_rate):
    net = lively(network(target_rate=target_rate))
    run = emulate(net.still, net.learning_inputs(images(), LABELS))
    free, nudged = rates_in(net, run.spikes, "free"), rates_in(net, run.spikes, NUDGED)
    target = target_rate * np.eye(4)[LABELS]
    far = np.abs(free - target) > 0.06
    assert far.sum() > 40
    assert (np.abs(nudged - target) < np.abs(free - target))[far].mean() > 0.98
    assert (free.max(), free.min()) > (0.3, 0.0)
    label = np.eye(4, dtype=bool)[LABELS]
    assert (nudged[label] > free[label])[free[label] < target_rate - 0.06].all()
    assert (nudged[~label] < free[~label])[free[~label] > 0.06].all()


def test_without_the_gate_nothing_comes_back_from_the_relay():
    net = lively(network())
    inputs = net.learning_inputs(images(), LABELS)
    gated = emulate(net.still, inputs).spikes
    arrives = np.roll(net.schedule.mask(NUDGED), 1)  # a step on its way
    assert gated[RELAY][:, arrives].any()
    assert not gated[RELAY][:, ~arrives].any()
    closed = inputs.copy()
    closed[:, :, -1] = 0
    found = emulate(net.still, closed).spikes
    assert found[OUTPUT].sum() > 1000
    assert not found[RELAY].any()
    kept = tuple(p for p in net.still.projections if (p.source, p.target) != (RELAY, OUTPUT))
    alone = emulate(replace(net.still, projections=kept), closed).spikes
    for name, spikes in found.items():
        np.testing.assert_array_equal(spikes, alone[name])


def test_the_free_slot_of_a_sample_is_an_inference():
    net, payloads = lively(network()), images()
    with EMULATOR.open(net) as session:
        free = session.run(payloads, keep_spikes=True)
        whole = session.run(payloads, one_hot_targets(net, LABELS), keep_spikes=True)
    np.testing.assert_array_equal(free.output_states, whole.output_states)
    for population in net.moving:
        np.testing.assert_array_equal(free.spike_counts[population.name], whole.spike_counts[population.name][:, :2])
    assert {LABEL, GATE, RELAY}.isdisjoint(free.spike_counts)


def test_predictions_are_the_largest_counts_and_images_are_independent():
    net = lively(network())
    payloads = images(300)  # more than are in memory at once
    with EMULATOR.open(net) as session:
        record = session.run(payloads, keep_spikes=True, keep_states=True)
        few = session.run(payloads[130:133])
    np.testing.assert_array_equal(record.predictions, record.output_states.argmax(axis=1))
    np.testing.assert_array_equal(record.output_states[130:133], few.output_states)
    np.testing.assert_array_equal(record.settled[130:133], few.settled)
    output = [population.name for population in net.populations].index(OUTPUT)
    rows = record.spikes.rows()
    sent = rows[rows[:, 2] == output]
    counts = np.zeros((300, 4), dtype=int)
    np.add.at(counts, (sent[:, 0], sent[:, 3]), 1)
    np.testing.assert_array_equal(counts, record.output_states)
    assert rows[:, 1].min() >= 1
    assert rows[:, 1].max() <= net.schedule.free_steps
    assert len(rows) == sum(values.sum() for values in record.spike_counts.values())
    assert record.states[OUTPUT].shape == (300, 2, 4)
    moved = sum(record.spike_counts[p.name][:, 1].sum() for p in net.moving)
    assert record.spikes_per_inference(net) == moved / 300


def rules_of(net):
    return {projection.name: projection.rule for projection in net.plastic}


def learn(net, payloads, labels, first_image=0, chunks=1):
    """Learn in chunks; returns the session and the predictions."""
    session, predictions = EMULATOR.open(net), []
    for part in np.array_split(np.arange(len(labels)), chunks):
        outcome = session.learn(
            payloads[part], one_hot_targets(net, labels[part]), rules_of(net), seed=0,
            first_image=first_image + int(part[0]),
        )  # fmt: skip
        predictions.append(outcome.predictions)
    return session, np.concatenate(predictions)


def check_weights(one, other):
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])


FAST = {"learning_rate": 0.01}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 63), st.integers(0, 5000), st.integers(1, 50))
def test_noise_goes_on_at_any_time(seed, t_epoch, time, steps):
    stream = NoiseSource(seed, t_epoch)
    stream.draw(0, time)
    for ours, theirs in zip(NoiseSource(seed, t_epoch, time).draw(time, steps), stream.draw(time, steps), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("rule", "lsb", "noise"),
    [("R5", 1, "per-synapse"), ("R5", 2, "per-synapse"), ("R5", 1, "shared"), ("R1", 1, "per-synapse"),
     ("deferred", 2, "shared")],
)  # fmt: skip
def test_learning_is_deterministic_and_the_noise_goes_on(rule, lsb, noise):
    net = network(rule, lsb=lsb, noise=noise, **FAST)
    payloads = images()
    first, predictions = learn(net, payloads, LABELS)
    second, again = learn(net, payloads, LABELS)
    check_weights(first.weights(), second.weights())
    np.testing.assert_array_equal(predictions, again)
    moved = {p.name: (first.weights()[p.name] != p.weights).mean() for p in net.plastic}
    assert min(moved.values()) > 0.1
    other, _ = learn(net, payloads, LABELS, first_image=40)  # the noise goes on
    assert any((first.weights()[name] != other.weights()[name]).any() for name in moved)
    if lsb == 2:
        assert all((values % 2 == 0).all() for values in first.weights().values())
    else:
        assert any((values % 2).any() for values in first.weights().values())


def test_weights_go_on_from_chunk_to_chunk_as_they_were_learned():
    """After its blank slots a network of R7 is at rest: in chunks it learns the same as at once, odd weights too."""
    net, payloads, labels = network("R7", **FAST), images(8), LABELS[:8]
    whole, _ = learn(net, payloads, labels)
    parts, _ = learn(net, payloads, labels, chunks=4)
    check_weights(whole.weights(), parts.weights())
    assert all((values % 2).any() for values in whole.weights().values())


def test_the_first_prediction_of_a_chunk_is_that_of_an_inference():
    net = network(**FAST)
    session, predictions = learn(net, images(1), LABELS[:1])
    with EMULATOR.open(net) as fresh:
        assert predictions == fresh.run(images(1)).predictions
    _, predictions = learn(session.spec, images(8), LABELS[:8])
    with EMULATOR.open(session.spec) as fresh:
        assert predictions[0] == fresh.run(images(8)).predictions[0]


@pytest.mark.parametrize("rule", ["R5", "deferred"])
def test_weights_restore_a_session(rule):
    net = network(rule, **FAST)
    trained, _ = learn(net, images(), LABELS)
    fresh = EMULATOR.open(net)
    before = fresh.weights()
    assert before.keys() == trained.weights().keys()
    fresh.restore(trained.full_weights())
    check_weights(fresh.weights(), trained.weights())
    check_weights(fresh.full_weights(), trained.weights())
    np.testing.assert_array_equal(fresh.run(images()).output_states, trained.run(images()).output_states)
    fresh.weights()["hidden->output"][...] = 0  # a copy
    check_weights(fresh.weights(), trained.weights())
    targets = one_hot_targets(net, LABELS)
    for session in (fresh, trained):
        session.learn(images(seed=1), targets, rules_of(net), seed=0, first_image=40)
    check_weights(fresh.weights(), trained.weights())


@pytest.mark.parametrize("count", [40, 33])
def test_a_host_commits_what_was_learned_forward_and_back(count):
    net = network("deferred", **FAST)
    session, _ = learn(net, images(count), LABELS[:count])
    weights = session.weights()
    assert set(weights) == {
        f"{SHADOW}input->hidden", f"{SHADOW}hidden->output", "input->hidden", "hidden->output", "output->hidden",
    }  # fmt: skip
    for name in ("input->hidden", "hidden->output"):
        np.testing.assert_array_equal(weights[name], committed(weights[SHADOW + name]))
    np.testing.assert_array_equal(weights["output->hidden"], weights["hidden->output"].T)
    assert len(commit_pairs(net)) == 3
    assert commit_pairs(network()) == []


def test_a_host_commits_every_so_many_samples():
    """Two trainings that differ in nothing but when the host copies end with other weights."""
    often, rarely = (network("deferred", commit_every=every, **FAST) for every in (1, 40))
    ends = [learn(net, images(), LABELS)[0].weights()[f"{SHADOW}hidden->output"] for net in (often, rarely)]
    assert (ends[0] != ends[1]).any()


def test_what_does_not_fit_is_refused():
    net = network()
    with pytest.raises(UserError, match="batch_size 2"):
        EMULATOR.open(net, batch_size=2)
    with pytest.raises(UserError, match="threads"):
        EMULATOR.open(net, threads=0)
    with EMULATOR.open(net) as session:
        with pytest.raises(UserError, match=r"needs \[B, 25\]"):
            session.run(images()[:, :24])
        for wrong in (-1, 33):
            with pytest.raises(UserError, match=r"outside 0\.\.32"):
                session.run(np.full((1, 25), wrong))
        with pytest.raises(UserError, match=r"need \[B, 4\]"):
            session.run(images(), np.zeros((40, 3), int))
        with pytest.raises(UserError, match="no weights to set"):
            session.restore({"elsewhere": np.zeros((2, 2), np.int16)})
        assert session.run(images(0)[:0]).n_images == 0


def test_sigma_delta_networks_are_for_another_backend(small_sigma_delta):
    with pytest.raises(UserError, match="sigma-delta networks; use events"):
        EMULATOR.open(small_sigma_delta)


@pytest.fixture
def small_sigma_delta(finished):
    from neuro.artifact.run_folder import load_artifact

    return load_artifact(finished).spec
