"""What a run made every core do, step by step: counted from the spikes of a `Record` and the placement of the network.

A spike counts at the step at which it is sent; the synaptic work it causes is done one step later, on the cores of its
targets. With every spike kept, counts are exact per core and step; without, the spikes of a population and phase are
spread evenly over its neurons and the phase's steps, and `exact` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hardware.chip.blocks import Deployable, SynapseBlock
from hardware.placement.links import n_links, passed
from hardware.placement.placement import Core, Placement
from neuro.base.arrays import Int64, Reals
from neuro.base.errors import UserError
from neuro.stock.processes import StockSpec
from sim.backends.record import Record

IMAGES_AT_ONCE = 8
FIELDS = ("synaptic", "memory_reads", "spikes", "messages_out", "messages_in", "hops_row", "hops_column")


@dataclass(frozen=True, eq=False)
class Counts:
    """Operations of B images, all of shape [B, T, cores] unless said; T steps.

    synaptic:     additions onto targets on this core.        spikes: sent by neurons of this core.
    memory_reads: entries of synaptic memory that messages make this core read.
    messages_out: spikes times the (projection, core) they go to.    messages_in: arriving here, the host's included.
    hops_row, hops_column: routers passed by messages leaving this core; links between chips are not among them.
    learning:     synaptic updates, zeros in an inference.    products: products of a learning rule, evaluated for each.
    links of shape [B, T]: messages over the link between two tiles that most of them pass.
    host_in of shape [B, T]: messages the host sends, biases that it sets, one a neuron, at the first step; host_out of
    shape [B]: values it reads per image.
    neurons of shape [cores]: on each core, updated at every step.   chips, cores_used: for static power.
    """

    synaptic: Reals
    memory_reads: Reals
    spikes: Reals
    messages_out: Reals
    messages_in: Reals
    hops_row: Reals
    hops_column: Reals
    learning: Reals
    links: Reals
    host_in: Reals
    host_out: Reals
    neurons: Int64
    n_chips: int
    products: int = 1
    exact: bool = True

    @property
    def n_images(self) -> int:
        """Images."""
        return len(self.synaptic)

    @property
    def n_steps(self) -> int:
        """Steps of an image."""
        return self.synaptic.shape[1]

    def per_image(self) -> dict[str, float]:
        """The mean of every count per image, over all cores and steps."""
        totals = {name: getattr(self, name).sum() / self.n_images for name in (*FIELDS, "learning")}
        updates = float(self.neurons.sum() * self.n_steps)
        host = {"host_in": self.host_in.sum() / self.n_images, "host_out": self.host_out.mean()}
        return {name: float(value) for name, value in {**totals, "neuron_updates": updates, **host}.items()}


@dataclass(frozen=True, eq=False)
class _Routes:
    """What a spike of each neuron of a population causes.

    work: by projection the additions and the entries read, both of shape [groups, cores of the target].
    messages, hops_row, hops_column of shape [N]; links of shape [N, links].
    """

    work: list[tuple[SynapseBlock, list[Core], Int64, Int64]]
    messages: Int64
    hops_row: Int64
    hops_column: Int64
    links: Int64


def _routes(placement: Placement, name: str, size: int) -> _Routes:
    own = placement.core_of_neuron(name)
    messages, row, column = (np.zeros(size, dtype=np.int64) for _ in range(3))
    limits, n_chips = placement.limits, placement.n_chips
    links = np.zeros((size, n_links(limits, n_chips)), dtype=np.int64)
    work = []
    for block in placement.blocks.out_of[name]:
        targets = list(placement.of(block.target))
        fan = np.stack([block.pattern.fan_out(core.first, core.last) for core in targets], axis=1)
        words = np.stack([block.words(core.first, core.last, limits) for core in targets], axis=1)
        work.append((block, targets, fan, words))
        reaches = np.repeat(fan > 0, block.pattern.source_group, axis=0)
        messages += reaches.sum(axis=1)
        if len(own):
            across, down = _distances(placement, own, [core.index for core in targets])
            row += (reaches * across).sum(axis=1)
            column += (reaches * down).sum(axis=1)
            for core in placement.of(name):
                mine = slice(core.first, core.last)
                links[mine] += reaches[mine] @ passed(limits, n_chips, core.index, [t.index for t in targets])
    return _Routes(work, messages, row, column, links)


def _distances(placement: Placement, own: Int64, targets: list[int]) -> tuple[Int64, Int64]:
    """Routers between cores along rows and columns of a chip's mesh, of shape [len(own), len(targets)]."""
    limits = placement.limits
    columns = limits.tile_columns.value
    own_tile, target_tile = (
        np.asarray(part) % limits.cores.value // limits.tile_cores.value for part in (own, targets)
    )
    across = np.abs(own_tile[:, None] % columns - target_tile[None] % columns)
    down = np.abs(own_tile[:, None] // columns - target_tile[None] // columns)
    return across, down


def count(network: Deployable, record: Record, placement: Placement, *, outputs: int | None = None) -> Counts:
    """Count the operations of a run.

    Args:   placement of the same network; record, best with every spike kept; outputs: values the host reads per
            image, default one per output neuron.
    Raises: UserError if the record is not of this network.
    """
    names = _names(network)
    trains = Trains(network, record, names, placement)
    shape = (record.n_images, trains.n_steps, len(placement.cores))
    totals: dict[str, Any] = {name: np.zeros(shape) for name in FIELDS}
    links = np.zeros((*shape[:2], n_links(placement.limits, placement.n_chips)))
    host_in = np.zeros(shape[:2])
    on_host = {block.name for block in placement.blocks.on_host}
    for block in placement.blocks.neurons:
        host_in[:, 0] += block.biased * block.size
        routes = _routes(placement, block.name, block.size)
        for first in range(0, record.n_images, IMAGES_AT_ONCE):
            images = slice(first, min(first + IMAGES_AT_ONCE, record.n_images))
            sent = trains.of(block.name, block.size, images)
            if sent is None:
                continue
            _add_work(totals, images, sent, routes)
            if block.name in on_host:
                host_in[images] += sent @ routes.messages
            else:
                _add_sent(totals, images, sent, routes, placement.of(block.name))
                links[images] += sent @ routes.links
    reads = outputs if outputs is not None else _n_outputs(network, placement)
    return Counts(
        **totals,
        learning=np.zeros(shape),
        links=links.max(axis=2),
        host_in=host_in,
        host_out=np.full(record.n_images, float(reads)),
        neurons=np.array([core.last - core.first for core in placement.cores], dtype=np.int64),
        n_chips=placement.n_chips,
        exact=record.spikes is not None,
    )


def _add_work(found: dict[str, Reals], part: slice, sent: Reals, routes: _Routes) -> None:
    """Add what spikes [b, T, N] of a population cause at their targets."""
    for block, cores, fan, words in routes.work:
        grouped = sent.reshape(*sent.shape[:2], -1, block.pattern.source_group).sum(axis=3)
        where = slice(cores[0].index, cores[-1].index + 1)
        found["synaptic"][part, :, where] += grouped @ fan
        found["memory_reads"][part, :, where] += grouped @ words
        found["messages_in"][part, :, where] += grouped @ (fan > 0)


def _add_sent(found: dict[str, Reals], part: slice, sent: Reals, routes: _Routes, cores: tuple[Core, ...]) -> None:
    """Add what cores do to send spikes [b, T, N] of their neurons."""
    where, starts = slice(cores[0].index, cores[-1].index + 1), [core.first for core in cores]
    vectors = {"spikes": np.ones_like(routes.messages), "messages_out": routes.messages, "hops_row": routes.hops_row,
               "hops_column": routes.hops_column}  # fmt: skip
    for name, vector in vectors.items():
        found[name][part, :, where] += np.add.reduceat(sent * vector, starts, axis=2)


def _names(network: Deployable) -> list[str]:
    """The names of populations in the order of a spike table."""
    return [population.name for population in network.populations]


def _n_outputs(network: Deployable, placement: Placement) -> int:
    return placement.blocks.on_chip[-1].size if isinstance(network, StockSpec) else network.n_classes


class Trains:
    """The spikes of a record as arrays [b, T, N] of ones, by population."""

    def __init__(self, network: Deployable, record: Record, names: list[str], placement: Placement) -> None:
        known = {block.name for block in placement.blocks.neurons}
        strange = [name for name, counts in record.spike_counts.items() if name not in known and counts.any()]
        if strange:
            raise UserError(f"record: population {strange[0]} sent spikes, the placement holds none of that name")
        self.record, self.index = record, {name: i for i, name in enumerate(names)}
        self.phases = phases_of_steps(network, next(iter(record.spike_counts.values())).shape[1] - 1)
        self.n_steps = len(self.phases)
        assert not isinstance(network, StockSpec)  # phases_of_steps
        self.first_step = network.first_step

    def of(self, name: str, size: int, part: slice) -> Reals | None:
        """The spikes of a population in a part of the images; None if there are none."""
        if name not in self.record.spike_counts:
            return None
        table, batch = self.record.spikes, part.stop - part.start
        if table is None:
            return self._spread(name, size, part)
        mine = (table.population == self.index[name]) & (table.image >= part.start) & (table.image < part.stop)
        at = (table.image[mine] - part.start).astype(np.int64) * self.n_steps + table.step[mine] - self.first_step
        counts = np.bincount(at * size + table.neuron[mine], minlength=batch * self.n_steps * size)
        return counts.reshape(batch, self.n_steps, size).astype(np.float64)

    def _spread(self, name: str, size: int, part: slice) -> Reals:
        counts = self.record.spike_counts[name][part].astype(np.float64)  # [b, 1 + phases]
        column = self.phases + 1
        steps = np.maximum(np.bincount(column, minlength=counts.shape[1]), 1)
        per_step = (counts / steps)[:, column] / size
        return np.repeat(per_step[:, :, None], size, axis=2)


def phases_of_steps(network: Deployable, n_phases: int) -> Int64:
    """The phase of each step that a record of so many phases holds; -1 for the presentation."""
    if isinstance(network, StockSpec):
        raise UserError("counts: a bare graph has no phases; give the network it belongs to")
    phases = network.phases()
    return phases[phases < n_phases]
