"""netx: Lava's exchange format for networks (HDF5), written by lava-dl's own blocks and run by its own loader.

What netx 0.6 holds of stock networks: a chain of LIF layers, one Dense between neighbours, and synapses within a layer.
It has no place for feedback between layers, for learning, for a host's biases, nor for graded neurons without memory.
Weights are integers within -256..254 in steps of 2; the loader shares them out between exponent and bits by itself, and
cannot take a layer without any weight. Source: lava/lib/dl/netx/{hdf5,utils}.py, read and tried.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hardware.export.netx_file import check_netx
from hardware.slayer.network import check_lava_dl, quiet, slayer_block
from neuro.base.arrays import Int16, Int32, Integers
from neuro.base.errors import UserError
from neuro.base.files import array_bytes, parse_arrays, read_bytes, shown, write_atomically
from neuro.base.scratch import scratch
from neuro.stock.processes import LIF, SpikeInput, StockPopulation, StockProjection, StockSpec
from sim.backends.lava.worker.watch import run_worker

WORKER = "hardware.export.netx_worker"
FILE, JOB, SPIKES = "network.net", "job.npz", "spikes"
WEIGHTS = (-256, 254)
STALL_S = 120.0
ELSEWHERE = "export it with --format nir, or train a network without feedback (settle train slayer)"


@dataclass(frozen=True, eq=False)
class NetxLayer:
    """A layer as netx has it: projection, its weights as they act; recurrent of shape [M, M], None without."""

    population: StockPopulation
    projection: StockProjection
    recurrent: Int16 | None


def netx_layers(spec: StockSpec) -> list[NetxLayer]:
    """The layers of a network in their order.

    Raises: UserError naming what netx cannot hold, why, and the remedy.
    """
    if spec.biased:
        raise UserError(f"netx: population {spec.biased[0]}: the host sets its biases, the format has constants only; "
                        "give the signal as spikes (input_bits 0)")  # fmt: skip
    first, *rest = spec.populations
    if not isinstance(first.neuron, SpikeInput) or first.neuron.payload_limit != 1:
        raise UserError(f"netx: population {first.name}: the first must be an input of binary spikes")
    layers, before = [], first
    for population in rest:
        layers.append(_layer(spec, before, population))
        before = population
    order = [population.name for population in spec.populations]
    for projection in spec.projections:
        step = order.index(projection.target) - order.index(projection.source)
        if step < 0:
            raise UserError(f"netx: projection {projection.name} leads back: the format has no feedback between "
                            f"layers, only within one; {ELSEWHERE}")  # fmt: skip
        if step > 1:
            raise UserError(f"netx: projection {projection.name} skips a layer: the format is a chain; {ELSEWHERE}")
        if projection.rule is not None or not projection.transmits:
            raise UserError(f"netx: projection {projection.name} learns: the format does not; export the inference")
    return layers


def _layer(spec: StockSpec, before: StockPopulation, population: StockPopulation) -> NetxLayer:
    neuron = population.neuron
    if not isinstance(neuron, LIF):
        raise UserError(f"netx: population {population.name}: {type(neuron).__name__} is no neuron of the format, "
                        f"which has LIF (CUBA); {ELSEWHERE}")  # fmt: skip
    if neuron.bias:
        raise UserError(f"netx: population {population.name}: a bias is not exported; use an input that always spikes")
    forward = [p for p in spec.projections if (p.source, p.target) == (before.name, population.name)]
    within = [p for p in spec.projections if p.source == p.target == population.name]
    if len(forward) != 1 or len(within) > 1:
        raise UserError(f"netx: {len(forward)} projections from {before.name} to {population.name}, {len(within)} "
                        "within it; the format has one, and at most one")  # fmt: skip
    acting = replace(forward[0], weights=acting_weights(forward[0]), exponent=0, weight_bits=8, sign_mode="mixed")
    recurrent = acting_weights(within[0]) if within else None
    if not acting.weights.any() and (recurrent is None or not recurrent.any()):
        raise UserError(f"netx: projection {acting.name}: all weights are zero, which the loader cannot scale")
    return NetxLayer(population, acting, recurrent)


def acting_weights(projection: StockProjection) -> Int16:
    """The weights of a projection with its exponent, as netx takes them.

    Raises: UserError if they are no even integers within 8 bits then.
    """
    exact = np.ldexp(projection.effective.astype(np.float64), projection.exponent)
    weights = np.rint(exact / 2).astype(np.int32) * 2
    low, high = WEIGHTS
    if not np.array_equal(weights, exact) or (weights.size and not low <= weights.min() <= weights.max() <= high):
        raise UserError(
            f"netx: projection {projection.name}: weights times 2**{projection.exponent} must be even and within "
            f"{low}..{high}, they reach {exact.min():g}..{exact.max():g}; {ELSEWHERE}"
        )
    acting: Int16 = weights.astype(np.int16)
    return acting


def forward_part(spec: StockSpec) -> StockSpec:
    """The network without the projections that lead back: another network, with other answers."""
    order = [population.name for population in spec.populations]
    kept = (p for p in spec.projections if order.index(p.source) <= order.index(p.target))
    return replace(spec, projections=tuple(kept))


def netx_bytes(spec: StockSpec) -> bytes:
    """The netx file of a network, written by lava-dl.

    Raises: UserError if the format cannot hold it, or lava-dl is missing.
    """
    layers = netx_layers(spec)
    check_lava_dl()
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file, quiet():
        for index, layer in enumerate(layers):
            block = slayer_block(layer.projection, layer.population, layer.recurrent)
            block.export_hdf5(file.create_group(f"layer/{index}"))
    return buffer.getvalue()


def run_netx(
    path: Path, inputs: Integers, stall_s: float = STALL_S, on_image: Callable[[int], None] = lambda done: None,
    *, together: bool = True,
) -> Int32:  # fmt: skip
    """Run B sequences, inputs of shape [B, T, n], through the network in a netx file, in Lava; return the spikes of its
    last layer, of shape [B, T, K].

    together: one after the other in one graph that netx resets, one step later a layer; the inputs of the last step
              must be empty, and the first steps, as many as there are layers, hold what is left of the sequence before.
              Else a graph for each.
    Raises:   UserError if Lava fails, or finishes no sequence for `stall_s` seconds.
    """
    check_lava_dl()
    with scratch("netx") as folder:
        content = read_bytes(path)
        check_netx(content, shown(path))
        write_atomically(folder / FILE, content)
        job = {"inputs": inputs.astype(np.int32), "together": np.array(together)}
        write_atomically(folder / JOB, array_bytes(job))
        run_worker(WORKER, folder, len(inputs), "image", stall_s, on_image, "netx")
        parts = [folder / f"{SPIKES}-{group}.npz" for group in range(1 if together else len(inputs))]
        return np.concatenate([parse_arrays(read_bytes(part), part)["spikes"] for part in parts]).astype(np.int32)
