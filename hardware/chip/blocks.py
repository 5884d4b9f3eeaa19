"""A network as the chip sees it, whatever its family: blocks of neurons and blocks of synapses, ready to be placed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeGuard

import numpy as np

from hardware.chip.families import of_kind
from hardware.chip.limits import Limits
from hardware.chip.pattern import Pattern, full, of_kernel, of_kernel_weights, of_matrix, transposed
from neuro.base.arrays import Bools, Int64
from neuro.base.errors import UserError
from neuro.coding.chain import PREFIX, Chain
from neuro.spec.network import Network
from neuro.spec.neurons import Source
from neuro.spec.projection import Projection
from neuro.spec.sigma_delta import NetworkSpec
from neuro.stock.family import StockFamily
from neuro.stock.processes import SpikeInput, StockProjection, StockSpec

DENSE, SPARSE, KERNEL = "dense", "sparse", "kernel"
SPARSE_SHARE = 0.5  # fixed weights of which at most this share is not zero are stored one by one
Deployable = Network | StockSpec


@dataclass(frozen=True)
class NeuronBlock:
    """A population. on_host: an input, whose spikes the host sends; it takes no core.

    biased: whether the host sets the bias of every neuron for each image.
    """

    name: str
    size: int
    on_host: bool
    biased: bool = False


@dataclass(frozen=True, eq=False)
class SynapseBlock:
    """A projection.

    kind:         DENSE, SPARSE (one entry list an axon), or KERNEL (stored once a core, shared by positions).
    bits:         of a weight.    learns: whether a tag or an accumulator stands beside it.
    taps:         weights of a kernel per feature, 0 if it is none.
    note:         why it is not stored as the specification has it, "" if it is.
    """

    name: str
    source: str
    target: str
    kind: str
    pattern: Pattern
    bits: int
    learns: bool = False
    taps: int = 0
    note: str = ""

    @property
    def n_synapses(self) -> int:
        """Synapses of the whole projection; a shared weight counts wherever it acts."""
        return self.pattern.synapses(0, self.pattern.n_target)

    def entries(self, first: int, last: int, limits: Limits) -> int:
        """The entries of synaptic memory that a core with target neurons first..last - 1 needs."""
        if self.kind == KERNEL:
            features = min(self.pattern.target_group, last - first)
            return self.taps * -(-features * self.bits // limits.entry_bits.value)
        return int(self.words(first, last, limits).sum()) * self.pattern.source_group

    def words(self, first: int, last: int, limits: Limits) -> Int64:
        """The entries that a core reads for a message of each group of source neurons, of shape [groups]."""
        stored = self.bits
        if self.kind != KERNEL:
            stored += limits.index_bits.value + self.learns * limits.tag_bits.value
        if self.kind == SPARSE and limits.index_bits.value == 0:
            stored += 8  # a list of synapses cannot do without
        words: Int64 = -(-self.pattern.fan_out(first, last) * stored // limits.entry_bits.value)
        return words

    def axons(self, first: int, last: int) -> int:
        """The source neurons that reach target neurons first..last - 1: one input axon each."""
        return int(np.count_nonzero(self.pattern.fan_out(first, last))) * self.pattern.source_group


@dataclass(frozen=True, eq=False)
class Blocks:
    """All blocks of a network."""

    neurons: tuple[NeuronBlock, ...]
    synapses: tuple[SynapseBlock, ...]

    @cached_property
    def into(self) -> dict[str, tuple[SynapseBlock, ...]]:
        """Synapses by target population."""
        return {n.name: tuple(s for s in self.synapses if s.target == n.name) for n in self.neurons}

    @cached_property
    def out_of(self) -> dict[str, tuple[SynapseBlock, ...]]:
        """Synapses by source population."""
        return {n.name: tuple(s for s in self.synapses if s.source == n.name) for n in self.neurons}

    @property
    def on_chip(self) -> tuple[NeuronBlock, ...]:
        """Populations that take cores."""
        return tuple(block for block in self.neurons if not block.on_host)

    @property
    def on_host(self) -> tuple[NeuronBlock, ...]:
        """Populations whose spikes the host sends."""
        return tuple(block for block in self.neurons if block.on_host)

    def fan_in(self, name: str) -> Int64:
        """The number of learning synapses onto each neuron of a population."""
        size = next(block.size for block in self.neurons if block.name == name)
        return sum((s.pattern.fan_in() for s in self.into[name] if s.learns), np.zeros(size, dtype=np.int64))


def is_stock(network: Deployable) -> TypeGuard[StockFamily | StockSpec]:
    """Whether a network, or a bare graph, is of the stock family."""
    return network.family == "stock"


def graph_of(network: StockFamily | StockSpec, learns: bool) -> StockSpec:
    """The graph of stock processes that is deployed: with all that learning needs, or only what classifies."""
    return network if isinstance(network, StockSpec) else network.deployed(learns)


def blocks_of(network: Deployable, limits: Limits, *, learns: bool = True) -> Blocks:
    """The blocks of a network; learns: with the synaptic state that learning on the chip needs.

    Raises: UserError if weights or payloads are wider than the chip's.
    """
    blocks: Blocks = of_kind("blocks", network)(network, limits, learns)
    for block in blocks.synapses:
        if block.bits > limits.weight_bits.value:
            raise UserError(
                f"projection {block.name}: weights of {block.bits} bits, a synapse of {limits.name} has "
                f"{limits.weight_bits.value}; train with --weight-bits {limits.weight_bits.value}"
            )
    return blocks


def sigma_delta_blocks(network: NetworkSpec, limits: Limits, learns: bool) -> Blocks:
    """The blocks of a sigma-delta network."""
    neurons = tuple(NeuronBlock(p.name, p.size, isinstance(p.neuron, Source)) for p in network.populations)
    return Blocks(neurons, tuple(_of_projection(network, projection, learns) for projection in network.projections))


def stock_blocks(network: StockFamily | StockSpec, limits: Limits, learns: bool) -> Blocks:
    """The blocks of stock processes. Raises: UserError if payloads are wider than the chip's."""
    graph = graph_of(network, learns)
    neurons = tuple(
        NeuronBlock(p.name, p.size, isinstance(p.neuron, SpikeInput), p.name in graph.biased) for p in graph.populations
    )
    return Blocks(neurons, tuple(_of_stock(projection, learns, limits) for projection in graph.projections))


def chain_blocks(network: Chain, limits: Limits, learns: bool) -> Blocks:
    """The blocks of a coder and of the network behind it; there nothing learns, and the host carries the codes."""
    front, back = stock_blocks(network.front, limits, False), sigma_delta_blocks(network.back, limits, False)
    neurons = (replace(block, name=PREFIX + block.name) for block in front.neurons)
    synapses = (
        replace(s, name=PREFIX + s.name, source=PREFIX + s.source, target=PREFIX + s.target) for s in front.synapses
    )
    return Blocks((*neurons, *back.neurons), (*synapses, *back.synapses))


def _of_stock(projection: StockProjection, learns: bool, limits: Limits) -> SynapseBlock:
    if projection.message_bits > limits.payload_bits.value:
        raise UserError(
            f"projection {projection.name}: payloads of {projection.message_bits} bits, a spike of {limits.name} has "
            f"{limits.payload_bits.value}; lower message_bits"
        )
    plastic = learns and projection.rule is not None
    kind, pattern = _stored(projection.effective != 0, projection.rule is not None)
    return SynapseBlock(
        projection.name, projection.source, projection.target, kind, pattern, projection.weight_bits, plastic
    )


def _stored(present: Bools, plastic: bool) -> tuple[str, Pattern]:
    """The storage of a matrix of synapses: one by one if most of them are zero and stay so."""
    if not plastic and present.any() and present.mean() <= SPARSE_SHARE:
        return SPARSE, of_matrix(present)
    return DENSE, full(*present.shape)


def _of_projection(spec: NetworkSpec, projection: Projection, learns: bool) -> SynapseBlock:
    original = spec.original_of(projection)
    ends, bits = (projection.name, projection.source, projection.target), original.weight_bits
    assert original.weights is not None  # check_spec: only transposes have none
    if original.convolution is not None:
        return _of_convolution(spec, projection, original, learns)
    plastic = original.rule is not None
    present = original.weights != 0
    kind, pattern = _stored(present if projection is original else present.T, plastic)
    return SynapseBlock(*ends, kind, pattern, bits, plastic and learns)


def _of_convolution(spec: NetworkSpec, projection: Projection, original: Projection, learns: bool) -> SynapseBlock:
    """The storage of a kernel: shared if a stock process does so, else synapse by synapse."""
    convolution, weights = original.convolution, original.weights
    assert convolution is not None  # by `_of_projection`
    assert weights is not None
    ends, bits = (projection.name, projection.source, projection.target), original.weight_bits
    shape, features, note = spec.population(original.source).shape, weights.shape[-1], ""
    plastic = original.rule is not None
    present = np.ones(weights.shape, np.int8) if plastic else weights
    if plastic:
        note = "the learning engine changes each synapse by itself, sums over a shared kernel need a host"
    elif convolution.widens:
        note = "no stock process sums positions: one synapse a connection, sums beyond 8 bits not counted"
    elif projection is not original:
        note = "no stock process shares the kernel of a transposed convolution: one synapse a connection"
    elif any(before != after for before, after in convolution.padding):
        note = "Lava's Conv pads both sides alike, this convolution does not: one synapse a connection"
    elif np.count_nonzero(weights) <= SPARSE_SHARE * weights.size:
        note = "most of the kernel is zero: one synapse a connection"
    if not note:
        pattern = of_kernel(convolution, shape, features)
        return SynapseBlock(*ends, KERNEL, pattern, bits, taps=weights.size // features)
    pattern = of_kernel_weights(convolution, shape, convolution.widened(present) != 0)
    if projection is not original:
        pattern = transposed(pattern)
    return SynapseBlock(*ends, SPARSE, pattern, bits, plastic and learns, note=note)
