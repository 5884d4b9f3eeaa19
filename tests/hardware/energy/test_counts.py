"""Counted operations against a walk over single spikes and single synapses, and against a run of Lava."""

import importlib.util
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shared_coders import unit_atoms
from shared_hardware import placed, present, small_limits

from hardware.chip.blocks import KERNEL, blocks_of
from hardware.chip.limits import limits_of
from hardware.energy.counts import FIELDS, count
from hardware.energy.learning_counts import count_learning
from hardware.placement.partition import partition
from neuro.base.errors import UserError
from neuro.coding.lif import SpikingDesign, spiking_coder
from neuro.equilibrium.design import design_for
from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.front_ends.pixels import PixelEncoder
from sim.backends.protocol import get_backend, one_hot_targets
from sim.contract.sigma_delta import random_images, random_spec, run_fully

LAVA = limits_of("loihi2-lava")
SEEDS = st.integers(0, 2**31)
needs_lava = pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava needs Python 3.10")


def walk(network, record, placement):
    """All counts of a record by single spikes; of shape [B, T, cores] each, and the host's messages [B, T]."""
    steps = network.schedule.last_step + 1
    shape = (record.n_images, steps, len(placement.cores))
    found, host = {name: np.zeros(shape) for name in FIELDS}, np.zeros(shape[:2])
    matrices = {p.name: present(network, p) for p in network.projections}
    core_of = {p.name: placement.core_of_neuron(p.name) for p in network.populations}
    blocks = {block.name: block for block in placement.blocks.synapses}
    limits, links = placement.limits, [[Counter() for _ in range(steps)] for _ in range(record.n_images)]
    for image, step, population, neuron, _ in record.spikes.rows():
        name = network.populations[population].name
        own = core_of[name][neuron] if len(core_of[name]) else None
        if own is not None:
            found["spikes"][image, step, own] += 1
        for projection in network.projections:
            if projection.source != name:
                continue
            targets = np.flatnonzero(matrices[projection.name][neuron])
            cores, additions = np.unique(core_of[projection.target][targets], return_counts=True)
            for core, n in zip(cores, additions, strict=True):
                found["synaptic"][image, step, core] += n
                found["memory_reads"][image, step, core] += -(-n * stored_bits(blocks[projection.name]) // 64)
                found["messages_in"][image, step, core] += 1
                if own is None:
                    host[image, step] += 1
                else:
                    found["messages_out"][image, step, own] += 1
                    n_cores = limits.cores.value
                    here, there = own % n_cores // 4, core % n_cores // 4
                    found["hops_row"][image, step, own] += abs(here % 8 - there % 8)
                    found["hops_column"][image, step, own] += abs(here // 8 - there // 8)
                    if own // n_cores == core // n_cores:
                        links[image][step].update((own // n_cores, *pair) for pair in pairs_of_tiles(here, there))
    return found, host, [[max(step.values(), default=0) for step in steps] for steps in links]


def stored_bits(block):
    """Of one synapse: a shared kernel stores weights only, everything else an index and what learning needs."""
    return block.bits if block.kind == KERNEL else block.bits + 8 + 8 * block.learns


def pairs_of_tiles(here, there):
    """The pairs of neighbours on the way: along the row, then along the column."""
    (row, column), (to_row, to_column) = divmod(here, 8), divmod(there, 8)
    stops = [(row, c) for c in range(column, to_column, 1 if to_column > column else -1)]
    stops += [(r, to_column) for r in range(row, to_row, 1 if to_row > row else -1)]
    return list(pairwise([*stops, (to_row, to_column)]))


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_every_count_is_that_of_a_walk_over_the_spikes(seed):
    network = random_spec(seed)
    placement = placed(network, small_limits(seed))
    assume(placement is not None)
    record = run_fully(get_backend("events"), network, *random_images(network, seed, 2))
    counts = count(network, record, placement)
    wanted, host, links = walk(network, record, placement)
    np.testing.assert_array_equal(counts.links, links)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(counts, name), wanted[name], err_msg=name)
    np.testing.assert_array_equal(counts.host_in, host)
    assert counts.exact


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_without_kept_spikes_the_totals_of_all_to_all_networks_stay(seed):
    network = random_spec(seed)
    placement = placed(network, small_limits(seed))
    assume(placement is not None and all(block.pattern.is_full for block in placement.blocks.synapses))
    images = random_images(network, seed, 3)
    with get_backend("events").open(network) as session:
        kept, lost = (session.run(*images, keep_spikes=keep) for keep in (True, False))
    exact, spread = count(network, kept, placement), count(network, lost, placement)
    assert not spread.exact
    for name in FIELDS:
        if not name.startswith("hops"):
            np.testing.assert_allclose(getattr(spread, name).sum(axis=(1, 2)), getattr(exact, name).sum(axis=(1, 2)))
    total = sum(operations.sum() for operations in kept.synaptic_operations(network).values())
    assert exact.synaptic.sum() == total


@needs_lava
@pytest.mark.lava
@pytest.mark.timeout(180)
def test_counts_of_a_lava_run_are_the_same():
    for network in (build_equilibrium(design_for((4, 4), 3, (12,)), 0), stock_network()):
        payloads = np.random.default_rng(0).integers(0, 1 << network.encoder.activation_bits, (1, 16)).astype(np.int16)
        placement = partition(blocks_of(network, LAVA, learns=False), LAVA)
        counts = []
        for name in (network.native_backend, "lava"):
            with get_backend(name).open(network) as session:
                counts.append(count(network, session.run(payloads, keep_spikes=True), placement))
        for name in (*FIELDS, "host_in"):
            np.testing.assert_array_equal(getattr(counts[0], name), getattr(counts[1], name), err_msg=name)
        assert counts[0].synaptic.sum() > 100


def stock_network(rule="R5"):
    return build_stock_network(StockDesign((4, 4), 3, (6,), rule=rule, encoder=PixelEncoder(activation_bits=5)), 0)


def lesson(network, count_images=3):
    generator = np.random.default_rng(1)
    payloads = generator.integers(0, 1 << network.encoder.activation_bits, (count_images, 16)).astype(np.int16)
    targets = one_hot_targets(network, np.arange(count_images) % 3)
    with get_backend(network.native_backend).open(network) as session:
        return session.run(payloads, targets, keep_spikes=True)


@pytest.mark.parametrize("rule", ["event", "end-point", "y3"])
def test_updates_of_sigma_delta_rules(rule):
    network = build_equilibrium(design_for((4, 4), 3, (12,), rule=rule), 0)
    record = lesson(network)
    placement = partition(blocks_of(network, LAVA), LAVA)
    counts = count_learning(network, record, placement)
    names = {p.name: i for i, p in enumerate(network.populations)}
    sizes = {p.name: p.size for p in network.populations}
    second = record.spikes.step > network.schedule.ends[1]
    wanted = 0
    for projection in network.projections:
        own = network.original_of(projection).rule.name
        synapses = sizes[projection.source] * sizes[projection.target]
        if own != "event":
            wanted += {"end-point": 2, "y3": 1}[own] * synapses * record.n_images
            continue
        pre, post = (
            np.count_nonzero(second & (record.spikes.population == names[end]))
            for end in (projection.source, projection.target)
        )
        wanted += pre * sizes[projection.target] + post * sizes[projection.source]
    assert counts.learning.sum() == wanted > 0
    assert counts.learning[:, : network.schedule.ends[0] + 1].sum() == 0
    assert counts.host_in.sum() == count(network, record, placement).host_in.sum() + 3 * record.n_images
    still = count(network, record, placement)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(counts, name), getattr(still, name))


@pytest.mark.parametrize(("rule", "per_sample"), [("R1", 2), ("R4", 1), ("R5", 3), ("R7", 4), ("deferred", 2)])
def test_updates_of_the_learning_engine(rule, per_sample):
    network = stock_network(rule)
    placement = partition(blocks_of(network, LAVA), LAVA)
    counts = count_learning(network, lesson(network), placement)
    synapses = sum(projection.weights.size for projection in network.plastic)
    assert counts.learning.sum() == per_sample * synapses * 3
    assert counts.products == max(len(p.rule.dw) + len(p.rule.dt) for p in network.plastic)
    copied = 2 * synapses / network.commit_every if rule == "deferred" else 0
    np.testing.assert_allclose(counts.host_out, network.n_classes + copied)


def test_what_cannot_be_counted_is_refused():
    network = build_equilibrium(design_for((4, 4), 3, (12,)), 0)
    placement = partition(blocks_of(network, LAVA), LAVA)
    with get_backend("events").open(network) as session:
        record = session.run(np.ones((1, 16), dtype=np.int16))
    with pytest.raises(UserError, match="free phase only; run it with targets"):
        count_learning(network, record, placement)
    other = build_equilibrium(design_for((4, 4), 3, (12, 5)), 0)
    with pytest.raises(UserError, match="population hidden2 sent spikes"):
        count(network, lesson(other), placement)
    with pytest.raises(UserError, match="has no rule"):
        count_learning(next(s for s in map(random_spec, range(99)) if not s.plastic), record, placement)


def test_the_host_sends_the_biases_that_it_sets():
    coder = spiking_coder(unit_atoms(16, 6, 0), 0.1, SpikingDesign(8.0, signal_reach=4.0))
    placement = partition(blocks_of(coder, LAVA), LAVA)
    payloads = np.full((2, 16), 100, dtype=np.int16)
    with get_backend("chip").open(coder) as session:
        found = count(coder, session.run(payloads, keep_spikes=True), placement)
    assert found.host_in[:, 0].tolist() == [6, 6]
    assert found.host_in[:, 1:].sum() == 0
    assert found.spikes.sum() > 0
