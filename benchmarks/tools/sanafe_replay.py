"""Recorded spikes replayed on our placement in SANA-FE's model of Loihi 1, beside our model with the same constants.

SANA-FE is GPL-3: `benchmarks/tools/sanafe_worker.py` runs it, as a program of its own, under the Python that the
variable SETTLE_SANAFE names (default: this one). What is passed are two files.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hardware.energy.counts import Counts, Trains, count
from hardware.energy.estimate import evaluate
from hardware.placement.links import SOUTH, passed
from hardware.placement.placement import Placement
from neuro.base.arrays import Arrays, Int64, Reals
from neuro.base.errors import UserError
from neuro.base.files import array_bytes, json_bytes, parse_json, write_atomically
from neuro.base.scratch import scratch
from neuro.spec.network import Network
from sim.backends.record import Record

WORKER = Path(__file__).with_name("sanafe_worker.py")
PYTHON = "SETTLE_SANAFE"
ROWS = 4  # tiles of a column of SANA-FE's Loihi, which counts them column by column
BARRIERS = {1: 0.6e-6, 2: 1.0e-6, 4: 1.4e-6, 29: 1.8e-6}  # s, from so many tiles on: sanafe/examples/loihi.yaml
MESSAGE, EAST_WEST, NORTH_SOUTH = 111e-12, 3.0e-12, 4.2e-12
OUR_RULES = {
    "synaptic_energy": 35.5e-12, "neuron_energy": 72.8e-12, "spike_energy": 69.3e-12, "message_energy": MESSAGE,
    "hop_row_energy": EAST_WEST, "hop_column_energy": NORTH_SOUTH, "learning_energy": 0.0, "static_power_core": 0.0,
    "static_power_chip": 0.0, "synaptic_time": 3.8e-9, "memory_read_time": 0.0, "neuron_time": 9.7e-9,
    "spike_time": 30e-9, "message_out_time": 5.1e-9, "message_in_time": 16e-9, "link_time": 0.0, "learning_time": 0.0,
    "in_sequence": 1.0, "per_product": 1.0,
}  # fmt: skip
ITS_RULES = {
    **OUR_RULES,
    "neuron_energy": 51.2e-12,
    "spike_energy": 90.9e-12,
    "neuron_time": 6e-9,
    "spike_time": 33.7e-9,
}
"""SANA-FE prices an update (21.6 pJ, 3.7 ns) where a neuron spikes; our model at every neuron and step."""


@dataclass(frozen=True)
class Comparison:
    """An image by both models: J and s. host_j: what SANA-FE pays for the messages that the host sends.

    ours_j, in_sequence_s, at_once_s: our model with its constants. by_its_rules_j: with its rules, and the messages of
    the host. pipelines_s: with its rules, where a core sends and receives at the same time, each in sequence.
    """

    ours_j: float
    by_its_rules_j: float
    host_j: float
    theirs_j: float
    synapses_j: float
    their_synapses_j: float
    in_sequence_s: float
    at_once_s: float
    pipelines_s: float
    theirs_s: float

    def errors(self) -> dict[str, float]:
        """Ours against theirs, relative."""
        energies = {"energy": self.ours_j, "energy by its rules": self.by_its_rules_j}
        times = {"in sequence": self.in_sequence_s, "at once": self.at_once_s, "two pipelines": self.pipelines_s}
        found = {name: value / self.theirs_j - 1 for name, value in energies.items()}
        found["synapses"] = self.synapses_j / self.their_synapses_j - 1
        return found | {name: value / self.theirs_s - 1 for name, value in times.items()}


def sanafe_python() -> str:
    """The Python that has SANA-FE. Raises: UserError if none is known."""
    if python := os.environ.get(PYTHON):
        return python
    if importlib.util.find_spec("sanafe") is not None:
        return sys.executable
    raise UserError(f"sanafe is not installed here; set {PYTHON} to a Python that has it (pip install sanafe)")


def compared(network: Network, record: Record, placement: Placement) -> Comparison:
    """One image of a record by both models, in the mean. Raises: UserError if SANA-FE cannot be run."""
    python, counts = sanafe_python(), count(network, record, placement)
    trains = _trains(network, record, placement)
    answer = _replayed(python, _job(placement, trains, record.n_images))
    host_j = _host_energy(placement, trains, counts.n_images)
    barrier = BARRIERS[max(tiles for tiles in BARRIERS if tiles <= len({core // 4 for core in _cores(placement)}))]
    ours, its = ({**rules, "barrier_time": barrier} for rules in (OUR_RULES, ITS_RULES))
    parts, in_sequence_s = evaluate(counts, ours)
    n_images = counts.n_images
    return Comparison(
        ours_j=sum(parts.values()),
        by_its_rules_j=sum(evaluate(counts, its)[0].values()) + host_j,
        host_j=host_j,
        theirs_j=answer["energy"]["total"] / n_images,
        synapses_j=parts["synapses"],
        their_synapses_j=answer["energy"]["synapse"] / n_images,
        in_sequence_s=in_sequence_s,
        at_once_s=evaluate(counts, {**ours, "in_sequence": 0.0})[1],
        pipelines_s=_pipelines(counts, its),
        theirs_s=answer["time_s"] / n_images,
    )


def _pipelines(counts: Counts, values: dict[str, float]) -> float:
    """Seconds of an image if each core sends and receives at the same time."""
    sends = values["neuron_time"] * counts.neurons + values["spike_time"] * counts.spikes
    sends = sends + values["message_out_time"] * counts.messages_out
    receives = values["message_in_time"] * counts.messages_in + values["synaptic_time"] * counts.synaptic
    return float((values["barrier_time"] + np.maximum(sends, receives).max(axis=2)).sum(axis=1).mean())


def _trains(network: Network, record: Record, placement: Placement) -> dict[str, Reals]:
    """The spikes of every block as one sequence, images one after another, of shape [B T, N]."""
    trains = Trains(network, record, [p.name for p in network.populations], placement)
    found = {}
    for block in placement.blocks.neurons:
        train = trains.of(block.name, block.size, slice(0, record.n_images))
        shape = (record.n_images * trains.n_steps, block.size)
        found[block.name] = np.zeros(shape) if train is None else train.reshape(shape)
    return found


def _cores(placement: Placement) -> list[int]:
    """Our cores, and one more for each population of the host's."""
    return list(range(len(placement.cores) + len(placement.blocks.on_host)))


def _job(placement: Placement, trains: dict[str, Reals], n_images: int) -> Arrays:
    """What the worker takes."""
    groups, first, spikes, host = [], {}, [], iter(_cores(placement)[len(placement.cores) :])
    for block in placement.blocks.neurons:
        first[block.name] = sum(train.shape[1] for train in spikes)
        spikes.append(trains[block.name])
        if block.on_host:
            groups.append((next(host), block.size, 1))
        else:
            groups += [(core.index, core.last - core.first, 0) for core in placement.of(block.name)]
    synapses = [
        (first[block.source] + source, first[block.target] + target)
        for block in placement.blocks.synapses
        for target in range(block.pattern.n_target)
        for source in np.flatnonzero(np.repeat(block.pattern.fan_out(target, target + 1), block.pattern.source_group))
    ]
    cores, sizes, driven = (np.array(column) for column in zip(*groups, strict=True))
    return {
        "cores": _its_core(cores), "sizes": sizes, "driven": driven, "synapses": np.array(synapses),
        "spikes": np.concatenate(spikes, axis=1).astype(np.int8),
    }  # fmt: skip


def _its_core(cores: Int64) -> Int64:
    """The number of a core of ours, tiles row by row, in SANA-FE, tiles column by column."""
    row, column = np.divmod(cores // 4, 8)
    numbers: Int64 = 4 * (column * ROWS + row) + cores % 4
    return numbers


def _host_energy(placement: Placement, trains: dict[str, Reals], n_images: int) -> float:
    """What the messages of the host's populations cost in SANA-FE, J an image: it places them on cores of their own."""
    joules = 0.0
    for source, host in zip(_cores(placement)[len(placement.cores) :], placement.blocks.on_host, strict=True):
        for block in placement.blocks.out_of[host.name]:
            for core in placement.of(block.target):
                fan = np.repeat(block.pattern.fan_out(core.first, core.last) > 0, block.pattern.source_group)
                links = np.flatnonzero(passed(placement.limits, placement.n_chips, source, [core.index])[0]) % 4
                hops = sum(NORTH_SOUTH if link >= SOUTH else EAST_WEST for link in links)
                joules += float(trains[host.name] @ fan @ np.ones(len(trains[host.name]))) * (MESSAGE + hops)
    return joules / n_images


def _replayed(python: str, job: Arrays) -> dict[str, Any]:
    with scratch("sanafe") as folder:
        write_atomically(folder / "job.npz", array_bytes(job))
        words = [python, str(WORKER), str(folder / "job.npz"), str(folder / "answer.json")]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise UserError(f"sanafe under {python} failed: {last:.200}; install it there (pip install sanafe)")
        return parse_json((folder / "answer.json").read_bytes(), folder / "answer.json")


def shown(name: str, found: Comparison) -> str:
    """A comparison in words."""
    errors = ", ".join(f"{key} {100 * value:+.2f} %" for key, value in found.errors().items())
    return f"{name}: SANA-FE {found.theirs_j * 1e6:.4g} uJ, {found.theirs_s * 1e6:.4g} us; ours {errors}"


def as_json(found: Comparison) -> dict[str, Any]:
    """A comparison as an object that `json` can write."""
    return json.loads(json_bytes({**vars(found), "errors": found.errors()}))
