"""What learning one image costs on the chip: synaptic updates per core, and what the host has to move.

Sigma-delta rules, by what they read (`neuro.spec.plasticity`): the event rule updates a synapse whenever one of its
ends spikes in the second nudge; end-point updates all synapses after both nudges, y3 after the second. The copy of a
projection that runs backwards learns, too. Engine rules (`neuro.stock.learning_engine`) evaluate all their products at
every synapse each time `u` comes round, whether or not anything changes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hardware.chip.blocks import Deployable
from hardware.chip.families import of_kind
from hardware.energy.counts import Counts, Trains, count
from hardware.placement.placement import Placement
from neuro.base.arrays import Int64, Reals
from neuro.base.errors import UserError
from neuro.equilibrium.graded_relu import GradedNetwork
from neuro.spec.sigma_delta import NetworkSpec
from neuro.stock.network import SHADOW, StockNetwork
from neuro.stock.processes import StockProjection, StockSpec
from sim.backends.record import Record

SECOND_NUDGE = 2


def count_learning(network: Deployable, record: Record, placement: Placement) -> Counts:
    """Count the operations of images that are learned: those of all phases, the updates, the host's traffic.

    Args:   record of all phases (run with targets); placement with learning.
    Raises: UserError if the network does not learn, or the record holds the free phase only.
    """
    if isinstance(network, StockSpec) or not network.trained.plastic:
        raise UserError("learning: the network has no rule; compile and count an inference instead")
    if next(iter(record.spike_counts.values())).shape[1] < 3:
        raise UserError("learning: the record holds the free phase only; run it with targets")
    counts: Counts = of_kind("learning", network)(network, record, placement)
    return counts


def sigma_delta_learns(network: NetworkSpec, record: Record, placement: Placement) -> Counts:
    """Count updates by the rules of sigma-delta units."""
    counts = count(network, record, placement)
    learning = np.zeros_like(counts.synaptic)
    trains = Trains(network, record, [p.name for p in network.populations], placement)
    products = 1
    for block in placement.blocks.synapses:
        if block.learns:
            rule = network.original_of(network.projection(block.name)).rule
            assert rule is not None  # learns
            products = max(products, len(rule.products))
            if rule.name == "event":
                _add_events(learning, trains, placement, block.name)
            else:
                _add_ends(learning, trains, placement, block.target, block.name, both=rule.name == "end-point")
    return replace(counts, learning=learning, products=products, host_in=_with_targets(network, counts, trains))


def _with_targets(network: NetworkSpec, counts: Counts, trains: Trains) -> Reals:
    """The host's messages with the targets, sent once at the first nudge."""
    host_in = counts.host_in.copy()
    host_in[:, np.flatnonzero(trains.phases == 1)[0]] += network.n_classes
    return host_in


def _add_events(learning: Reals, trains: Trains, placement: Placement, name: str) -> None:
    """Pre spikes update the synapses they pass, post spikes all synapses onto the neuron, in the last phase."""
    block = next(b for b in placement.blocks.synapses if b.name == name)
    cores = placement.of(block.target)
    nudged, everything = trains.phases == SECOND_NUDGE, slice(0, trains.record.n_images)
    where = slice(cores[0].index, cores[-1].index + 1)
    pre = trains.of(block.source, block.pattern.n_source, everything)
    if pre is not None:
        fan = np.array([core.last - core.first for core in cores])
        learning[:, nudged, where] += pre[:, nudged].sum(axis=2)[..., None] * fan
    post = trains.of(block.target, block.pattern.n_target, everything)
    if post is not None:
        per_core = np.add.reduceat(post[:, nudged], [core.first for core in cores], axis=2)
        learning[:, nudged, where] += per_core * block.pattern.n_source


def _add_ends(learning: Reals, trains: Trains, placement: Placement, target: str, name: str, *, both: bool) -> None:
    """All synapses of a projection are updated at the end of the second nudge, and with `both` of the first, too."""
    block = next(b for b in placement.blocks.synapses if b.name == name)
    for phase in (1, SECOND_NUDGE) if both else (SECOND_NUDGE,):
        step = np.flatnonzero(trains.phases == phase)[-1]
        for core in placement.of(target):
            learning[:, step, core.index] += block.pattern.synapses(core.first, core.last)


def engine_learns(network: StockNetwork, record: Record, placement: Placement) -> Counts:
    """Count updates of the chip's engine, and what a host-assisted rule makes the host copy."""
    counts = count(network, record, placement)
    learning, products, copied = np.zeros_like(counts.synaptic), 1, 0
    for projection in network.plastic:
        rule = projection.rule
        assert rule is not None  # plastic
        products = max(products, len(rule.dw) + len(rule.dt))
        learning_steps = _evaluations(projection, counts.n_steps)
        block = next(b for b in placement.blocks.synapses if b.name == projection.name)
        for core in placement.of(projection.target):
            learning[:, learning_steps, core.index] += block.pattern.synapses(core.first, core.last)
        if projection.name.startswith(SHADOW):
            copied += 2 * projection.weights.size  # read, and written where they transmit
    moved = copied / network.commit_every if network.commit_every else 0.0
    return replace(counts, learning=learning, products=products, host_out=counts.host_out + moved)


def _evaluations(projection: StockProjection, steps: int) -> Int64:
    """The steps at which the engine evaluates a rule."""
    rule = projection.rule
    assert rule is not None  # plastic
    period = rule.t_epoch << (rule.k or 0)
    if any(product.dependency != "u" for product in (*rule.dw, *rule.dt)):
        period = rule.t_epoch  # at most: whenever one of the two neurons spikes
    return np.arange(period - 1, steps, period)


def host_learns(network: GradedNetwork, record: Record, placement: Placement) -> Counts:
    """Graded states are read at the end of both nudges, by a host that computes the update itself."""
    counts = count(network, record, placement)
    read = 2 * sum(population.size for population in network.moving)
    return replace(counts, host_out=counts.host_out + read)
